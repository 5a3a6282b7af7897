"""Reliability diagrams: how often a stance or a frame is right, against how sure the classifier was."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from stanceframe.models.errors import ConfigError
from stanceframe.training.metrics import Bin, expected_calibration_error

COLUMNS = 3
INCHES = 3.2


def draw_reliability(heads: Mapping[str, Sequence[Bin]], path: Path) -> None:
    """Write a diagram for each head to one picture, its format by the ending (`.svg`, `.png`, `.pdf`).

    A point is a tenth of the decisions; on the diagonal, confidence is what it says. The picture is the same for the
    same numbers.

    Raises:
        ConfigError: matplotlib is not installed, there is nothing to draw, or the ending is of no format.
    """
    try:
        from matplotlib import rc_context  # noqa: PLC0415 - an extra, and slow to import
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        raise ConfigError("diagrams need matplotlib: pip install 'stanceframe[plots]'") from None
    if not heads:
        raise ConfigError("there are no decisions to draw: diagrams go with labelled sentences")
    rows = math.ceil(len(heads) / COLUMNS)
    figure = Figure(figsize=(INCHES * COLUMNS, INCHES * rows), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False).flat
    for axis, (head, bins) in zip(axes, heads.items(), strict=False):
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        axis.plot([part.confidence for part in bins], [part.accuracy for part in bins], marker="o", markersize=4)
        axis.set(title=f"{head} (error {expected_calibration_error(bins):.3f})", xlabel="confidence", ylabel="right")
        axis.set(xlim=(0.2, 1.02), ylim=(0.2, 1.02), aspect="equal")
    for axis in list(figure.axes)[len(heads) :]:
        axis.remove()
    try:
        with rc_context({"svg.hashsalt": "stanceframe"}):
            figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
