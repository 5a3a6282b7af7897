"""Ways to tell the network of its targets, side by side: quality on labelled sentences, and milliseconds a sentence.

    python bench/conditioning.py --judge ../shared/data/news/dev.jsonl --sentences 2400

Each way is trained alike, by the student recipe's settings on the same labelled sentences; a fold of
their documents is left out and judged, and so is the file after --judge.

- markers: the product's network. Names before the sentence, mentions marked, read at the names: one pass.
- unmarked: the same, without the marks on the mentions.
- queries: the sentence alone is encoded; each target's encoded name attends over its states: one pass.
- single: the product's network, asked for one target a pass.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch
from torch import nn

from stanceframe.data.corpus import normalised, read_labelled
from stanceframe.data.examples import Example, from_labelled
from stanceframe.data.splits import fold_of
from stanceframe.models.calibration import Calibration
from stanceframe.models.classifier import Scores, StanceClassifier, decide
from stanceframe.models.engines import TorchEngine
from stanceframe.models.network import Batch, Logits, StanceframeConfig, StanceframeNetwork
from stanceframe.models.types import LabelledSentence, Mention, Sentence
from stanceframe.training.config import Recipe, read_recipe
from stanceframe.training.encoders import find_encoder
from stanceframe.training.evaluate import compare, predicted
from stanceframe.training.lessons import frozen_texts, read_sentences
from stanceframe.training.optimise import NOWHERE, Lesson, optimise
from stanceframe.training.train import new_network

SHOWN = ("stance_macro_f1", "stance_macro_f1_mentioned", "f1_sacred_struggle", "f1_desperation", "holder_accuracy")
TIMED = 512
WAYS = ("markers", "unmarked", "queries", "single")


class QueryNetwork(StanceframeNetwork):
    """Late interaction: target names are encoded apart and attend over the sentence's states."""

    def __init__(self, config: StanceframeConfig) -> None:
        super().__init__(config)
        hidden = config.encoder_config().hidden_size
        self.attend = nn.MultiheadAttention(hidden, 12, batch_first=True)
        self.attended = nn.LayerNorm(hidden)
        self.mixed = nn.LayerNorm(hidden)
        self.mix = nn.Sequential(nn.Linear(hidden, 4 * hidden), nn.GELU(), nn.Linear(4 * hidden, hidden))

    def forward(self, batch: Batch) -> Logits:
        """Every input of the batch must name the same targets: they are taken from the first."""
        start = int(batch.sentence_mask[0].long().argmax())

        def without_names(tensor: torch.Tensor) -> torch.Tensor:
            return torch.cat([tensor[:, :1], tensor[:, start:]], dim=1)

        slots, attention = without_names(batch.slot_ids), without_names(batch.attention_mask)
        states = self._encode(without_names(batch.input_ids), slots, attention)
        names = nn.utils.rnn.pad_sequence([batch.input_ids[0][mask] for mask in batch.name_mask[0]], batch_first=True)
        known = (names > 0).long()
        name_slots = torch.arange(1, len(names) + 1)[:, None] * known
        encoded = self._encode(names, name_slots, known)
        queries = (encoded * known[..., None]).sum(1) / known.sum(1, keepdim=True)
        queries = queries[None].expand(len(states), -1, -1)
        found, _ = self.attend(queries, states, states, key_padding_mask=attention == 0, need_weights=False)
        mixed = self.attended(queries + found)
        mixed = self.mixed(mixed + self.mix(mixed))
        marked = (slots[:, None, :] == torch.arange(1, len(names) + 1)[None, :, None]).to(states.dtype)
        mentioned = marked @ states / marked.sum(-1, keepdim=True).clamp(min=1)
        targets = torch.cat([mixed.to(states.dtype), mentioned], dim=-1)
        pooled = self.pool(states, attention.bool())
        return Logits(
            stance=self.stance(targets),
            holder=self.holder(targets),
            framing=torch.cat([head(pooled[:, i]) for i, head in enumerate(self.framing)], dim=-1),
            sentiment=self.sentiment(pooled[:, -1]),
        )

    def _encode(self, ids: torch.Tensor, slots: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
        embedded = self.encoder.get_input_embeddings()(ids) + self.slots(slots)
        states: torch.Tensor = self.encoder(inputs_embeds=embedded, attention_mask=attention).last_hidden_state
        return states


Score = Callable[[Sequence[Example]], list[Scores]]


def together(classifier: StanceClassifier, marked: bool) -> Score:
    """Ask for all targets in one pass."""

    def score(examples: Sequence[Example]) -> list[Scores]:
        asked = [[_asked(labels.mention, marked) for labels in example.targets] for example in examples]
        return classifier.score([example.text for example in examples], asked)

    return score


def one_by_one(classifier: StanceClassifier) -> Score:
    """Ask for one target a pass; frames and sentiment are those of the first."""

    def score(examples: Sequence[Example]) -> list[Scores]:
        texts = [example.text for example in examples]
        passes = [classifier.score(texts, [[e.targets[i].mention] for e in examples]) for i in range(3)]
        return [
            replace(
                first,
                stance=np.concatenate([said[row].stance for said in passes]),
                holder=np.concatenate([said[row].holder for said in passes]),
            )
            for row, first in enumerate(passes[0])
        ]

    return score


def _asked(mention: Mention, marked: bool) -> Mention:
    return mention if marked else Mention(mention.target, NOWHERE)


def _one_target_each(examples: Sequence[Example]) -> list[Example]:
    return [
        replace(e, targets=[t], framing=e.framing if i == 0 else None, sentiment=e.sentiment if i == 0 else None)
        for e in examples
        for i, t in enumerate(e.targets)
    ]


def train_way(way: str, recipe: Recipe, base: Path, examples: Sequence[Example]) -> Score:
    """Train one way, and return how it is asked."""
    network, encoder = new_network(recipe, base)
    if way == "queries":
        late = QueryNetwork(network.config)
        late.load_state_dict(network.state_dict(), strict=False)
        network = late
    if way == "unmarked":
        recipe = replace(recipe, unmarked=1.0)
    lessons = [Lesson(e) for e in (_one_target_each(examples) if way == "single" else examples)]
    optimise(network, encoder, lambda _: lessons, recipe)
    classifier = StanceClassifier(TorchEngine(network), encoder, Calibration())
    return one_by_one(classifier) if way == "single" else together(classifier, marked=way != "unmarked")


def milliseconds(scores: Sequence[Score], examples: Sequence[Example]) -> list[float]:
    """Median of three rounds, a sentence, in fp32; in each round every way has its turn."""
    took: list[list[float]] = [[] for _ in scores]
    for _ in range(3):
        for way, score in enumerate(scores):
            start = time.perf_counter()
            score(examples)
            took[way].append((time.perf_counter() - start) * 1000 / len(examples))
    return [statistics.median(times) for times in took]


def judge(score: Score, sentences: Sequence[LabelledSentence]) -> list[str]:
    """The figures shown, as cells."""
    scores = score([from_labelled(sentence) for sentence in sentences])
    said = [decide(Sentence(s.text), p, Calibration(), "") for s, p in zip(sentences, scores, strict=True)]
    figures = compare(sentences, predicted(said), "").figures
    return [f"{figures[name][0]:.3f}" for name in SHOWN]


@click.command()
@click.option("--judge", "judged", type=click.Path(path_type=Path, exists=True), help="Labelled sentences to judge by.")
@click.option("--sentences", default=1000, show_default=True, help="How many to learn from; 0 only times the ways.")
@click.option("--epochs", type=int, help="Instead of the recipe's.")
@click.option("--way", "ways", multiple=True, type=click.Choice(WAYS))
def main(judged: Path | None, sentences: int, epochs: int | None, ways: tuple[str, ...]) -> None:
    """Train and judge each way; prints a Markdown table."""
    recipe = read_recipe("student")
    recipe = replace(recipe, epochs=epochs or recipe.epochs)
    there = [source for source in recipe.data if source.file.is_file()]
    learned = next((source for source in there if source.calibrates), there[0])
    frozen = frozen_texts()
    everything = [s for s in read_sentences(learned) if normalised(s.text) not in frozen]
    held = [s for s in everything if fold_of(s.document_id or s.id, 5) == 0]
    rest = [from_labelled(s) for s in everything if fold_of(s.document_id or s.id, 5) != 0]
    chosen = [rest[i] for i in np.random.default_rng(recipe.seed).permutation(len(rest))[:sentences]]
    base = find_encoder(recipe.encoder)
    chosen_ways = ways or WAYS
    scores = [train_way(way, recipe, base, chosen) for way in chosen_ways]
    costs = milliseconds(scores, [from_labelled(s) for s in held[:TIMED]])
    if not sentences:
        for way, cost in zip(chosen_ways, costs, strict=True):
            click.echo(f"{way}: {cost:.1f} ms a sentence")
        return
    sets = [("left-out fold", held), *([(judged.stem, list(read_labelled(judged)))] if judged else [])]
    click.echo(f"| way | ms a sentence | set | {' | '.join(SHOWN)} |")
    click.echo(f"| {' | '.join(['---'] * (len(SHOWN) + 3))} |")
    for way, score, cost in zip(chosen_ways, scores, costs, strict=True):
        for name, some in sets:
            click.echo(f"| {way} | {cost:.1f} | {name} | {' | '.join(judge(score, some))} |")


if __name__ == "__main__":
    main()
