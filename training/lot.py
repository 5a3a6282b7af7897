"""The labels that a retraining has at hand: what to learn, what to judge by, what to replay."""

from collections.abc import Sequence
from dataclasses import dataclass

from stanceframe.data.checks import NearDuplicates, settle, superseded
from stanceframe.data.corpus import normalised
from stanceframe.data.splits import held_out
from stanceframe.data.store import Stored
from stanceframe.models.types import LabelledSentence

HELD_OUT = 0.3
"""Part of the new labels that is never learned from."""


@dataclass(frozen=True, slots=True)
class Lot:
    """Labels at hand: `learn` and `judge` are new, `replay` is known already."""

    learn: list[LabelledSentence]
    judge: list[LabelledSentence]
    replay: list[LabelledSentence]
    notes: list[str]

    @property
    def new(self) -> int:
        """How many sentences have new labels."""
        return len(self.learn) + len(self.judge)


def gather(rows: Sequence[Stored], since: str | None, corpus: Sequence[LabelledSentence]) -> Lot:
    """Sort the labels at hand into what to learn, what to judge by, and what to replay.

    Args:
        rows: the store's current labels, in the order in which they came in.
        since: a sentence with a label stored after this time is new; None: all are.
        corpus: the shipped corpus, for the replay.
    """
    settled = settle([row.sentence for row in rows])
    fresh = {normalised(row.sentence.text) for row in rows if since is None or row.stored_at > since}
    texts = [normalised(sentence.text) for sentence in settled.kept]
    judging = held_out(texts, HELD_OUT, "retrain")
    known = superseded(settled.kept, corpus)
    parts: dict[tuple[bool, bool], list[LabelledSentence]] = {}
    for sentence, text, judges in zip(settled.kept, texts, judging, strict=True):
        parts.setdefault((text in fresh, judges), []).append(sentence)
    judge = parts.get((True, True), [])
    near = NearDuplicates(sentence.text for part in (True, False) for sentence in parts.get((part, True), []))
    learn = [sentence for sentence in parts.get((True, False), []) if not near.has(sentence.text)]
    notes = [f"rejected {rejected.id}: {rejected.reason}" for rejected in settled.rejected]
    notes += [*settled.notes, *known.notes]
    if left_out := len(parts.get((True, False), [])) - len(learn):
        notes.append(f"{left_out} new labels left out: nearly the same sentence is held out")
    return Lot(learn, judge, [*known.kept, *parts.get((False, False), [])], notes)
