"""Whether a candidate takes the incumbent's place: one figure, compared in pairs on the same sentences."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from stanceframe.models.labels import Frame, Sentiment, Stance
from stanceframe.models.types import Classifier, LabelledSentence, Sentence
from stanceframe.training.evaluate import DRAWS, SEED, gold, predicted
from stanceframe.training.metrics import Labels, bootstrap_groups, f1_by_class

MOST_LOST = 0.01
"""What a candidate may lose on the frozen test, as its lower bound."""
QUANTILE = 0.05


def quality(labels: Labels, said: Labels) -> float:
    """Mean of the macro-F1 of stance (all pairs pooled), of each frame (holds or not) and of sentiment.

    A head without gold is left out, as is a class without gold; NaN where there is no gold at all.
    """
    by_head = [
        f1_by_class(labels.stance.ravel(), said.stance.ravel(), len(Stance)),
        *(f1_by_class(labels.framing[:, i], said.framing[:, i], 2) for i in range(len(Frame))),
        f1_by_class(labels.sentiment, said.sentiment, len(Sentiment)),
    ]
    macros = [float(np.nanmean(f1)) for f1 in by_head if not np.isnan(f1).all()]
    return float(np.mean(macros)) if macros else float("nan")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Candidate and incumbent on the same sentences.

    `low` is the one-sided lower 95% bound of the difference in quality: the 5% quantile of 1,000 paired
    resamples of documents (Efron and Tibshirani 1993; for classifiers Berg-Kirkpatrick et al., EMNLP 2012).
    """

    name: str
    sentences: int
    incumbent: float
    candidate: float
    low: float

    @property
    def difference(self) -> float:
        """Quality gained."""
        return self.candidate - self.incumbent

    def to_json(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {**asdict(self), "difference": self.difference}

    def __str__(self) -> str:
        return (
            f"{self.name} ({self.sentences} sentences): incumbent {100 * self.incumbent:.1f}, candidate "
            f"{100 * self.candidate:.1f}, difference {100 * self.difference:+.1f}, at least {100 * self.low:+.1f}"
        )


def labels_said(classifier: Classifier, sentences: Sequence[LabelledSentence]) -> Labels:
    """What a classifier says of each sentence."""
    return predicted(classifier.predict([Sentence(sentence.text) for sentence in sentences])).labels


def compare_paired(
    name: str, sentences: Sequence[LabelledSentence], incumbent: Labels, candidate: Labels
) -> Comparison:
    """Compare what both say of the same sentences; both see the same resamples."""
    labels = gold(sentences)
    groups = np.unique([sentence.document for sentence in sentences], return_inverse=True)[1]
    differences = [
        quality(labels.rows(rows), candidate.rows(rows)) - quality(labels.rows(rows), incumbent.rows(rows))
        for rows in bootstrap_groups(groups, DRAWS, SEED)
    ]
    return Comparison(
        name=name,
        sentences=len(sentences),
        incumbent=quality(labels, incumbent),
        candidate=quality(labels, candidate),
        low=float(np.nanquantile(differences, QUANTILE)),
    )


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to promote, by what was compared."""

    frozen: Comparison
    new: Comparison

    @property
    def keeps_skills(self) -> bool:
        """Whether the frozen test rules out a loss of more than `MOST_LOST`."""
        return self.frozen.low >= -MOST_LOST

    @property
    def learns(self) -> bool:
        """Whether the held-out new labels show a gain beyond chance."""
        return self.new.low > 0

    @property
    def promote(self) -> bool:
        """Both must hold."""
        return self.keeps_skills and self.learns

    def reason(self) -> str:
        """Why, in plain words."""
        learns = (
            f"it is better on the held-out new labels, by {100 * self.new.low:.1f} points or more"
            if self.learns
            else "it is not surely better on the held-out new labels: the difference may be as low as "
            f"{100 * self.new.low:+.1f} points, and must be above 0"
        )
        keeps = (
            f"it loses at most {max(0.0, -100 * self.frozen.low):.1f} points on the frozen test"
            if self.keeps_skills
            else f"it may lose {-100 * self.frozen.low:.1f} points on the frozen test, where "
            f"{100 * MOST_LOST:.0f} is the most allowed"
        )
        return f"{learns}; {keeps}" if self.promote or not self.learns else f"{keeps}; {learns}"
