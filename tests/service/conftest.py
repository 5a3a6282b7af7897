"""The service over a tiny checkpoint, in this process."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from stanceframe.models.classifier import StanceClassifier, save_checkpoint
from stanceframe.service.app import Stanceframe
from stanceframe.service.settings import PREFIX


@pytest.fixture
def checkpoint(tiny: StanceClassifier, tmp_path: Path) -> Path:
    """A tiny checkpoint on disk."""
    saved = save_checkpoint(
        tmp_path / "checkpoint",
        tiny.engine.network,
        tiny.encoder,
        tiny.calibration,
        created="2026-01-01T00:00:00Z",
        trained_on=[{"name": "nothing", "sentences": 0, "sha256": "0" * 64}],
        base_encoder="tiny",
        metrics={"stance_macro_f1": {"value": 0.25, "low": 0.2, "high": 0.3}},
        card="# Tiny\n",
    )
    return saved.path


@pytest.fixture
def serve(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., TestClient]]:
    """Start the service with some settings; what it logs is in `caplog`."""
    clients = []
    monkeypatch.setattr(logging.getLogger("bentoml"), "propagate", True)
    # Two apps in one process would count under the same names. `test_serving.py` asks for the metrics.
    monkeypatch.setenv("BENTOML_CONFIG_OVERRIDES", '{"services": {"stanceframe": {"metrics": {"enabled": false}}}}')
    monkeypatch.setenv(PREFIX + "MODEL", str(checkpoint))
    monkeypatch.setenv(PREFIX + "ENGINE", "torch-fp32")

    def start(**settings: int | str) -> TestClient:
        for name, value in settings.items():
            monkeypatch.setenv(PREFIX + name.upper(), str(value))
        client = TestClient(Stanceframe.to_asgi())
        clients.append(client.__enter__())
        return client

    yield start
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(serve: Callable[..., TestClient]) -> TestClient:
    """The service with its default settings."""
    return serve()
