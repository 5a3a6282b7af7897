"""From `stanceframe serve` to a running BentoML server."""

import errno
import ipaddress
import os
import socket
import sys
from typing import NoReturn

from stanceframe.models.champion import resolve
from stanceframe.models.checkpoint import Checkpoint
from stanceframe.models.errors import ConfigError, StanceframeError
from stanceframe.service.settings import PREFIX, Settings

SERVICE = "stanceframe.service.app:Stanceframe"


def become_server(host: str, port: int, model: str | None, *, quiet: bool = False) -> NoReturn:
    """Put `bentoml serve` in this process's place, so that signals reach it.

    What BentoML would only say in a stack trace, time and again from its worker, is checked before.

    Raises:
        ConfigError: the host is no address, or a setting cannot be used.
        InputError, RegistryError, CheckpointError: there is no such checkpoint, or it cannot be served.
        StanceframeError: the port is taken, or may not be used.
    """
    settings = Settings.from_environment()
    checkpoint = Checkpoint.open(resolve(model or settings.model).resolve())
    address = _address(host)
    _check_free(address, port)
    environment = {**os.environ, PREFIX + "MODEL": str(checkpoint.path)}
    environment.setdefault("BENTOML_DO_NOT_TRACK", "True")
    command = [
        "bentoml",
        "serve",
        SERVICE,
        "--host",
        address,
        "--port",
        str(port),
        *(["--quiet"] if quiet else []),
    ]
    os.execve(sys.executable, [sys.executable, "-m", *command], environment)  # noqa: S606 - no shell is wanted


def _address(host: str) -> str:
    try:
        return str(ipaddress.ip_address("127.0.0.1" if host == "localhost" else host))
    except ValueError:
        raise ConfigError(f"--host {host!r} is no IP address: 127.0.0.1 is this machine, 0.0.0.0 all") from None


def _check_free(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            remedy = ": choose another with --port" if error.errno == errno.EADDRINUSE else ""
            raise StanceframeError(f"{address} port {port}: {error.strerror}{remedy}") from None
