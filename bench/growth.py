"""How scoring grows: time and memory against the corpus's size, time against a sentence's length, and what 100 million
sentences would take.

    python bench/growth.py [--up-to 1000000] [--folder bench]

Each size is a run of `stanceframe score` of its own, over sentences of `bench/engines.py` in turn: the same text comes
back after some thousand others, and nothing is remembered. Memory is the largest proportional set size of the process
that was seen twice a second. The figures go into growth.json, and the picture into growth.png (it needs the extra
`plots`).
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import click
import torch
from engines import REAL, engine, operations, rate, sentences
from memory import MEGABYTE, proportional_memory

from stanceframe.models.checkpoint import SHIPPED
from stanceframe.models.classifier import StanceClassifier

DISTINCT = 5000
SIZES = (1000, 10_000, 100_000, 1_000_000)
WORDS = 20_000
LENGTHS = (8, 16, 32, 64, 128, 256, 512)
PLANNED = 100_000_000
GPU_TERAFLOPS = {"L4": 121, "H200": 989}
"""Dense bfloat16, by the makers' data sheets."""
GPU_SHARE = 0.25
"""Of that, what a small encoder may be hoped to reach with large batches: a guess until it is measured."""


def scored(texts: Sequence[str], count: int) -> dict[str, float]:
    """Seconds and largest memory of `stanceframe score` over so many sentences."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "corpus.jsonl").open("w") as file:
            file.writelines(json.dumps({"text": text}) + "\n" for text in islice(cycle(texts), count))
        program = Path(sys.executable).with_name("stanceframe")
        command = [program, "score", folder / "corpus.jsonl", "--unit", "sentence", "-o", folder / "out.parquet"]
        start, most = time.monotonic(), 0
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None:
                most = max(most, proportional_memory(process.pid))
                time.sleep(0.5)
        assert process.returncode == 0
        return {"sentences": count, "seconds": time.monotonic() - start, "megabytes": most / MEGABYTE}


def by_length(classifier: StanceClassifier, texts: Sequence[str], most: int) -> list[dict[str, float]]:
    """Milliseconds a sentence of so many words, cut from a running text of so many."""
    words = " ".join(texts).split()
    rows = []
    for length in LENGTHS:
        starts = range(0, min(len(words) - length, most), length)
        cut = [" ".join(words[start : start + length]) for start in starts]
        engine(classifier)(cut[:32])
        seconds = statistics.median(len(cut) / rate(engine(classifier), cut) for _ in range(3))
        rows.append({"words": length, "milliseconds": 1000 * seconds / len(cut)})
    return rows


def plan(sizes: Sequence[dict[str, float]], work: float) -> list[str]:
    """Lines of a table: what 100 million sentences take, and how that is reckoned."""
    most, cores = sizes[-1], torch.get_num_threads()
    a_second = most["sentences"] / most["seconds"]
    lines = ["| on | hours | reckoned |", "|---|---|---|"]
    hours = PLANNED / a_second / 3600
    lines.append(f"| this machine, {cores} cores | {hours:,.0f} | 10^8 / {a_second:.0f} a second, measured |")
    many = hours * cores / 32
    lines.append(f"| 32 such cores | {many:,.0f} | {32 // cores} runs side by side, each over its share of the files |")
    for name, teraflops in GPU_TERAFLOPS.items():
        on = PLANNED * work / (GPU_SHARE * teraflops * 1e12) / 3600
        reckoned = f"10^8 x {work / 1e9:.2f} x 10^9 / ({GPU_SHARE} x {teraflops} x 10^12 a second), not measured"
        lines.append(f"| one {name} | {on:,.1f} | {reckoned} |")
    return lines


def draw(figures: dict[str, Any], path: Path) -> None:
    """Three small pictures side by side."""
    import matplotlib  # noqa: PLC0415

    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    figure, axes = pyplot.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
    sizes, lengths = figures["sizes"], figures["lengths"]
    panels = (
        ([row["sentences"] for row in sizes], [row["seconds"] for row in sizes], "sentences", "seconds"),
        ([row["sentences"] for row in sizes], [row["megabytes"] for row in sizes], "sentences", "memory, MB"),
        ([row["words"] for row in lengths], [row["milliseconds"] for row in lengths], "words", "ms a sentence"),
    )
    for axis, (x, y, across, up) in zip(axes, panels, strict=True):
        axis.plot(x, y, marker="o", color="#1f4e79")
        axis.set_xscale("log")
        if "memory" not in up:
            axis.set_yscale("log")
        axis.set_ylim(bottom=0 if "memory" in up else None)
        axis.set_xlabel(across)
        axis.set_ylabel(up)
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


@click.command(help=__doc__)
@click.option("--up-to", default=1_000_000, show_default=True)
@click.option("--folder", type=click.Path(exists=True, path_type=Path), default=Path(__file__).parent)
def main(up_to: int, folder: Path) -> None:
    texts = list(islice(sentences(REAL if REAL.is_file() else None), DISTINCT))
    classifier = StanceClassifier.from_pretrained(SHIPPED, "auto")
    lengths = by_length(classifier, texts, WORDS if up_to > SIZES[0] else WORDS // 20)
    work = operations(StanceClassifier.from_pretrained(SHIPPED), texts[:1000])
    sizes = [scored(texts, size) for size in SIZES if size <= max(up_to, SIZES[0])]
    figures = {"model": classifier.tag, "engine": classifier.engine.name, "sizes": sizes, "lengths": lengths}
    (folder / "growth.json").write_text(json.dumps(figures, indent=1) + "\n")
    draw(figures, folder / "growth.png")
    for row in sizes:
        click.echo(f"{row['sentences']} sentences: {row['seconds']:.1f} s, at most {row['megabytes']:.0f} MB")
    for row in lengths:
        click.echo(f"{row['words']} words: {row['milliseconds']:.2f} ms a sentence")
    click.echo("\n".join(plan(sizes, work)))


if __name__ == "__main__":
    main()
