"""Labels kept apart from their sentences.

Other people's text stays where it is; what we say of it can be shipped all the same, as JSON lines of
labelled sentences without their `text`, each under the id of its sentence (a sentence that came without an
id has that of its text: see `text_id`).
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from stanceframe.data.corpus import RecordError, parse_labelled, read_json_lines
from stanceframe.models.errors import InputError
from stanceframe.models.types import LabelledSentence

log = logging.getLogger(__name__)


def read_labels(path: Path) -> dict[str, LabelledSentence]:
    """Labels by the id of their sentence; the `text` of each is empty.

    Raises:
        InputError: a line has no id, or one that came before, or a text, or a wrong label; the message says
            `path:line`.
    """
    labels: dict[str, LabelledSentence] = {}
    for number, value in read_json_lines(path):
        if not isinstance(value, Mapping) or not value.get("id"):
            raise InputError(f"{path}:{number}: labels kept apart need the id of their sentence")
        if "text" in value:
            raise InputError(f"{path}:{number}: text: labels kept apart carry no text; read the file without labels")
        try:
            said = parse_labelled({**value, "text": "-"})
        except RecordError as error:
            raise InputError(f"{path}:{number}: {error}") from None
        if said.id in labels:
            raise InputError(f"{path}:{number}: id: {said.id} came before: keep one line an id")
        labels[said.id] = replace(said, text="")
    return labels


def with_labels(
    sentences: Iterable[LabelledSentence], labels: Mapping[str, LabelledSentence]
) -> Iterator[LabelledSentence]:
    """The same sentences, each with what the labels say of its id in the place of what it said itself.

    Raises:
        InputError: labels name a holder of a stance that nobody holds.
    """
    left = set(labels)
    for sentence in sentences:
        said = labels.get(sentence.id)
        left.discard(sentence.id)
        yield sentence if said is None else _relabelled(sentence, said)
    if left:
        log.warning("%d of %d labels kept apart have no sentence here, such as %s", len(left), len(labels), min(left))


def _relabelled(sentence: LabelledSentence, said: LabelledSentence) -> LabelledSentence:
    stance = {**sentence.stance, **said.stance}
    kept = {target: holder for target, holder in sentence.holder.items() if target not in said.stance}
    holder = {**kept, **said.holder}
    for target in holder:
        if target in stance and not stance[target].is_evaluation:
            raise InputError(f"labels kept apart of {sentence.id}: holder.{target}: nobody holds {stance[target]}")
    return replace(
        sentence,
        stance=stance,
        holder=holder,
        framing=sentence.framing if said.framing is None else said.framing,
        sentiment=said.sentiment or sentence.sentiment,
        annotator=said.annotator or sentence.annotator,
    )
