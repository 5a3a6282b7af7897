"""Sentences a second of each engine beside a plain loop, on real or on our own sentences, in one run.

    python bench/engines.py [CORPUS] [--sentences 2000] [--rounds 3] [--engine NAME]...

CORPUS is what `stanceframe score` reads, by default a year of one agency's articles where the developers' data is at
hand, else our own sentences; its first distinct sentences are labelled. Every round gives each contender its turn, the
matrices that the roofline is measured with included; the figures are medians of the rounds.

- loop: the checkpoint in torch and fp32, sentences in the order they come in, padded to the longest of a batch: what a
  transformers pipeline does, at the best of four batch sizes.
- loop, one target a pass: the same, each sentence once for each of the three targets, at its own best batch size.
- an engine's name: `StanceClassifier.score`, as the service and the corpus scorer call it.

The share of the roofline is sentences a second times the multiplications and additions of a sentence's real tokens
(padding not counted), over what the same library reaches in the same precision on square matrices of 2,048.
"""

import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import click
import numpy as np
import torch

from stanceframe.data.corpus import SHIPPED as CORPUS
from stanceframe.data.corpus import read_labelled
from stanceframe.models.checkpoint import SHIPPED
from stanceframe.models.classifier import SCHEMA_MENTIONS, StanceClassifier
from stanceframe.models.engines import Engine, OpenVinoEngine, TorchEngine
from stanceframe.models.types import ENGINES
from stanceframe.service.batch import sentences_of
from stanceframe.service.records import Record, RecordOptions, read
from stanceframe.service.sources import find_sources

BATCH_SIZES = (8, 16, 32, 64)
SQUARE = 2048
REAL = Path(__file__).parents[2] / "shared" / "data" / "corpus" / "kcna_2024.jsonl.gz"
Labelling = Callable[[Sequence[str]], object]


def sentences(corpus: Path | None) -> Iterator[str]:
    """Distinct sentences, in the corpus's order."""
    seen = set()
    for text in _all_sentences(corpus):
        if text not in seen:
            seen.add(text)
            yield text


def _all_sentences(corpus: Path | None) -> Iterator[str]:
    if corpus is None:
        yield from (sentence.text for sentence in read_labelled(CORPUS / "train.jsonl"))
        return
    options = RecordOptions()
    for source in find_sources([str(corpus)]):
        for item in read(source, options, lambda _: None):
            if isinstance(item, Record):
                yield from (sentence.text for sentence in sentences_of(item, options))


def loop(classifier: StanceClassifier, size: int, *, together: bool) -> Labelling:
    """A plain loop over batches of so many sentences."""
    asked = [SCHEMA_MENTIONS] if together else [(mention,) for mention in SCHEMA_MENTIONS]

    def label(texts: Sequence[str]) -> object:
        said = []
        for first in range(0, len(texts), size):
            some = texts[first : first + size]
            for mentions in asked:
                windows = list(classifier.encoder.windows(some, [mentions] * len(some)))
                logits = classifier.engine.run(classifier.encoder.collate(windows))
                said.append((logits.stance.softmax(-1), logits.framing.sigmoid(), logits.sentiment.softmax(-1)))
        return said

    return label


def best_loop(classifier: StanceClassifier, texts: Sequence[str], *, together: bool) -> tuple[str, Labelling]:
    """The loop of the batch size that is fastest on these sentences, and its name."""
    loops = {size: loop(classifier, size, together=together) for size in BATCH_SIZES}
    loops[BATCH_SIZES[0]](texts)
    best = max(loops, key=lambda size: rate(loops[size], texts))
    return f"loop, {'all targets' if together else 'one target'} a pass, {best} at a time", loops[best]


def engine(classifier: StanceClassifier) -> Labelling:
    """The product's own path."""
    return lambda texts: classifier.score(texts, [SCHEMA_MENTIONS] * len(texts))


def rate(label: Labelling, texts: Sequence[str]) -> float:
    """Sentences a second."""
    start = time.perf_counter()
    label(texts)
    return len(texts) / (time.perf_counter() - start)


