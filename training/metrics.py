"""Figures of merit, from gold labels and predictions as arrays of codes.

Labels are codes in the order of their enum; `UNLABELLED` stands where gold says nothing. For an interval
the rows that a bootstrap drew are measured like any others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from stanceframe.models.labels import Frame, Holder, Sentiment, Stance, Target

Codes = NDArray[np.int64]
Array = NDArray[np.float64]

UNLABELLED = -1
FAVOR, AGAINST, NEUTRAL, ABSENT = range(len(Stance))


@dataclass(frozen=True, slots=True)
class Labels:
    """Gold labels, or decisions, of N sentences.

    Shapes: stance and holder (N, 3), framing (N, 2), sentiment (N,).
    """

    stance: Codes
    holder: Codes
    framing: Codes
    sentiment: Codes

    def rows(self, index: Codes) -> "Labels":
        """The labels of some sentences."""
        return Labels(self.stance[index], self.holder[index], self.framing[index], self.sentiment[index])


@dataclass(frozen=True, slots=True)
class Predicted:
    """Decisions, with the confidence in each.

    Shapes: stance_confidence and answered (N, 3), framing_probability (N, 2).
    """

    labels: Labels
    stance_confidence: Array
    answered: NDArray[np.bool_]
    framing_probability: Array

    def rows(self, index: Codes) -> "Predicted":
        """The predictions of some sentences."""
        return Predicted(
            self.labels.rows(index),
            self.stance_confidence[index],
            self.answered[index],
            self.framing_probability[index],
        )


def f1_by_class(gold: Codes, predicted: Codes, classes: int) -> Array:
    """F1 of each class over the labelled rows; NaN for a class without gold."""
    known = gold != UNLABELLED
    table = np.bincount(gold[known] * classes + predicted[known], minlength=classes * classes).reshape(classes, classes)
    hits, in_gold, in_predicted = np.diag(table), table.sum(1), table.sum(0)
    f1 = 2 * hits / np.maximum(in_gold + in_predicted, 1)
    return np.where(in_gold > 0, f1, np.nan)


@dataclass(frozen=True, slots=True)
class Bin:
    """Some decisions of like confidence: how many, how confident on average, and how many of them are right."""

    count: int
    confidence: float
    accuracy: float


def reliability_bins(confidence: Array, correct: NDArray[np.bool_], bins: int = 10) -> list[Bin]:
    """Bins of equal mass, from the least confident on."""
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return [Bin(len(part), float(confidence[part].mean()), float(correct[part].mean())) for part in parts]


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """Mean gap between confidence and accuracy (Naeini et al., AAAI 2015); NaN of nothing."""
    count = sum(part.count for part in bins)
    return sum(abs(part.confidence - part.accuracy) * part.count for part in bins) / count if count else float("nan")


def measure(gold: Labels, predicted: Predicted) -> dict[str, float]:
    """Every figure of the contract; NaN where gold has nothing to judge it by."""
    said = predicted.labels
    gold_stance, said_stance = gold.stance.ravel(), said.stance.ravel()
    by_class = f1_by_class(gold_stance, said_stance, len(Stance))
    mentioned = np.isin(gold_stance, (FAVOR, AGAINST, NEUTRAL))
    of_mentioned = f1_by_class(np.where(mentioned, gold_stance, UNLABELLED), said_stance, len(Stance))[:ABSENT]
    sentiment = f1_by_class(gold.sentiment, said.sentiment, len(Sentiment))
    figures = {"stance_macro_f1": _mean(by_class), "stance_macro_f1_mentioned": _mean(of_mentioned)}
    figures |= {f"f1_{stance}": float(by_class[i]) for i, stance in enumerate(Stance)}
    for column, target in enumerate(Target):
        of_target = f1_by_class(gold.stance[:, column], said.stance[:, column], len(Stance))
        figures[f"f_avg_{target}"] = _mean(of_target[[FAVOR, AGAINST]])
    for column, frame in enumerate(Frame):
        figures[f"f1_{frame}"] = float(f1_by_class(gold.framing[:, column], said.framing[:, column], 2)[1])
    figures["holder_accuracy"] = _holder_accuracy(gold, said)
    figures["sentiment_macro_f1"] = _mean(sentiment)
    figures |= {f"ece_{head}": expected_calibration_error(bins) for head, bins in reliability(gold, predicted).items()}
    answered = predicted.answered.ravel()[mentioned]
    right = (said_stance == gold_stance)[mentioned]
    figures["answered_share"] = float(answered.mean()) if len(answered) else float("nan")
    figures["answered_accuracy"] = float(right[answered].mean()) if answered.any() else float("nan")
    return figures


def _mean(values: Array) -> float:
    """Mean of what is there; NaN of nothing."""
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else float("nan")


def _holder_accuracy(gold: Labels, said: Labels) -> float:
    """Over the pairs where gold and prediction agree on favor or on against, and gold names the holder."""
    agreed = (gold.stance == said.stance) & np.isin(gold.stance, (FAVOR, AGAINST)) & (gold.holder != UNLABELLED)
    return float((gold.holder == said.holder)[agreed].mean()) if agreed.any() else float("nan")


def reliability(gold: Labels, predicted: Predicted) -> dict[str, list[Bin]]:
    """Bins of the most probable answer, for the stance toward each target and for each frame."""
    heads = {}
    for column, target in enumerate(Target):
        known = gold.stance[:, column] != UNLABELLED
        right = predicted.labels.stance[known, column] == gold.stance[known, column]
        heads[f"{target}"] = reliability_bins(predicted.stance_confidence[known, column], right)
    for column, frame in enumerate(Frame):
        known = gold.framing[:, column] != UNLABELLED
        probability, holds = predicted.framing_probability[known, column], gold.framing[known, column] == 1
        top = np.maximum(probability, 1.0 - probability)
        heads[f"{frame}"] = reliability_bins(top, (probability >= 0.5) == holds)
    return heads


def missing_classes(gold: Labels) -> list[str]:
    """Classes that gold never has, and that a macro therefore leaves out."""
    parts: Mapping[str, tuple[type[StrEnum], Codes]] = {
        "stance": (Stance, gold.stance),
        "holder": (Holder, gold.holder),
        "sentiment": (Sentiment, gold.sentiment),
    }
    missing = [
        f"{name}.{label}" for name, (kind, codes) in parts.items() for i, label in enumerate(kind) if i not in codes
    ]
    return missing + [f"framing.{frame}" for i, frame in enumerate(Frame) if not (gold.framing[:, i] == 1).any()]


def bootstrap_groups(groups: Codes, draws: int, seed: int) -> list[Codes]:
    """Row indices of seeded resamples of whole groups (documents), drawn with replacement."""
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    random = np.random.default_rng(seed)
    return [np.concatenate([members[i] for i in random.integers(0, len(members), len(members))]) for _ in range(draws)]
