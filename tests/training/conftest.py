"""A toy world to train in: a tiny base encoder on disk, and sentences whose labels stand in their words."""

import itertools
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from stanceframe.data.corpus import write_labelled
from stanceframe.models.labels import Frame, Holder, Sentiment, Stance, Target
from stanceframe.models.types import LabelledSentence
from stanceframe.training.config import DataSource, Recipe

NAMES = {Target.RUSSIA: "moscow", Target.NORTH_KOREA: "pyongyang", Target.UNITED_STATES: "washington"}
VERBS = {
    "praised": (Stance.FAVOR, Sentiment.POSITIVE),
    "condemned": (Stance.AGAINST, Sentiment.NEGATIVE),
    "met": (Stance.NEUTRAL, Sentiment.NEUTRAL),
}
ENDINGS = {"a sacred war": {Frame.SACRED_STRUGGLE}, "desperate": {Frame.DESPERATION}, "and the war": set()}


def toy_sentences() -> list[LabelledSentence]:
    """Every sentence of the toy world, each labelled in full; six to a document, in two kinds of publisher."""
    cells = list(itertools.product(NAMES.items(), VERBS.items(), ENDINGS.items(), ("kim", "putin")))
    random.Random(0).shuffle(cells)
    return [
        LabelledSentence(
            id=f"toy-{i}",
            text=f"{who} {verb} {name} , {ending} .",
            stance={t: stance if t is target else Stance.ABSENT for t in Target},
            holder={target: Holder.NORTH_KOREA if who == "kim" else Holder.RUSSIA} if stance.is_evaluation else {},
            framing=frozenset(frames),
            sentiment=tone,
            document_id=f"document {i // 6}",
            publisher_kind=("agency", "paper")[i // 6 % 2],
        )
        for i, ((target, name), (verb, (stance, tone)), (ending, frames), who) in enumerate(cells)
    ]


@pytest.fixture(scope="session")
def toy() -> list[LabelledSentence]:
    """See `toy_sentences`."""
    return toy_sentences()


@pytest.fixture(scope="session")
def toy_file(toy, tmp_path_factory) -> Path:
    """The toy world as a file."""
    path = tmp_path_factory.mktemp("toy") / "toy.jsonl"
    write_labelled(path, toy)
    return path


@pytest.fixture(scope="session")
def base(new_tiny, tmp_path_factory) -> Path:
    """A folder with a tiny base encoder, as published ones are."""
    classifier = new_tiny()
    encoder = classifier.engine.network.encoder
    torch.manual_seed(0)
    for parameter in encoder.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.05)
    folder = tmp_path_factory.mktemp("base")
    save_file(encoder.state_dict(), folder / "model.safetensors")
    encoder.config.to_json_file(folder / "config.json", use_diff=False)
    classifier.encoder.tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="session")
def recipe(base, toy_file) -> Recipe:
    """A recipe that begins to learn the toy world in a fraction of a second; 30 epochs are enough for all of it."""
    return Recipe(
        name="toy",
        encoder=str(base),
        data=(DataSource(str(toy_file)),),
        epochs=2,
        batch_size=8,
        learning_rate=5e-3,
        dropout=0.0,
        max_length=96,
        unmarked=0.0,
    )
