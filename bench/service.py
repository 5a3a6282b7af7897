"""The service beside the engine that it runs: start, one sentence on an idle service, many clients, memory.

    python bench/service.py [CORPUS] [--sentences 10000] [--clients 32]

Sentences as in `bench/engines.py`, distinct, and the service's memory of earlier answers is off. Client and service
share the machine, so that what the client costs counts against the service.
"""

import asyncio
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

import click
import httpx
from engines import REAL, sentences
from memory import MEGABYTE, proportional_memory

from stanceframe.models.checkpoint import SHIPPED
from stanceframe.models.classifier import StanceClassifier
from stanceframe.models.types import Sentence


@contextmanager
def serving() -> Iterator[tuple[str, int, float]]:
    """A service with the shipped checkpoint: its address, process and seconds from start to ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [Path(sys.executable).with_name("stanceframe"), "serve", "--port", str(port), "--model", str(SHIPPED)]
    variables = {**os.environ, "STANCEFRAME_REMEMBER_SENTENCES": "0", "STANCEFRAME_MAX_REQUESTS": "1000"}
    started = time.monotonic()
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, env=variables, stdout=log, stderr=log, start_new_session=True) as process,
    ):
        try:
            address = f"http://127.0.0.1:{port}"
            while not _ready(address):
                assert process.poll() is None
                time.sleep(0.05)
            yield address, process.pid, time.monotonic() - started
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def _ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


async def one_by_one(address: str, texts: Sequence[str]) -> float:
    """Median seconds of a request of one sentence that comes alone."""
    times = []
    async with httpx.AsyncClient() as client:
        for text in texts:
            start = time.perf_counter()
            (await client.post(f"{address}/predict", json={"sentences": [text]})).raise_for_status()
            times.append(time.perf_counter() - start)
    return statistics.median(times)


async def saturated(address: str, texts: Sequence[str], clients: int) -> float:
    """Sentences a second of so many clients, each of which sends from 1 to 64 sentences at a time."""
    chance = random.Random(0)
    waiting = iter(texts)

    async def ask(client: httpx.AsyncClient) -> None:
        while some := list(islice(waiting, chance.randint(1, 64))):
            (await client.post(f"{address}/predict", json={"sentences": some}, timeout=600)).raise_for_status()

    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=clients)) as client:
        start = time.perf_counter()
        await asyncio.gather(*(ask(client) for _ in range(clients)))
        return len(texts) / (time.perf_counter() - start)


def own_rates(texts: Sequence[str], alone: Sequence[str]) -> tuple[float, float]:
    """The engine's sentences a second on all, and its median seconds for one sentence alone."""
    classifier = StanceClassifier.from_pretrained(SHIPPED, "auto")
    labelled = [Sentence(text) for text in texts]
    classifier.predict(labelled[:64])
    start = time.perf_counter()
    for first in range(0, len(labelled), 500):
        classifier.predict(labelled[first : first + 500])
    rate = len(labelled) / (time.perf_counter() - start)
    times = []
    for text in alone:
        start = time.perf_counter()
        classifier.predict([Sentence(text)])
        times.append(time.perf_counter() - start)
    return rate, statistics.median(times)


@click.command(help=__doc__)
@click.argument("corpus", type=click.Path(exists=True, path_type=Path), required=False)
@click.option("--sentences", "count", default=10_000, show_default=True)
@click.option("--clients", default=32, show_default=True)
def main(corpus: Path | None, count: int, clients: int) -> None:
    distinct = list(sentences(corpus or (REAL if REAL.is_file() else None)))
    texts = [text if i < len(distinct) else f"{text} {i}" for i, text in zip(range(count), cycle(distinct))]
    alone = texts[:200]
    rate, single = own_rates(texts[: count // 4], alone)
    start = time.perf_counter()
    subprocess.run([Path(sys.executable).with_name("stanceframe"), "--help"], check=True, capture_output=True)
    helped = time.perf_counter() - start
    with serving() as (address, process, ready):
        asyncio.run(one_by_one(address, alone[:20]))
        idle = asyncio.run(one_by_one(address, alone))
        through = asyncio.run(saturated(address, texts, clients))
        memory = proportional_memory(process)
    click.echo(f"stanceframe --help: {helped:.2f} s; from start to ready: {ready:.1f} s")
    slower = f"{idle * 1000:.1f} ms; the engine alone: {single * 1000:.1f} ms; {idle / single:.2f} times"
    click.echo(f"one sentence, idle service: {slower}")
    share = f"{through:.0f} sentences/s; the engine alone: {rate:.0f}; share {through / rate:.2f}"
    click.echo(f"{clients} clients: {share}")
    click.echo(f"proportional memory after {count} sentences: {memory / MEGABYTE:.0f} MB")


if __name__ == "__main__":
    main()
