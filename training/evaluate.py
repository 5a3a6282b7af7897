"""Judges a classifier on labelled sentences: figures with intervals, for all and for each kind of publisher."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from stanceframe.data.examples import Example
from stanceframe.models.classifier import StanceClassifier
from stanceframe.models.errors import InputError
from stanceframe.models.labels import Frame, Holder, Sentiment, Stance, Target
from stanceframe.models.types import Classifier, LabelledSentence, Prediction, Sentence
from stanceframe.training.metrics import (
    ABSENT,
    UNLABELLED,
    Bin,
    Codes,
    Labels,
    Predicted,
    bootstrap_groups,
    f1_by_class,
    measure,
    missing_classes,
    reliability,
)

DRAWS = 1000
SEED = 20240619
CHUNK = 2000

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured.

    `figures` maps each figure to `(value, low, high)`, the interval at 95%; `slices` has the same for each
    kind of publisher, with its number of sentences. `count` is of what was judged: sentences, mentions or cases.
    `reliability` has the bins of the calibration error, for each target and frame; `failed` the ids of cases.
    """

    model: str
    count: int
    figures: dict[str, tuple[float, float, float]]
    slices: dict[str, tuple[int, dict[str, tuple[float, float, float]]]]
    missing: list[str]
    unit: str = "sentences"
    reliability: dict[str, list[Bin]] = field(default_factory=dict)
    failed: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """The object that `evaluate --json` prints; a figure that nothing decides is null."""
        value: dict[str, Any] = {"model": self.model, "n": self.count, "unit": self.unit, **_as_json(self.figures)}
        value["missing"] = self.missing
        value["slices"] = {
            "publisher_kind": {kind: {"n": n, **_as_json(figures)} for kind, (n, figures) in self.slices.items()}
        }
        if self.unit == "cases":
            value["failed"] = list(self.failed)
        if self.reliability:
            value["reliability"] = {head: [asdict(part) for part in bins] for head, bins in self.reliability.items()}
        return value

    def to_table(self) -> str:
        """A table for people."""
        rows = [("", "value", "95% interval")]
        rows += [
            (name, f"{value:.3f}", f"{low:.3f} to {high:.3f}")
            for name, (value, low, high) in self.figures.items()
            if not np.isnan(value)
        ]
        lines = [f"{self.model} on {self.count} {self.unit}", "", *_aligned(rows)]
        if self.missing:
            why = "without a case that counts" if self.unit == "cases" else "without gold"
            lines += ["", f"{why}, and left out: {', '.join(self.missing)}"]
        if self.failed:
            lines += ["", f"failed: {', '.join(self.failed)}"]
        if self.slices:
            shown = [name for name in SHOWN_IN_SLICES if name in self.figures]
            head = ("publisher kind", "n", *shown)
            body = [
                (kind, str(n), *(f"{figures[name][0]:.3f}".replace("nan", "–") for name in shown))
                for kind, (n, figures) in self.slices.items()
            ]
            lines += ["", *_aligned([head, *body])]
        return "\n".join(lines)


SHOWN_IN_SLICES = (
    "stance_macro_f1",
    "stance_macro_f1_mentioned",
    "f1_sacred_struggle",
    "f1_desperation",
    "holder_accuracy",
    "sentiment_macro_f1",
)


def _as_json(figures: dict[str, tuple[float, float, float]]) -> dict[str, Any]:
    return {
        name: dict(
            zip(("value", "low", "high"), (None if np.isnan(x) else round(float(x), 6) for x in row), strict=True)
        )
        for name, row in figures.items()
    }


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows in columns: the first flush left, the others flush right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def evaluate(sentences: Sequence[LabelledSentence], classifier: Classifier) -> Evaluation:
    """Predict every sentence and compare.

    Raises:
        InputError: there is nothing to judge by.
    """
    if not sentences:
        raise InputError("there are no labelled sentences to evaluate on")
    predictions: list[Prediction] = []
    for first in range(0, len(sentences), CHUNK):
        predictions += classifier.predict([Sentence(s.text) for s in sentences[first : first + CHUNK]])
    return compare(sentences, predicted(predictions), classifier.tag)


def compare(sentences: Sequence[LabelledSentence], said: Predicted, model: str) -> Evaluation:
    """Figures with intervals from 1,000 seeded resamples of documents."""
    labels = gold(sentences)
    groups = np.unique([s.document for s in sentences], return_inverse=True)[1]
    kinds = np.array([s.publisher_kind or "" for s in sentences])
    slices = {}
    for kind in sorted(set(kinds.tolist()) - {""}):
        rows = np.flatnonzero(kinds == kind)
        slices[kind] = (len(rows), _with_intervals(labels.rows(rows), said.rows(rows), groups[rows]))
    return Evaluation(
        model=model,
        count=len(sentences),
        figures=_with_intervals(labels, said, groups),
        slices=slices,
        missing=missing_classes(labels),
        reliability=reliability(labels, said),
    )


