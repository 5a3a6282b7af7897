"""The gate that new labels pass before anything is learned from them.

`screen` looks at what comes in: sentences of the frozen test, ids used twice, duplicates. `settle` makes one
gold sentence of all annotators' labels for a text. `superseded` finds what they contradict in the corpus.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeVar

from stanceframe.data.corpus import normalised
from stanceframe.models.labels import Target
from stanceframe.models.types import LabelledSentence

NEAR = Fraction(9, 10)
"""Jaccard similarity of two texts' word sets from which they count as the same sentence."""
NAMED = 5
"""Ids that a note names before it only counts."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Rejected:
    """A sentence that is not taken, and why."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check lets through, what it does not, and what else a person should know, a line each."""

    kept: list[LabelledSentence]
    rejected: list[Rejected]
    notes: list[str]


class NearDuplicates:
    """Finds a text's near-duplicates among given texts: word sets with a Jaccard similarity of `NEAR` or more.

    Two such sets of n words share one of the first n - ceil(NEAR * n) + 1 in any fixed order, so that only
    texts with such a word in common are compared: the prefix filter of Chaudhuri, Ganti and Kaushik (ICDE
    2006). The longest words, being rare, come first in the order.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._words = [frozenset(normalised(text).split()) for text in texts]
        self._with: dict[str, list[int]] = defaultdict(list)
        for i, words in enumerate(self._words):
            for word in _prefix(words):
                self._with[word].append(i)

    def has(self, text: str) -> bool:
        """Whether the text, or nearly the same, is among them."""
        words = frozenset(normalised(text).split())
        if not words:
            return words in self._words
        candidates = {i for word in _prefix(words) for i in self._with.get(word, ())}
        return any(len(words & self._words[i]) >= NEAR * len(words | self._words[i]) for i in candidates)


def _prefix(words: frozenset[str]) -> list[str]:
    ordered = sorted(words, key=lambda word: (-len(word), word))
    return ordered[: len(words) - -(-NEAR * len(words) // 1) + 1]


def screen(labels: Sequence[LabelledSentence], frozen: NearDuplicates) -> Checked:
    """Keep one sentence for each text and annotator.

    A sentence of the frozen test, or nearly one, is rejected; so is one without a label, and an id that stood for
    another text before.
    Of an annotator's labels for the same text the last win.

    Args:
        labels: what came in, in its order.
        frozen: finds the sentences of the frozen test.
    """
    rejected: list[Rejected] = []
    text_of: dict[tuple[str, str | None], str] = {}
    by_key: dict[tuple[str, str | None], list[LabelledSentence]] = defaultdict(list)
    for sentence in labels:
        text = normalised(sentence.text)
        if frozen.has(sentence.text):
            rejected.append(Rejected(sentence.id, "it is a sentence of the frozen test, or nearly one"))
        elif not _has_labels(sentence):
            rejected.append(Rejected(sentence.id, "it has no label"))
        elif text_of.setdefault((sentence.id, sentence.annotator), text) != text:
            rejected.append(Rejected(sentence.id, "its id stands for another text before: ids are unique"))
        else:
            by_key[text, sentence.annotator].append(sentence)
    repeats = sum(_gold(s) == _gold(same[-1]) for same in by_key.values() for s in same[:-1])
    changed = [same[-1].id for same in by_key.values() if any(_gold(s) != _gold(same[-1]) for s in same)]
    notes = []
    if repeats:
        notes.append(f"{repeats} duplicates merged")
    if changed:
        notes.append(f"labelled in two ways by the same annotator, the last wins: {_named(changed)}")
    return Checked([same[-1] for same in by_key.values()], rejected, notes)


def settle(labels: Sequence[LabelledSentence]) -> Checked:
    """One sentence for each text, with the labels of the majority of its annotators.

    What is tied is left unlabelled, and a sentence left with no label is rejected.

    Args:
        labels: in the order in which they were given; of one annotator's for a text the last counts.
    """
    by_text: dict[str, dict[str | None, LabelledSentence]] = defaultdict(dict)
    for sentence in labels:
        by_text[normalised(sentence.text)][sentence.annotator] = sentence
    kept, rejected, tied = [], [], []
    for votes in by_text.values():
        sentence, ties = _majority(list(votes.values()))
        if ties:
            tied.append(f"{sentence.id} ({', '.join(ties)})")
        if _has_labels(sentence):
            kept.append(sentence)
        else:
            rejected.append(Rejected(sentence.id, "its annotators are tied" if ties else "it has no label"))
    notes = [f"annotators tied, and the label left out: {_named(tied)}"] if tied else []
    return Checked(kept, rejected, notes)


def _majority(votes: Sequence[LabelledSentence]) -> tuple[LabelledSentence, list[str]]:
    """A sentence by the majority of each label, and what is tied; a holder goes with the stance that won."""
    ties: list[str] = []

    def winner(field: str, values: Iterable[Value | None]) -> Value | None:
        counts = Counter(value for value in values if value is not None).most_common(2)
        if len(counts) == 2 and counts[0][1] == counts[1][1]:
            ties.append(field)
            return None
        return counts[0][0] if counts else None

    stance = {target: winner(f"stance.{target}", (v.stance.get(target) for v in votes)) for target in Target}
    holder = {
        target: winner(f"holder.{target}", (v.holder.get(target) for v in votes if v.stance.get(target) == won))
        for target, won in stance.items()
        if won is not None
    }
    framing = winner("framing", (v.framing for v in votes))
    sentiment = winner("sentiment", (v.sentiment for v in votes))
    return replace(
        votes[-1],
        stance=_labelled(stance),
        holder=_labelled(holder),
        framing=framing,
        sentiment=sentiment,
        annotator=votes[-1].annotator if len(votes) == 1 else None,
    ), ties


def _labelled(labels: Mapping[Target, Value | None]) -> dict[Target, Value]:
    return {target: label for target, label in labels.items() if label is not None}


def superseded(new: Sequence[LabelledSentence], corpus: Sequence[LabelledSentence]) -> Checked:
    """Of the corpus, what is not labelled anew: for the same text the new labels take the place of the old."""
    fresh = {normalised(sentence.text): sentence for sentence in new}
    kept, contradicted = [], []
    for sentence in corpus:
        other = fresh.get(normalised(sentence.text))
        if other is None:
            kept.append(sentence)
        elif _contradicts(other, sentence):
            contradicted.append(sentence.id)
    notes = []
    if contradicted:
        notes.append(f"labelled otherwise in the shipped corpus, the new labels win: {_named(contradicted)}")
    return Checked(kept, [], notes)


def _contradicts(one: LabelledSentence, other: LabelledSentence) -> bool:
    """Whether something is labelled in both, and differently."""
    return any(
        mine is not None and theirs is not None and mine != theirs
        for mine, theirs in zip(_gold(one), _gold(other), strict=True)
    )


def _gold(sentence: LabelledSentence) -> tuple[Any, ...]:
    """A sentence's labels alone, None where there is none."""
    stances = (sentence.stance.get(target) for target in Target)
    holders = (sentence.holder.get(target) for target in Target)
    return (*stances, *holders, sentence.framing, sentence.sentiment)


def _has_labels(sentence: LabelledSentence) -> bool:
    return any(label is not None for label in _gold(sentence))


def _named(ids: Sequence[str]) -> str:
    """Some ids, and how many there are."""
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return f"{', '.join(ids[:NAMED])}{more} ({len(ids)} in all)" if more else ", ".join(ids)
