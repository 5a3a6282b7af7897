"""From logits to probabilities that mean something, and from those to decisions.

Temperatures follow Guo et al. (ICML 2017, "On Calibration of Modern Neural Networks"): one scalar a head
divides the logits before the softmax, which leaves the most probable label as it is. A frame's logit,
trained with weighted positives, also needs its offset mended: Platt scaling (1999). Everything here is
plain JSON in the checkpoint.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stanceframe.models.errors import CheckpointError
from stanceframe.models.labels import Frame, Target

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Platt:
    """A calibrated logit is `slope * logit + intercept`."""

    slope: float = 1.0
    intercept: float = 0.0

    def probability(self, logits: Array) -> Array:
        """Probability of each logit."""
        return sigmoid(self.slope * logits + self.intercept)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Temperatures and thresholds of one checkpoint.

    `stance` holds a temperature for each target; a target outside the schema gets the mean of the schema's.
    `framing` scales each frame's logit. `frame_threshold` is the probability from which a frame counts as there;
    `abstain_below` the confidence under which the stance toward a target is given as abstained.
    `fitted_on` says from what the numbers come.
    """

    stance: Mapping[Target, float] = field(default_factory=lambda: dict.fromkeys(Target, 1.0))
    framing: Mapping[Frame, Platt] = field(default_factory=lambda: dict.fromkeys(Frame, Platt()))
    sentiment: float = 1.0
    frame_threshold: Mapping[Frame, float] = field(default_factory=lambda: dict.fromkeys(Frame, 0.5))
    abstain_below: Mapping[Target, float] = field(default_factory=lambda: dict.fromkeys(Target, 0.0))
    fitted_on: str = "nothing: temperatures of 1 and thresholds of one half"

    @property
    def other_target(self) -> float:
        """Temperature of the stance toward a target outside the schema."""
        return float(np.mean(list(self.stance.values())))

    def to_json(self) -> dict[str, Any]:
        """The calibration as JSON values."""
        return {
            "temperature": {"stance": dict(self.stance), "sentiment": self.sentiment},
            "framing": {frame: asdict(platt) for frame, platt in self.framing.items()},
            "frame_threshold": dict(self.frame_threshold),
            "abstain_below": dict(self.abstain_below),
            "fitted_on": self.fitted_on,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Calibration":
        """Read what `to_json` wrote.

        Raises:
            CheckpointError: a part is missing, or no number.
        """
        try:
            temperature = stored["temperature"]
            return cls(
                stance={target: float(temperature["stance"][target]) for target in Target},
                framing={frame: Platt(**stored["framing"][frame]) for frame in Frame},
                sentiment=float(temperature["sentiment"]),
                frame_threshold={frame: float(stored["frame_threshold"][frame]) for frame in Frame},
                abstain_below={target: float(stored["abstain_below"][target]) for target in Target},
                fitted_on=str(stored["fitted_on"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"calibration.json is damaged: {error!r}") from None


def softmax(logits: Array) -> Array:
    """Probabilities over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: Array = shifted / shifted.sum(axis=-1, keepdims=True)
    return probabilities


def sigmoid(logits: Array) -> Array:
    """Probability of each logit on its own."""
    probabilities: Array = 1.0 / (1.0 + np.exp(-np.clip(logits, -500, 500)))
    return probabilities


def fit_temperature(logits: Array, gold: Sequence[int] | NDArray[np.int64]) -> float:
    """Temperature between 0.25 and 5 that makes gold labels likeliest.

    Args:
        logits: (N, classes), from a model that was not trained on these examples.
        gold: (N,) class of each.
    """
    from scipy.optimize import minimize_scalar  # noqa: PLC0415 - fitting is no part of a request

    rows = np.arange(len(logits))

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        log_sum = np.logaddexp.reduce(scaled, axis=-1)
        return float((log_sum - scaled[rows, gold]).mean())

    found = minimize_scalar(loss, bounds=(np.log(0.25), np.log(5.0)), method="bounded")
    return float(np.exp(found.x))


def fit_platt(logits: Array, gold: NDArray[np.bool_]) -> Platt:
    """Slope and intercept that make gold likeliest, pulled lightly toward no change.

    Args:
        logits: (N,), from a model that was not trained on these examples.
        gold: (N,) whether the frame holds.
    """
    from scipy.optimize import minimize  # noqa: PLC0415 - fitting is no part of a request

    def loss(parameters: Array) -> float:
        slope, intercept = parameters
        scaled = slope * logits + intercept
        likelihood = np.logaddexp(0.0, np.where(gold, -scaled, scaled)).mean()
        return float(likelihood + 1e-4 * ((slope - 1.0) ** 2 + intercept**2))

    slope, intercept = minimize(loss, np.array([1.0, 0.0]), bounds=[(0.1, 5.0), (-10.0, 10.0)]).x
    return Platt(float(slope), float(intercept))