def _with_intervals(labels: Labels, said: Predicted, groups: Codes) -> dict[str, tuple[float, float, float]]:
    draws = bootstrap_groups(groups, DRAWS, SEED)
    return intervals(measure(labels, said), (measure(labels.rows(rows), said.rows(rows)) for rows in draws))


def intervals(values: Figures, resampled: Iterable[Figures]) -> dict[str, tuple[float, float, float]]:
    """Each figure with the 2.5% and 97.5% quantiles of its resamples; a resample without a value is left out."""
    drawn = list(resampled)
    figures = {}
    for name, value in values.items():
        some = np.array([figures_of_draw[name] for figures_of_draw in drawn])
        some = some[~np.isnan(some)]
        low, high = np.quantile(some, [0.025, 0.975]) if len(some) else (np.nan, np.nan)
        figures[name] = (value, float(low), float(high))
    return figures


def gold(sentences: Sequence[LabelledSentence]) -> Labels:
    """Labels as codes."""
    return Labels(
        stance=_codes([[s.stance.get(t) for t in Target] for s in sentences], list(Stance)),
        holder=_codes([[s.holder.get(t) for t in Target] for s in sentences], list(Holder)),
        framing=np.array(
            [[UNLABELLED if s.framing is None else int(frame in s.framing) for frame in Frame] for s in sentences]
        ).reshape(-1, len(Frame)),
        sentiment=_codes([[s.sentiment] for s in sentences], list(Sentiment))[:, 0],
    )


def predicted(predictions: Sequence[Prediction]) -> Predicted:
    """Predictions as codes."""
    stances = [[p.stance[t] for t in Target] for p in predictions]
    return Predicted(
        labels=Labels(
            stance=_codes([[s.label for s in row] for row in stances], list(Stance)),
            holder=_codes([[s.holder for s in row] for row in stances], list(Holder)),
            framing=np.array([[int(frame in p.framing.labels) for frame in Frame] for p in predictions]),
            sentiment=_codes([[p.sentiment.label] for p in predictions], list(Sentiment))[:, 0],
        ),
        stance_confidence=np.array([[s.confidence for s in row] for row in stances]),
        answered=np.array([[not s.abstained for s in row] for row in stances]),
        framing_probability=np.array([[p.framing.probabilities[frame] for frame in Frame] for p in predictions]),
    )


def _codes(rows: Sequence[Sequence[Any]], labels: Sequence[Any]) -> Codes:
    index = {label: i for i, label in enumerate(labels)}
    return np.array([[UNLABELLED if label is None else index[label] for label in row] for row in rows], dtype=np.int64)


def evaluate_mentions(examples: Sequence[Example], classifier: StanceClassifier) -> Evaluation:
    """NewsMTSC's figures: macro-F1 over favor, against and neutral toward each marked mention.

    Raises:
        InputError: there is nothing to judge by.
    """
    asked = [[labels.mention for labels in example.targets] for example in examples]
    scores = classifier.score([example.text for example in examples], asked)
    stances = list(Stance)
    rows = [
        (number, stances.index(labels.stance), int(score.stance[i][:ABSENT].argmax()))
        for number, (example, score) in enumerate(zip(examples, scores, strict=True))
        for i, labels in enumerate(example.targets)
        if labels.stance is not None
    ]
    if not rows:
        raise InputError("there are no labelled mentions to evaluate on")
    groups, labels, said = np.array(rows, dtype=np.int64).T

    def figures(index: Codes) -> Figures:
        by_class = f1_by_class(labels[index], said[index], len(Stance))
        values = {"macro_f1": float(np.nanmean(by_class[:ABSENT]))}
        values |= {f"f1_{stance}": float(by_class[i]) for i, stance in enumerate(stances[:ABSENT])}
        return values | {"accuracy": float((labels[index] == said[index]).mean())}

    draws = bootstrap_groups(groups, DRAWS, SEED)
    everything = intervals(figures(np.arange(len(labels))), (figures(index) for index in draws))
    missing = [f"stance.{stance}" for i, stance in enumerate(stances[:ABSENT]) if i not in labels]
    return Evaluation(classifier.tag, len(labels), everything, {}, missing, "mentions")
