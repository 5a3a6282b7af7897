"""Other ways to run the checkpoint on a CPU: how fast, and how close to torch in fp32.

    pip install -c constraints.txt -e '.[bench]'
    python bench/formats.py [--sentences 1000] [--rounds 3] [--way NAME]...

Speed is in sentences a second of `StanceClassifier.score` on the sentences of `bench/engines.py`, medians of rounds in
which each way has its turn. Quality is on the frozen test's sentences, as `tests/models/test_engines.py` asks it of an
engine: the share of stances, frames, sentiments and holders that stay as they are, and by how much the probabilities
move. Where the developers' data is at hand, the stance macro-F1 on its development set stands beside. Each is of
as many sentences as the speed, or of all that there are.

- openvino-int8: post-training quantisation by NNCF, scales fixed on 300 training sentences.
- openvino-int8-mlp: the same, sparing what is named after attention, pooling or a head: of 52 quantised activations
  16 are left, most of them in the feed-forward parts.
- onnx-int8-dynamic: weights in int8, scales of the activations taken from the batch. What a sentence gets then depends
  on its neighbours.
- onnx-int8-static: scales fixed on the same sentences as those of openvino-int8.
- torch-bf16-compiled: `torch.compile` with dynamic shapes; it needs a C++ compiler.
"""

import logging
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from engines import REAL, engine, rate, sentences

from stanceframe.data.corpus import SHIPPED as CORPUS
from stanceframe.data.corpus import read_labelled
from stanceframe.models.checkpoint import SHIPPED
from stanceframe.models.classifier import SCHEMA_MENTIONS, StanceClassifier, batches_by_length
from stanceframe.models.engines import (
    Engine,
    OpenVinoEngine,
    TorchEngine,
    Traced,
    derive,
    example_batch,
    fast_precision,
    import_openvino,
    tensors_of,
)
from stanceframe.models.network import Batch, Logits, StanceframeNetwork
from stanceframe.models.types import Sentence
from stanceframe.training.evaluate import evaluate

INPUTS = tuple(field.name for field in fields(Batch))
OUTPUTS = tuple(field.name for field in fields(Logits))
CALIBRATING = 300
NOT_MLP = [".*attention.*", ".*pool.*", ".*stance.*", ".*holder.*", ".*framing.*", ".*sentiment.*", ".*slots.*"]
DEV = REAL.parents[1] / "news" / "dev.jsonl"


class Session:
    """A compiled model behind the engines' Protocol: a function from arrays to arrays runs it."""

    tokens = 1024

    def __init__(self, name: str, run: Callable[[list[Any]], Sequence[Any]]) -> None:
        self.name = name
        self._run = run

    def run(self, batch: Batch) -> Logits:
        said = self._run([tensor.numpy() for tensor in tensors_of(batch)])
        return Logits(*(torch.from_numpy(np.asarray(part)).float() for part in said))


def arrays(classifier: StanceClassifier) -> Iterator[list[Any]]:
    """Batches to fix scales on: training sentences, by length."""
    texts = [sentence.text for sentence in islice(read_labelled(CORPUS / "train.jsonl"), CALIBRATING)]
    windows = list(classifier.encoder.windows(texts, [SCHEMA_MENTIONS] * len(texts)))
    for indices in batches_by_length([len(window.input_ids) for window in windows], 512):
        yield [tensor.numpy() for tensor in tensors_of(classifier.encoder.collate([windows[i] for i in indices]))]


def openvino_int8(classifier: StanceClassifier, *, only_mlp: bool) -> Engine:
    """NNCF's post-training quantisation for transformers: weights by channel, activations by tensor, fixed."""
    core = import_openvino().Core()
    import nncf  # noqa: PLC0415

    nncf.set_log_level(logging.ERROR)
    model = derive(classifier.engine.network, None)
    spared = nncf.IgnoredScope(patterns=NOT_MLP, validate=False) if only_mlp else None
    small = nncf.quantize(
        model,
        nncf.Dataset(list(arrays(classifier)), lambda batch: dict(enumerate(batch))),
        model_type=nncf.ModelType.TRANSFORMER,
        ignored_scope=spared,
        subset_size=CALIBRATING,
    )
    hint = {"INFERENCE_PRECISION_HINT": {"bf16": "bf16", "fp32": "f32"}[fast_precision()]}
    compiled = core.compile_model(small, "CPU", {**hint, "PERFORMANCE_HINT": "LATENCY"})

    def run(batch: list[Any]) -> list[Any]:
        said = compiled(batch)
        return [said[i] for i in range(len(OUTPUTS))]

    return Session("openvino-int8-mlp" if only_mlp else "openvino-int8", run)


def exported(network: StanceframeNetwork, folder: Path) -> Path:
    """The network as an ONNX file, for inputs of any shape."""
    path = folder / "network.onnx"
    given = tensors_of(example_batch())
    axes = {2: {0: "batch", 1: "length"}, 3: {0: "batch", 1: "targets", 2: "length"}}
    torch.onnx.export(
        Traced(network.cpu().eval()),
        given,
        str(path),
        input_names=list(INPUTS),
        output_names=list(OUTPUTS),
        dynamic_axes={name: axes[tensor.ndim] for name, tensor in zip(INPUTS, given, strict=True)},
        opset_version=17,
        dynamo=False,
    )
    return path


