"""What a document's sentences say together, with intervals that include the classifier's own error."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from stanceframe.models.calibration import Array
from stanceframe.models.labels import Frame, Holder, Stance, Target
from stanceframe.models.types import Prediction

DRAWS = 1_000
SEED = 0
INTERVAL = (2.5, 97.5)
_COLUMN = {stance: i for i, stance in enumerate(Stance)}


def summarise(predictions: Sequence[Prediction]) -> dict[str, Any]:
    """The contract's `summary` of one document; page furniture is left out.

    Intervals are 95% percentiles of 1,000 seeded draws, widened where needed to hold the value itself.
    Each draw resamples the document's sentences with replacement and draws the label of each from its
    calibrated probabilities, so that both the choice of sentences and the classifier's error count.
    """
    sentences = [prediction for prediction in predictions if prediction.sentence.kind == "sentence"]
    random = np.random.default_rng(SEED)
    return {
        "sentences": len(sentences),
        "stance": {target: _stance(sentences, target, random) for target in Target},
        "framing": {frame: _framing(sentences, frame, random) for frame in Frame},
    }


def _stance(sentences: Sequence[Prediction], target: Target, random: np.random.Generator) -> dict[str, Any]:
    toward = [sentence.stance[target] for sentence in sentences]
    counts = {stance: sum(said.label is stance for said in toward) for stance in Stance}
    mentioned = len(toward) - counts[Stance.ABSENT]
    net = None
    if mentioned:
        value = (counts[Stance.FAVOR] - counts[Stance.AGAINST]) / mentioned
        probabilities = np.array([[said.probabilities[stance] for stance in Stance] for said in toward])
        net = _with_interval(value, _drawn_nets(probabilities, random))
    return {
        "mentioned": mentioned,
        "counts": counts,
        "by_holder": {
            holder: {
                stance: sum(said.holder is holder and said.label is stance for said in toward)
                for stance in (Stance.FAVOR, Stance.AGAINST)
            }
            for holder in Holder
        },
        "net": net,
    }


def _framing(sentences: Sequence[Prediction], frame: Frame, random: np.random.Generator) -> dict[str, float] | None:
    """Share of the sentences that carry a frame; None where there is no sentence."""
    if not sentences:
        return None
    value = sum(frame in sentence.framing.labels for sentence in sentences) / len(sentences)
    probability = float(np.mean([sentence.framing.probabilities[frame] for sentence in sentences]))
    return _with_interval(value, random.binomial(len(sentences), probability, DRAWS) / len(sentences))


def _drawn_nets(probabilities: Array, random: np.random.Generator) -> Array:
    """Net stance of each draw from (N, 4) probabilities; draws that mention nothing are left out.

    The label of a sentence chosen at random follows the mean of all sentences' probabilities, and the N
    choices are independent: the counts of a draw are one multinomial draw, whatever N is.
    """
    mean = probabilities.mean(axis=0)
    counts = random.multinomial(len(probabilities), mean / mean.sum(), DRAWS)
    mentioned = len(probabilities) - counts[:, _COLUMN[Stance.ABSENT]]
    net = counts[:, _COLUMN[Stance.FAVOR]] - counts[:, _COLUMN[Stance.AGAINST]]
    drawn: Array = net[mentioned > 0] / mentioned[mentioned > 0]
    return drawn


def _with_interval(value: float, drawn: Array) -> dict[str, float]:
    low, high = np.percentile(drawn, INTERVAL).tolist() if len(drawn) else (value, value)
    return {"value": value, "low": min(low, value), "high": max(high, value)}
