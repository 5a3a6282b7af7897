"""How far annotators agree: Krippendorff's alpha (nominal) for each label."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping

import krippendorff

from stanceframe.models.errors import InputError
from stanceframe.models.labels import Frame, Target
from stanceframe.models.types import LabelledSentence

_LABELS: Mapping[str, Callable[[LabelledSentence], Hashable]] = {
    **{f"stance {target}": lambda s, t=target: s.stance.get(t) for target in Target},  # type: ignore[misc]
    **{f"holder {target}": lambda s, t=target: s.holder.get(t) for target in Target},  # type: ignore[misc]
    **{
        f"framing {frame}": lambda s, f=frame: None if s.framing is None else str(f in s.framing)  # type: ignore[misc]
        for frame in Frame
    },
    "sentiment": lambda s: s.sentiment,
}


def agreement(sentences: Iterable[LabelledSentence]) -> dict[str, tuple[float | None, int]]:
    """Alpha of each label, and over how many sentences that at least two annotators labelled.

    Sentences are matched by id. Alpha is None where it is undefined: too few sentences, or one value only.

    Raises:
        InputError: no sentence has two annotators, or an id stands for two texts.
    """
    readings: dict[str, dict[str, LabelledSentence]] = defaultdict(dict)
    for sentence in sentences:
        if any(other.text != sentence.text for other in readings[sentence.id].values()):
            raise InputError(
                f"{sentence.id}: two texts have this id: name sentences alike in all files, or give no ids"
            )
        readings[sentence.id][sentence.annotator or ""] = sentence
    shared = [by for by in readings.values() if len(by) > 1]
    if not shared:
        raise InputError("no sentence was labelled by two annotators: the same id, another `annotator`")
    annotators = sorted({name for by in shared for name in by})
    return {name: _alpha(shared, annotators, value) for name, value in _LABELS.items()}


def _alpha(
    shared: list[dict[str, LabelledSentence]], annotators: list[str], value: Callable[[LabelledSentence], Hashable]
) -> tuple[float | None, int]:
    table = [[value(by[name]) if name in by else None for by in shared] for name in annotators]
    twice = [i for i in range(len(shared)) if sum(row[i] is not None for row in table) > 1]
    table, counted = [[row[i] for i in twice] for row in table], len(twice)
    values = sorted({str(cell) for row in table for cell in row if cell is not None})
    if counted < 2 or len(values) < 2:
        return None, counted
    codes = [[float("nan") if cell is None else float(values.index(str(cell))) for cell in row] for row in table]
    return float(krippendorff.alpha(reliability_data=codes, level_of_measurement="nominal")), counted
