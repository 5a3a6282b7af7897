"""Where the forward pass runs: one Protocol, by torch or by OpenVINO.

OpenVINO compiles the network for the processor that it finds: see `bench/README.md`. Torch runs
everywhere, and in fp32 it is what figures are measured with.
"""

import logging
import shutil
import sys
import threading
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

from stanceframe.models import network as network_module
from stanceframe.models.checkpoint import read_json, replacing_folder, sha256, write_json
from stanceframe.models.errors import CheckpointError, ConfigError
from stanceframe.models.network import Batch, Logits, StanceframeNetwork
from stanceframe.models.types import EngineName

Precision = Literal["fp32", "bf16"]

_MODEL, _WEIGHTS, _HASHES = "network.xml", "network.bin", "derived.json"

_log = logging.getLogger(__name__)


class Engine(Protocol):
    """Runs a network over a batch; the same batch gives the same logits, whatever ran before."""

    @property
    def name(self) -> EngineName:
        """What it is, with its precision."""
        ...

    @property
    def tokens(self) -> int:
        """Tokens of a batch, padding included, with which it is about as fast as it can be."""
        ...

    def run(self, batch: Batch) -> Logits:
        """Logits in fp32 on the CPU; any thread may ask."""
        ...


def fast_precision(device: str = "cpu") -> Precision:
    """bf16 where a device, `cpu` or `cuda`, multiplies its matrices faster than those of fp32."""
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    abilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # earlier releases of torch do not say
    return "bf16" if abilities.get("amx_bf16") or abilities.get("avx512_bf16") else "fp32"


class TorchEngine:
    """The network itself: on a GPU where there is one, in fp32 unless told otherwise."""

    def __init__(self, network: StanceframeNetwork, precision: Precision = "fp32") -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = network.to(self.device).eval()
        self.precision = precision
        self.name: EngineName = "torch-bf16" if precision == "bf16" else "torch-fp32"
        self.tokens = 16384 if self.device.type == "cuda" else 1024

    @torch.inference_mode()
    def run(self, batch: Batch) -> Logits:
        """Logits in fp32 on the CPU."""
        batch = batch.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            states = self.network.states(batch)
        # In bf16 the heads would round with the batch's shape.
        logits: Logits = self.network.read_off(states.float(), batch)
        return logits.float_cpu()


class OpenVinoEngine:
    """The network compiled for this processor.

    Args:
        network: what to compile.
        cache: folder of what was derived from the network. What is there is used where it was made with the same
            releases and is whole; else it is derived, and put there if the folder can be written.
        precision: bf16 or fp32; by default what this processor is faster with.

    Raises:
        ConfigError: OpenVINO is not installed, or cannot run the network.
    """

    def __init__(
        self, network: StanceframeNetwork, cache: Path | None = None, precision: Precision | None = None
    ) -> None:
        self.precision = precision or fast_precision()
        self.name: EngineName = "openvino-bf16" if self.precision == "bf16" else "openvino-fp32"
        self.tokens = 1024
        self._turn = threading.Lock()
        try:
            core = import_openvino().Core()
            kept = cache / _release() if cache is not None else None
            model = _read(core, kept)
            if model is None:
                derived = derive(network, kept)
                model = _read(core, kept) or derived  # the first start then runs the very model that later ones do
            hint = {"fp32": "f32", "bf16": "bf16"}[self.precision]
            settings = {
                "INFERENCE_PRECISION_HINT": hint,
                "PERFORMANCE_HINT": "LATENCY",
                "CPU_RUNTIME_CACHE_CAPACITY": "512",  # the default, 5000, takes half a gigabyte more
            }
            self._compiled = core.compile_model(model, "CPU", settings)
        except ImportError:
            raise ConfigError("OpenVINO is not installed: pip install openvino, or ask for a torch engine") from None
        except Exception as error:  # OpenVINO's own errors have no common root
            reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            raise ConfigError(f"OpenVINO cannot run the network, ask for a torch engine: {reason[0]}") from error

    def run(self, batch: Batch) -> Logits:
        """Logits in fp32 on the CPU."""
        with self._turn:
            said = self._compiled([tensor.numpy() for tensor in tensors_of(batch)])
        return Logits(*(torch.from_numpy(said[i]) for i in range(len(fields(Logits)))))


def import_openvino() -> Any:
    """OpenVINO without the telemetry that it would send when it is first imported."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # its import fails, and OpenVINO has a stub
    import openvino  # noqa: PLC0415 - torch is enough where it is not installed

    return openvino


def _release() -> str:
    """Names what the derived model depends on beside the weights."""
    made_by = (f"{name}-{version(name).split('+')[0]}" for name in ("openvino", "torch", "transformers"))
    return "_".join([*made_by, sha256(Path(network_module.__file__))[:8]])


def _read(core: Any, kept: Path | None) -> Any | None:
    """What was derived at an earlier start; None where nothing is kept that is whole."""
    if kept is None:
        return None
    try:
        hashes = read_json(kept / _HASHES)
        whole = all(sha256(kept / name) == hashes[name] for name in (_MODEL, _WEIGHTS))
        return core.read_model(kept / _MODEL) if whole else None
    except (CheckpointError, OSError, KeyError, TypeError, RuntimeError):
        return None


def derive(network: StanceframeNetwork, kept: Path | None) -> Any:
    """OpenVINO's form of the network, for inputs of any shape; `kept` is the folder to keep it in, if any."""
    with warnings.catch_warnings(), _quiet_transformers():
        warnings.simplefilter("ignore")  # tracing tells of Python values that are the same in every batch
        model = import_openvino().convert_model(Traced(network.cpu().eval()), example_input=tensors_of(example_batch()))
    if kept is not None:
        try:
            _keep(model, kept)
        except (OSError, RuntimeError) as error:  # a start that is slower next time is no reason to fail
            _log.warning("what OpenVINO derived from the network could not be kept in %s: %s", kept.parent, error)
    return model


def _keep(model: Any, kept: Path) -> None:
    """Keep a derived model, in half precision as the checkpoint's weights are, in place of those of other releases."""
    with replacing_folder(kept) as folder:
        import_openvino().save_model(model, folder / _MODEL)
        write_json(folder / _HASHES, {name: sha256(folder / name) for name in (_MODEL, _WEIGHTS)})
    for other in kept.parent.iterdir():
        if other != kept and not other.name.startswith("."):
            shutil.rmtree(other, ignore_errors=True)


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Tracing looks at every attribute of the network, and one warns of a loss that nobody asked for."""
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(before)


class Traced(nn.Module):
    """The network with plain tensors in and out."""

    def __init__(self, network: StanceframeNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """`Logits` by field of what `Batch` has by field."""
        logits: Logits = self.network(Batch(*tensors))
        return tensors_of(logits)


def tensors_of(of: Batch | Logits) -> tuple[Tensor, ...]:
    """Its fields, in their order."""
    return tuple(getattr(of, field.name) for field in fields(of))


def example_batch() -> Batch:
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
    if name == "auto":
        return _fastest(network, cache)
    library, _, precision = name.partition("-")
    exactly: Precision = "bf16" if precision == "bf16" else "fp32"
    return TorchEngine(network, exactly) if library == "torch" else OpenVinoEngine(network, cache, exactly)


def _fastest(network: StanceframeNetwork, cache: Path | None) -> Engine:
    if torch.cuda.is_available():
        return TorchEngine(network, fast_precision("cuda"))
    try:
        return OpenVinoEngine(network, cache)
    except ConfigError as error:
        _log.warning("torch runs the network: %s", error)
        return TorchEngine(network, fast_precision())
