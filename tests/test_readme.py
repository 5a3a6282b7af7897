"""The README's examples run, and say what the README says that they do."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from stanceframe.data.corpus import SHIPPED

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TOO_LONG = ("make serve", "make test", "stanceframe train", "stanceframe distill")
"""Run apart (`make serve` below), by whoever runs these tests, or on a small corpus in `test_cli_train.py`."""
STARTING_SECONDS = 120


def commands() -> list[str]:
    """Every command of the README's shell blocks, continued lines joined."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.partition("    #")[0].strip() for line in lines if line.strip()]


def test_the_two_commands_are_there() -> None:
    assert {"make serve", "make test"} <= set(commands())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with what the examples speak of, and an installation of its own."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "data").symlink_to(ROOT / "data")
    (folder / "tests").symlink_to(ROOT / "tests")
    (folder / "articles").mkdir()
    (folder / "articles" / "one.txt").write_text("Kim pledged full support for Putin. Washington warned Pyongyang.")
    (example,) = re.findall(r"```json\n(.*?)\n```", README, re.DOTALL)
    lines = [example, *(SHIPPED / "train.jsonl").read_text(encoding="utf-8").splitlines()[:3]]
    (folder / "corrections.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    """Variables that keep the examples inside the folder, and put this environment's commands first."""
    return {
        **os.environ,
        "STANCEFRAME_HOME": str(folder / "home"),
        "BENTOML_HOME": str(folder / "bentoml"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def run(command: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("command", [c for c in commands() if not c.startswith((*TOO_LONG, "curl"))])
def test_a_command_runs(command: str, folder: Path, environment: dict[str, str]) -> None:
    output = run(command, folder, environment)
    if "score" in command:
        rows = [json.loads(line) for line in (folder / "scored.jsonl").read_text(encoding="utf-8").splitlines()]
        assert [row["text"] for row in rows] == [
            "Kim pledged full support for Putin.",
            "Washington warned Pyongyang.",
        ]
    else:
        assert output.strip()


@pytest.fixture(scope="module")
def served(environment: dict[str, str]) -> Iterator[int]:
    """`make serve` on a free port, stopped by Ctrl-C."""
    if not list((ROOT / ".venv").glob(".ready-serve-*")):
        pytest.skip("`make serve` would set up an environment of its own: run the tests by `make test`")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        ["make", "serve", f"PORT={port}"], cwd=ROOT, env=environment, start_new_session=True, stderr=subprocess.DEVNULL
    )
    try:
        wait_until_ready(server, port)
        yield port
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.wait(60)


def wait_until_ready(server: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < deadline:
        assert server.poll() is None, "make serve ended"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError("make serve was not ready in time")


def test_make_serve_answers_what_the_readme_asks(served: int, folder: Path, environment: dict[str, str]) -> None:
    asked = [command.replace(":3000", f":{served}") for command in commands() if command.startswith("curl")]
    predicted, analysed = (json.loads(run(command, folder, environment)) for command in asked)
    assert [s["text"] for s in predicted["sentences"]] == ["Kim pledged full support for Putin."]
    document = analysed["documents"][0]
    assert [s["text"] for s in document["sentences"]] == [
        "Kim pledged full support for Putin.",
        "Washington warned Pyongyang.",
    ]
    assert document["sentences"][0]["stance"]["russia"]["label"] == "favor"
    assert document["summary"]["sentences"] == 2
    with urllib.request.urlopen(f"http://127.0.0.1:{served}/", timeout=30) as page:
        assert "Stanceframe" in page.read().decode()