def onnx(classifier: StanceClassifier, folder: Path, kind: str) -> Engine:
    """ONNX Runtime in fp32 or int8."""
    import onnxruntime  # noqa: PLC0415
    from onnxruntime import quantization  # noqa: PLC0415

    path = exported(classifier.engine.network, folder)
    small = folder / f"{kind}.onnx"
    if kind == "fp32":
        small = path
    elif kind == "int8-dynamic":
        quantization.quantize_dynamic(path, small, per_channel=True, weight_type=quantization.QuantType.QInt8)
    else:
        ready = folder / "ready.onnx"
        quantization.quant_pre_process(path, ready, skip_symbolic_shape=True)
        quantization.quantize_static(
            ready, small, _Reader(classifier), per_channel=True, op_types_to_quantize=["MatMul", "Gemm"],
            activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
        )  # fmt: skip
    session = onnxruntime.InferenceSession(str(small), providers=["CPUExecutionProvider"])
    return Session(f"onnx-{kind}", lambda batch: session.run(list(OUTPUTS), dict(zip(INPUTS, batch, strict=True))))


class _Reader:
    """What ONNX Runtime's calibration asks for batch by batch."""

    def __init__(self, classifier: StanceClassifier) -> None:
        self._batches = arrays(classifier)

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self._batches, None)
        return None if batch is None else dict(zip(INPUTS, batch, strict=True))


class Compiled(TorchEngine):
    """Torch's own compiler over the network."""

    def __init__(self, network: StanceframeNetwork) -> None:
        super().__init__(network, "bf16")
        self.network = torch.compile(self.network, dynamic=True)  # type: ignore[assignment]


def ways(model: Path, folder: Path) -> dict[str, Callable[[], Engine]]:
    """What makes each engine, by its name; each has a network of its own."""

    def fresh() -> StanceClassifier:
        return StanceClassifier.from_pretrained(model)

    return {
        "torch-fp32": lambda: TorchEngine(fresh().engine.network),
        "torch-bf16": lambda: TorchEngine(fresh().engine.network, "bf16"),
        "torch-bf16-compiled": lambda: Compiled(fresh().engine.network),
        "openvino-fp32": lambda: OpenVinoEngine(fresh().engine.network, None, "fp32"),
        "openvino-bf16": lambda: OpenVinoEngine(fresh().engine.network, None, "bf16"),
        "openvino-int8": lambda: openvino_int8(fresh(), only_mlp=False),
        "openvino-int8-mlp": lambda: openvino_int8(fresh(), only_mlp=True),
        "onnx-fp32": lambda: onnx(fresh(), folder, "fp32"),
        "onnx-int8-dynamic": lambda: onnx(fresh(), folder, "int8-dynamic"),
        "onnx-int8-static": lambda: onnx(fresh(), folder, "int8-static"),
    }


def closeness(exact: Sequence[Any], other: Sequence[Any]) -> str:
    """Least share of labels that stay over the heads, mean and 99.9th percentile of what probabilities move by."""
    decided = (
        lambda p: [stance.label for stance in p.stance.values()],
        lambda p: [stance.holder for stance in p.stance.values()],
        lambda p: p.framing.labels,
        lambda p: p.sentiment.label,
    )
    same = min(np.mean([head(a) == head(b) for a, b in zip(exact, other, strict=True)]) for head in decided)

    def said(predictions: Sequence[Any]) -> Any:
        return np.array([[x for s in p.stance.values() for x in s.probabilities.values()] for p in predictions])

    moved = np.abs(said(exact) - said(other))
    return f"{100 * same:.1f}% | {moved.mean():.4f} | {np.quantile(moved, 0.999):.3f}"


@click.command(help=__doc__)
@click.option("--sentences", "count", default=1000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--way", "names", multiple=True, help="One of the ways; by default all.")
@click.option("--model", type=click.Path(exists=True, path_type=Path), default=SHIPPED)
def main(count: int, rounds: int, names: Sequence[str], model: Path) -> None:
    texts = list(islice(sentences(REAL if REAL.is_file() else None), count))
    unseen = [Sentence(sentence.text) for sentence in read_labelled(CORPUS / "test.jsonl")][:count]
    dev = list(islice(read_labelled(DEV), count)) if DEV.is_file() else []
    exact = StanceClassifier.from_pretrained(model)
    classifiers = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, make in ways(model, Path(folder)).items():
            if names and name not in names:
                continue
            try:
                classifiers[name] = StanceClassifier(make(), exact.encoder, exact.calibration)
                engine(classifiers[name])(texts[:64])
            except Exception as error:  # noqa: BLE001 - a way that cannot be run is reported, and the others go on
                click.echo(f"{name}: {type(error).__name__}: {str(error).splitlines()[:1]}", err=True)
                classifiers.pop(name, None)
        rates: dict[str, list[float]] = {name: [] for name in classifiers}
        for _ in range(rounds):
            for name, classifier in classifiers.items():
                rates[name].append(rate(engine(classifier), texts))
        before = exact.predict(unseen)
        base = statistics.median(rates["torch-fp32"]) if "torch-fp32" in rates else float("nan")
        click.echo("| way | sentences/s | times torch-fp32 | labels kept | mean | 99.9% | dev stance |")
        click.echo("|---|---|---|---|---|---|---|")
        for name, classifier in classifiers.items():
            middle = statistics.median(rates[name])
            score = f"{evaluate(dev, classifier).figures['stance_macro_f1'][0]:.4f}" if dev else "–"
            close = closeness(before, classifier.predict(unseen))
            click.echo(f"| {name} | {middle:.0f} | {middle / base:.2f} | {close} | {score} |")


if __name__ == "__main__":
    main()
