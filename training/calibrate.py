"""Fits a checkpoint's calibration on predictions for sentences that the predicting network never saw."""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from stanceframe.data.examples import Example
from stanceframe.models.calibration import Array, Calibration, Platt, fit_platt, fit_temperature, sigmoid, softmax
from stanceframe.models.classifier import Scores
from stanceframe.models.labels import Frame, Sentiment, Stance, Target

log = logging.getLogger(__name__)

MOST_ERRORS = 0.10
DELTA = 0.10
FIRST_TESTED = 100
FEWEST = 30
"""With fewer labels a head keeps its uncalibrated probabilities, and no threshold is fitted."""


def calibrate(examples: Sequence[Example], scores: Sequence[Scores], fitted_on: str) -> Calibration:
    """Temperatures, frame thresholds and abstention thresholds; a head with few labels keeps what it has.

    Args:
        examples: labelled for the schema's three targets, in their order.
        scores: of each example, uncalibrated, from a network that did not learn from it.
        fitted_on: what to say of where the numbers come from.
    """
    if not examples:
        return Calibration()
    temperatures, abstain_below = {}, {}
    for column, target in enumerate(Target):
        stances = [example.targets[column].stance for example in examples]
        logits = np.log(np.stack([score.stance[column] for score in scores]) + 1e-12)
        temperatures[target], abstain_below[target] = _of_stance(logits, stances)
    framing, thresholds = {}, {}
    for column, frame in enumerate(Frame):
        known = np.array([example.framing is not None for example in examples])
        holds = np.array([frame in (example.framing or ()) for example in examples])[known]
        probability = np.array([score.framing[column] for score in scores])[known].clip(1e-6, 1 - 1e-6)
        framing[frame], thresholds[frame] = _of_frame(np.log(probability / (1 - probability)), holds)
    tones = [example.sentiment for example in examples]
    return Calibration(
        stance=temperatures,
        framing=framing,
        sentiment=_temperature(np.log(np.stack([s.sentiment for s in scores]) + 1e-12), tones, list(Sentiment)),
        frame_threshold=thresholds,
        abstain_below=abstain_below,
        fitted_on=fitted_on,
    )


def _temperature(logits: Array, labels: Sequence[str | None], classes: Sequence[str]) -> float:
    known = [i for i, label in enumerate(labels) if label is not None]
    if len(known) < FEWEST:
        return 1.0
    return fit_temperature(logits[known], [classes.index(label) for label in labels if label is not None])


def _of_stance(logits: Array, stances: Sequence[Stance | None]) -> tuple[float, float]:
    """Temperature, and the confidence under which to abstain."""
    temperature = _temperature(logits, stances, list(Stance))
    mentioned = [i for i, stance in enumerate(stances) if stance not in (None, Stance.ABSENT)]
    if len(mentioned) < FEWEST:
        return temperature, 0.0
    probabilities = softmax(logits[mentioned] / temperature)
    right = probabilities.argmax(-1) == [list(Stance).index(stances[i]) for i in mentioned]  # type: ignore[arg-type]
    return temperature, controlled_threshold(probabilities.max(-1), np.asarray(right))


def controlled_threshold(confidence: Array, right: NDArray[np.bool_]) -> float:
    """The lowest confidence from which answers err in at most a tenth, with 90% certainty.

    Fixed-sequence testing of "Learn then Test" (Angelopoulos et al., 2021, arXiv 2110.01052): thresholds are
    tested from the strictest down, by the exact binomial tail, until one fails; 1.0 where none passes. The first
    to be tested answers half of all, or `FIRST_TESTED`: of fewer answers an error or two would end the sequence.
    """
    threshold = 1.0
    enough = max(FEWEST, min(FIRST_TESTED, len(confidence) // 2))
    for candidate in np.linspace(0.99, 0.25, 75):
        answered = confidence >= candidate
        count = int(answered.sum())
        if count < enough:
            continue
        if binom.cdf(int((~right[answered]).sum()), count, MOST_ERRORS) > DELTA:
            break
        threshold = float(candidate)
    return round(threshold, 4)


def _of_frame(logits: Array, holds: NDArray[np.bool_]) -> tuple[Platt, float]:
    """Scaling, and the probability that gives the best F1, smoothed over neighbours; of several the middle."""
    if holds.sum() < FEWEST or (~holds).sum() < FEWEST:
        return Platt(), 0.5
    platt = fit_platt(logits, holds)
    probability = sigmoid(platt.slope * logits + platt.intercept)
    candidates = np.linspace(0.1, 0.9, 81)
    f1 = [
        2 * (said & holds).sum() / max(1, said.sum() + holds.sum()) for said in (probability >= c for c in candidates)
    ]
    smooth = np.convolve(f1, np.ones(9) / 9, mode="valid")
    best = np.flatnonzero(smooth >= smooth.max() - 1e-9)
    return platt, round(float(candidates[4:-4][best[len(best) // 2]]), 4)
