"""Evidence: the words of a sentence that moved a label most.

By erasure (Li, Monroe and Jurafsky, 2016, arXiv 1612.08220, "Understanding Neural Networks through
Representation Erasure"): a word weighs as much as the label's probability falls when the sentence is read without
it. It says what the classifier went by, not whether it was right to. A sentence of N words takes N more passes.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from stanceframe.models.classifier import SCHEMA_MENTIONS, Scores, StanceClassifier
from stanceframe.models.encoding import find_mentions
from stanceframe.models.labels import TARGETS, Frame, Stance, Target
from stanceframe.models.types import Evidence, Prediction, Sentence, Span

MOST = 5
"""Words that are named for one label."""
LEAST = 0.01
"""A word that moves the probability by less is not named."""
MOST_CHARACTERS = 600
"""A longer sentence is not explained: each of its many words would take a pass of several windows."""
_WORD = re.compile(r"\w+(?:[-'’.]\w+)*")


class Explaining:
    """A classifier whose predictions carry evidence.

    Evidence is given for each frame that holds, and for each target that somebody favours or is against: not for
    the words that name that target, without which nothing would be said of it. A sentence of more than
    `MOST_CHARACTERS` has none.

    Args:
        classifier: what labels.
    """

    def __init__(self, classifier: StanceClassifier) -> None:
        self.classifier = classifier

    @property
    def tag(self) -> str:
        """Name and hash of what predicts."""
        return self.classifier.tag

    def predict(self, sentences: Sequence[Sentence]) -> list[Prediction]:
        """Label every sentence, in their order, and say what moved the labels."""
        return [self._explained(prediction) for prediction in self.classifier.predict(sentences)]

    def _explained(self, prediction: Prediction) -> Prediction:
        text = prediction.sentence.text
        asked = list(_asked(prediction)) if len(text) <= MOST_CHARACTERS else []
        if not asked:
            return replace(prediction, evidence=())
        words = [match.span() for match in _WORD.finditer(text)]
        shorter = [without(text, [word]) for word in words]
        erased = self.classifier.score(shorter, [SCHEMA_MENTIONS] * len(shorter))
        return replace(
            prediction,
            evidence=tuple(found for label in asked for found in _heaviest(prediction, label, words, erased)),
        )


def without(text: str, words: Sequence[Span]) -> str:
    """A text less some words, in their order, and less the spaces that would be left doubled."""
    kept, place = [], 0
    for start, end in words:
        kept.append(text[place:start])
        place = end
    return " ".join("".join([*kept, text[place:]]).split())


def _asked(prediction: Prediction) -> Iterator[Target | Frame]:
    """What evidence is given for."""
    yield from (target for target, stance in prediction.stance.items() if stance.label.is_evaluation)
    yield from prediction.framing.labels


def _heaviest(
    prediction: Prediction, label: Target | Frame, words: Sequence[Span], erased: Sequence[Scores]
) -> list[Evidence]:
    start, text = prediction.sentence.start, prediction.sentence.text
    naming = find_mentions(text, TARGETS[label]) if isinstance(label, Target) else []
    weights = [
        (_before(prediction, label) - _after(prediction, label, scores), word)
        for word, scores in zip(words, erased, strict=True)
        if not any(word[0] < end and first < word[1] for first, end in naming)
    ]
    heaviest = sorted((w for w in weights if w[0] >= LEAST), reverse=True)[:MOST]
    return [Evidence(label, start + first, start + end, weight) for weight, (first, end) in heaviest]


def _before(prediction: Prediction, label: Target | Frame) -> float:
    if isinstance(label, Target):
        return prediction.stance[label].confidence
    return prediction.framing.probabilities[label]


def _after(prediction: Prediction, label: Target | Frame, scores: Scores) -> float:
    """The same probability in other scores."""
    if isinstance(label, Target):
        stance = list(Stance).index(prediction.stance[label].label)
        return float(scores.stance[list(Target).index(label), stance])
    return float(scores.framing[list(Frame).index(label)])
