"""Reliability diagrams: how often a stance or a frame is right, against how sure the classifier was."""

import io
import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from stanceframe.models.checkpoint import write_bytes
from stanceframe.models.errors import ConfigError
from stanceframe.training.metrics import Bin, expected_calibration_error

COLUMNS = 3
INCHES = 3.2
UNDATED = {".svg": "Date", ".png": "", ".pdf": "CreationDate"}
"""Endings, and what each format calls the date, which is left out."""


def check_diagram(path: Path) -> None:
    """Say what is wrong with a picture's place before anything long is done.

    Raises:
        ConfigError: the ending is of no format, the folder is not there, or matplotlib is not installed.
    """
    if path.suffix.lower() not in UNDATED:
        raise ConfigError(f"{path}: its ending says how to draw it, and can be {', '.join(UNDATED)}")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"{path}: there is no folder {path.parent}")
    if find_spec("matplotlib") is None:
        raise ConfigError("diagrams need matplotlib: pip install 'stanceframe[plots]'")


def draw_reliability(heads: Mapping[str, Sequence[Bin]], path: Path) -> None:
    """Write a diagram for each head that has decisions to one picture, its format by the ending.

    A point is a tenth of the decisions; on the diagonal, confidence is what it says. The same numbers give the
    same bytes.

    Raises:
        ConfigError: there is nothing to draw, or as for `check_diagram`.
    """
    check_diagram(path)
    from matplotlib import rc_context  # noqa: PLC0415 - an extra, and slow to import
    from matplotlib.figure import Figure  # noqa: PLC0415

    heads = {head: bins for head, bins in heads.items() if bins}
    if not heads:
        raise ConfigError("there are no decisions to draw: diagrams go with labelled sentences")
    rows = math.ceil(len(heads) / COLUMNS)
    figure = Figure(figsize=(INCHES * COLUMNS, INCHES * rows), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False).flat
    for axis, (head, bins) in zip(axes, heads.items(), strict=False):
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        axis.plot([part.confidence for part in bins], [part.accuracy for part in bins], marker="o", markersize=4)
        axis.set(title=f"{head} (error {expected_calibration_error(bins):.3f})", xlabel="confidence", ylabel="right")
        axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    for axis in list(figure.axes)[len(heads) :]:
        axis.remove()
    kind = path.suffix.lower()
    picture = io.BytesIO()
    with rc_context({"svg.hashsalt": "stanceframe"}):
        figure.savefig(picture, format=kind[1:], metadata={UNDATED[kind]: None} if UNDATED[kind] else None)
    write_bytes(path, picture.getvalue())
