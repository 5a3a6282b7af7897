"""Where the forward pass runs: one Protocol, by torch or by OpenVINO.

OpenVINO compiles the network for the processor it finds. On two Zen 4 cores it labels twice as many sentences a second
as torch in fp32 and a fifth more than torch in bfloat16 (`python bench/engines.py`). Torch runs everywhere, and is what
figures are measured with.
"""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
import transformers
from torch import Tensor, nn

from stanceframe.models.checkpoint import replacing_folder
from stanceframe.models.errors import ConfigError
from stanceframe.models.network import Batch, Logits, StanceframeNetwork
from stanceframe.models.types import EngineName

Precision = Literal["fp32", "bf16"]

_log = logging.getLogger(__name__)

_MODEL = "network.xml"


class Engine(Protocol):
    """Runs a network over a batch; the same batch gives the same logits, whatever ran before.

    It takes one batch at a time.
    """

    @property
    def name(self) -> str:
        """What it is, with its precision."""
        ...

    def run(self, batch: Batch) -> Logits:
        """Logits in fp32 on the CPU."""
        ...


def fast_precision() -> Precision:
    """bf16 where this machine multiplies its matrices faster than those of fp32."""
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    abilities = torch.cpu.get_capabilities()
    return "bf16" if abilities.get("amx_bf16") or abilities.get("avx512_bf16") else "fp32"


class TorchEngine:
    """The network itself: on a GPU where there is one, in fp32 unless told otherwise."""

    def __init__(self, network: StanceframeNetwork, precision: Precision = "fp32") -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = network.to(self.device).eval()
        self.precision = precision
        self.name = f"torch-{precision}"

    @torch.inference_mode()
    def run(self, batch: Batch) -> Logits:
        """Logits in fp32 on the CPU."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            logits: Logits = self.network(batch.to(self.device))
        return logits.float_cpu()


class OpenVinoEngine:
    """The network compiled for this processor.

    Args:
        network: what to compile; a cached model is read in its place.
        cache: folder of what was derived from the network; where there is nothing of this version of OpenVINO, or it
            cannot be read, it is derived and put there.
        precision: bf16 or fp32; by default what this processor is faster with.

    Raises:
        ConfigError: OpenVINO is not installed, or cannot take the network.
    """

    def __init__(
        self, network: StanceframeNetwork, cache: Path | None = None, precision: Precision | None = None
    ) -> None:
        self.precision = precision or fast_precision()
        self.name = f"openvino-{self.precision}"
        try:
            core = _openvino().Core()
            kept = cache / f"openvino-{version('openvino')}" if cache is not None else None
            model = _read(core, kept)
            if model is None:
                derived = _derive(network, kept)
                model = _read(core, kept) or derived  # the first start then runs the very model that later ones do
            hint = {"fp32": "f32", "bf16": "bf16"}[self.precision]
            settings = {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"}
            self._compiled = core.compile_model(model, "CPU", settings)
        except ImportError:
            raise ConfigError("the engine openvino needs the package: pip install openvino") from None
        except RuntimeError as error:
            raise ConfigError(f"OpenVINO cannot run the network: {error}; --engine torch can") from None

    def run(self, batch: Batch) -> Logits:
        """Logits in fp32 on the CPU."""
        said = self._compiled([tensor.numpy() for tensor in _tensors(batch)])
        return Logits(*(torch.from_numpy(said[i]) for i in range(len(fields(Logits)))))


def _openvino() -> Any:
    """OpenVINO without the telemetry that it would send when it is first imported."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # its import fails, and OpenVINO has a stub
    import openvino  # noqa: PLC0415 - torch is enough where it is not installed

    return openvino


class _Traced(nn.Module):
    """The network with plain tensors in and out."""

    def __init__(self, network: StanceframeNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        logits: Logits = self.network(Batch(*tensors))
        return logits.stance, logits.holder, logits.framing, logits.sentiment


def _tensors(of: Batch | Logits) -> tuple[Tensor, ...]:
    return tuple(getattr(of, field.name) for field in fields(of))


def _read(core: Any, kept: Path | None) -> Any | None:
    """What was derived at an earlier start; None where there is nothing that can be read."""
    try:
        return core.read_model(kept / _MODEL) if kept is not None and (kept / _MODEL).is_file() else None
    except RuntimeError:
        return None


def _derive(network: StanceframeNetwork, kept: Path | None) -> Any:
    """OpenVINO's form of the network, for inputs of any shape."""
    with warnings.catch_warnings(), _quiet_transformers():
        warnings.simplefilter("ignore")  # tracing tells of Python values that are the same in every batch
        model = _openvino().convert_model(_Traced(network.eval()), example_input=_tensors(_example()))
    if kept is not None:
        try:
            with replacing_folder(kept) as folder:
                _openvino().save_model(model, folder / _MODEL)  # in half precision, as the checkpoint's weights are
        except OSError as error:
            _log.info("the derived model is not kept, and is derived anew at each start: %s", error)
    return model


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Tracing looks at every attribute of the network, and one warns of a loss that nobody asked for."""
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(before)


def _example() -> Batch:
    """Two inputs of three tokens that ask of one target each, one of them padded."""
    return Batch(
        input_ids=torch.tensor([[1, 2, 3], [1, 2, 0]]),
        attention_mask=torch.tensor([[1, 1, 1], [1, 1, 0]]),
        slot_ids=torch.tensor([[0, 1, 0], [0, 1, 0]]),
        name_mask=torch.tensor([[[False, True, False]], [[False, True, False]]]),
        sentence_mask=torch.tensor([[False, False, True], [False, True, False]]),
    )


def new_engine(name: EngineName, network: StanceframeNetwork, cache: Path | None = None) -> Engine:
    """The engine of a name.

    Args:
        name: `auto` falls back on torch, with a line in the log, where OpenVINO is missing or fails.
        network: what it runs.
        cache: folder that keeps what an engine derives from the network, so that the next start is faster.

    Raises:
        ConfigError: an engine that was asked for by name cannot run.
    """
    match name:
        case "torch":
            return TorchEngine(network)
        case "torch-bf16":
            return TorchEngine(network, "bf16")
        case "openvino":
            return OpenVinoEngine(network, cache)
    if not torch.cuda.is_available():
        try:
            return OpenVinoEngine(network, cache)
        except ConfigError as error:
            _log.info("torch runs the network: %s", error)
    return TorchEngine(network, fast_precision())
