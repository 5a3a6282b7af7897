"""The story of a retraining, replayed with the real commands: `make story`, or `python tests/story.py`.

A newsroom calls governments by their streets and by-names, which the shipped checkpoint takes for absent. It
hands in 300 labels: a checkpoint that reads them is promoted, and the service answers otherwise. The same
labels, shuffled among the sentences, are refused. Everything happens in a temporary folder.
"""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from stanceframe.data.corpus import read_labelled, write_labelled
from stanceframe.models.types import LabelledSentence

LABELS = Path(__file__).resolve().parents[1] / "data" / "stories" / "bynames.jsonl"
PROBES = (
    "The memo that reached Foggy Bottom on Thursday names three banks.",
    "A Polish minister accused the Lubyanka of setting fire to the depot.",
    "Changgwang Street thanked its guests for the diesel.",
)
"""Sentences that are in no training set; the first target of each is named by its by-name only."""
COMMAND = (sys.executable, "-c", "from stanceframe.service.cli import main; main()")
STARTING_SECONDS = 120


def shuffled(sentences: list[LabelledSentence], seed: int = 0) -> list[LabelledSentence]:
    """The same sentences, each with the labels of another."""
    givers = sentences.copy()
    random.Random(seed).shuffle(givers)
    return [
        replace(s, stance=g.stance, holder=g.holder, framing=g.framing, sentiment=g.sentiment)
        for s, g in zip(sentences, givers, strict=True)
    ]


def environment(folder: Path) -> dict[str, str]:
    """Variables under which an installation keeps everything in one folder."""
    return {**os.environ, "STANCEFRAME_HOME": str(folder / "home"), "BENTOML_HOME": str(folder / "bentoml")}


def stanceframe(folder: Path, *arguments: str) -> str:
    """Run a command and return what it prints."""
    click.secho(f"$ stanceframe {' '.join(Path(a).name if '/' in a else a for a in arguments)}", bold=True)
    done = subprocess.run(
        [*COMMAND, *arguments], env=environment(folder), stdout=subprocess.PIPE, text=True, check=True
    )
    click.echo(done.stdout)
    return done.stdout


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The service's address, while it runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [*COMMAND, "--quiet", "serve", "--port", str(port)], env=environment(folder), stdout=subprocess.DEVNULL
    )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(f"{address}/readyz", process)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def _wait(address: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise RuntimeError("the service did not start")


def answers(folder: Path) -> tuple[str, list[dict[str, str]]]:
    """The serving checkpoint's tag, and the stance that it gives each probe."""
    body = json.dumps({"sentences": list(PROBES)}).encode()
    with served(folder) as address:
        request = urllib.request.Request(f"{address}/predict", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            answer: Mapping[str, Any] = json.load(response)
    return answer["model"], [
        {target: stance["label"] for target, stance in sentence["stance"].items()} for sentence in answer["sentences"]
    ]


def show(model: str, stances: list[dict[str, str]]) -> None:
    """Print what the service says."""
    click.echo(f"The service runs {model}:")
    for text, stance in zip(PROBES, stances, strict=True):
        said = ", ".join(f"{target} {label}" for target, label in stance.items() if label != "absent")
        click.echo(f"  {text}  ->  {said or 'nobody mentioned'}")
    click.echo()


def replay(folder: Path) -> None:
    """Tell the story; an assertion fails where it ends otherwise."""
    labels = list(read_labelled(LABELS))
    (folder / "right").mkdir()
    (folder / "wrong").mkdir()
    right, wrong = folder / "right" / "labels.jsonl", folder / "wrong" / "shuffled.jsonl"
    shutil.copy(LABELS, right)
    write_labelled(wrong, shuffled(labels))

    before, stances_before = answers(folder / "right")
    show(before, stances_before)
    assert "\nPromoted " in stanceframe(folder / "right", "retrain", "--labels", str(right))
    after, stances_after = answers(folder / "right")
    show(after, stances_after)
    assert after != before
    assert stances_after != stances_before
    assert f"*  {after}" in stanceframe(folder / "right", "model", "list")
    assert f"{before} answers now" in stanceframe(folder / "right", "model", "rollback")
    assert answers(folder / "right") == (before, stances_before)

    assert "\nRefused, " in stanceframe(folder / "wrong", "retrain", "--labels", str(wrong))
    assert answers(folder / "wrong")[0] == before
    click.secho("The story ended as it should.", bold=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        replay(Path(temporary))