def operations(classifier: StanceClassifier, texts: Sequence[str]) -> float:
    """Multiplications and additions of the encoder's matrices for a sentence, on average, without padding."""
    shape = classifier.engine.network.config.encoder_config()
    hidden, inner, layers = shape.hidden_size, shape.intermediate_size, shape.num_hidden_layers
    lengths = [len(w.input_ids) for w in classifier.encoder.windows(texts, [SCHEMA_MENTIONS] * len(texts))]
    weights = layers * (4 * hidden * hidden + 2 * hidden * inner)
    return sum(2 * weights * n + layers * 4 * n * n * hidden for n in lengths) / len(texts)


def multiplying(runs: Engine) -> Callable[[], object]:
    """Multiplies large squares by the engine's library in its precision."""
    multiply = _by_openvino(runs) if isinstance(runs, OpenVinoEngine) else _by_torch(runs)
    multiply()
    return multiply


def peak(multiply: Callable[[], object]) -> float:
    """Multiplications and additions a second."""
    times = []
    for _ in range(10):
        start = time.perf_counter()
        multiply()
        times.append(time.perf_counter() - start)
    return 2 * SQUARE**3 / statistics.median(times)


def _by_torch(runs: TorchEngine) -> Callable[[], object]:
    kind = torch.bfloat16 if runs.precision == "bf16" else torch.float32
    one, other = (torch.randn(SQUARE, SQUARE, device=runs.device).to(kind) for _ in range(2))
    return lambda: (one @ other).sum().item() if runs.device.type == "cuda" else one @ other


def _by_openvino(runs: OpenVinoEngine) -> Callable[[], object]:
    import openvino  # noqa: PLC0415
    from openvino import opset13  # noqa: PLC0415

    left = opset13.parameter([SQUARE, SQUARE], np.float32)
    right = opset13.constant(np.random.default_rng(0).standard_normal((SQUARE, SQUARE)).astype(np.float32))
    model = openvino.Model([opset13.matmul(left, right, False, True)], [left])
    hint = {"INFERENCE_PRECISION_HINT": {"bf16": "bf16", "fp32": "f32"}[runs.precision]}
    compiled = openvino.Core().compile_model(model, "CPU", hint)
    request, given = compiled.create_infer_request(), np.random.default_rng(1).standard_normal((SQUARE, SQUARE))
    request.set_input_tensor(openvino.Tensor(given.astype(np.float32)))
    return request.infer


@click.command(help=__doc__)
@click.argument("corpus", type=click.Path(exists=True, path_type=Path), required=False)
@click.option("--sentences", "count", default=2000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--engine", "names", type=click.Choice(list(ENGINES)), multiple=True, default=list(ENGINES[1:]))
@click.option("--model", type=click.Path(exists=True, path_type=Path), default=SHIPPED)
def main(corpus: Path | None, count: int, rounds: int, names: Sequence[str], model: Path) -> None:
    texts = list(islice(sentences(corpus or (REAL if REAL.is_file() else None)), count))
    exact = StanceClassifier.from_pretrained(model)
    engines = {name: StanceClassifier.from_pretrained(model, name) for name in names}  # type: ignore[arg-type]
    contenders = dict(best_loop(exact, texts[: count // 4], together=together) for together in (True, False))
    contenders |= {name: engine(classifier) for name, classifier in engines.items()}
    squares = {name: multiplying(classifier.engine) for name, classifier in engines.items()}
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    peaks: dict[str, list[float]] = {name: [] for name in squares}
    for label in contenders.values():
        label(texts[:64])
    for _ in range(rounds):
        for name, label in contenders.items():
            rates[name].append(rate(label, texts))
            if name in squares:
                peaks[name].append(peak(squares[name]))
    work = operations(exact, texts)
    base = statistics.median(next(iter(rates.values())))
    releases = ", ".join(f"{name} {version(name)}" for name in ("torch", "openvino", "transformers"))
    click.echo(f"{len(texts)} sentences, {work / 1e9:.2f} billion operations each; {exact.tag}, {releases}")
    click.echo(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads")
    click.echo("| way | sentences/s | least to most | times the loop | share of the roofline |\n|---|---|---|---|---|")
    for name, measured in rates.items():
        middle = statistics.median(measured)
        share = f"{middle * work / statistics.median(peaks[name]):.2f}" if name in peaks else "–"
        spread = f"{min(measured):.0f} to {max(measured):.0f}"
        click.echo(f"| {name} | {middle:.0f} | {spread} | {middle / base:.2f} | {share} |")


if __name__ == "__main__":
    main()
