"""Labelled sentences: JSON lines in, JSON lines out."""

import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, TypeVar

from stanceframe.models.checkpoint import write_text
from stanceframe.models.errors import InputError, LabelError
from stanceframe.models.labels import Frame, Holder, Sentiment, Stance, Target, parse_label
from stanceframe.models.types import LabelledSentence

SHIPPED = Path(__file__).parent / "sentences"
OPTIONAL_TEXT = ("document_id", "publisher", "publisher_kind", "date", "annotator")
KNOWN = frozenset({"id", "text", "stance", "holder", "framing", "sentiment", "metadata", *OPTIONAL_TEXT})

Label = TypeVar("Label", bound=StrEnum)


class RecordError(InputError):
    """A record that is no labelled sentence; `errors` names each field that is wrong."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


def text_id(text: str) -> str:
    """Identity of a sentence that came without one: a hash of its text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def normalised(text: str) -> str:
    """A text without the differences that do not make another sentence: case, space, quotation marks."""
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()


def open_text(path: Path) -> IO[str]:
    """Open a UTF-8 text file, unpacking `.gz`.

    Raises:
        InputError: the file cannot be opened.
    """
    try:
        if path.suffix == ".gz":
            return gzip.open(path, "rt", encoding="utf-8")
        return path.open(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def read_json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Line numbers (from 1) and values of a JSONL file; empty lines are passed over.

    Raises:
        InputError: a line is no JSON or no UTF-8; the message says `path:line`.
    """
    number = 0
    with open_text(path) as file:
        try:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}:{number}: no JSON object: {error.msg} at column {error.colno}") from None
        except (UnicodeDecodeError, OSError, EOFError) as error:
            raise InputError(f"{path}:{number + 1}: cannot be read as UTF-8 text: {error}") from None


def read_labelled(path: Path) -> Iterator[LabelledSentence]:
    """Labelled sentences of a JSONL file.

    Raises:
        InputError: a line is no labelled sentence; the message says `path:line`, the field, and what it may be.
    """
    for number, value in read_json_lines(path):
        try:
            yield parse_labelled(value)
        except RecordError as error:
            raise InputError(f"{path}:{number}: {error}") from None


def parse_labelled(value: object) -> LabelledSentence:
    """Read a labelled sentence, or a scored sentence that a person corrected.

    Raises:
        RecordError: listing every field that is wrong.
    """
    if not isinstance(value, Mapping):
        raise RecordError([f"a labelled sentence is a JSON object, not {type(value).__name__}"])
    record = _labels_of_scored(value)
    errors: list[str] = []
    text = record.get("text")
    if not isinstance(text, str) or not text.strip():
        raise RecordError(["text: required, a string that is not empty"])
    stance = _labels(record, "stance", Stance, errors)
    holder = _labels(record, "holder", Holder, errors)
    for target in holder:
        if target in stance and not stance[target].is_evaluation:
            errors.append(f"holder.{target}: nobody holds {stance[target]}; leave it out, or label favor or against")
    framing = _framing(record.get("framing"), errors)
    sentiment = None
    if record.get("sentiment") is not None:
        try:
            sentiment = parse_label(Sentiment, record["sentiment"], "sentiment")
        except LabelError as error:
            errors.append(str(error))
    described: dict[str, str | None] = {}
    for field in ("id", *OPTIONAL_TEXT):
        entry = record.get(field)
        if entry is not None and not isinstance(entry, str):
            errors.append(f"{field}: a string, not {type(entry).__name__}")
        described[field] = entry or None
    metadata = record.get("metadata") or {}
    if not isinstance(metadata, Mapping):
        errors.append("metadata: a JSON object")
        metadata = {}
    if errors:
        raise RecordError(errors)
    identity = described.pop("id") or text_id(text)
    extra = {key: record[key] for key in record if key not in KNOWN}
    return LabelledSentence(
        id=identity,
        text=text,
        stance=stance,
        holder=holder,
        framing=framing,
        sentiment=sentiment,
        metadata={**metadata, **extra},
        **described,
    )


def _labels_of_scored(value: Mapping[str, Any]) -> dict[str, Any]:
    """A labelled sentence's fields from a scored one's: `label` inside each part is the label."""
    record = dict(value)
    stance, framing, sentiment = (record.get(field) for field in ("stance", "framing", "sentiment"))
    if isinstance(stance, Mapping) and any(isinstance(part, Mapping) for part in stance.values()):
        parts = {target: part for target, part in stance.items() if isinstance(part, Mapping)}
        record["stance"] = {**stance, **{target: part.get("label") for target, part in parts.items()}}
        record["holder"] = {
            target: part["holder"]
            for target, part in parts.items()
            if part.get("holder") and part.get("label") in (Stance.FAVOR, Stance.AGAINST)
        }
    if isinstance(framing, Mapping):
        record["framing"] = framing.get("labels")
    if isinstance(sentiment, Mapping):
        record["sentiment"] = sentiment.get("label")
    return record


def _labels(record: Mapping[str, Any], field: str, kind: type[Label], errors: list[str]) -> dict[Target, Label]:
    """A mapping from target to label; null values are unlabelled."""
    values = record.get(field) or {}
    if not isinstance(values, Mapping):
        errors.append(f"{field}: a JSON object from target to label")
        return {}
    labels = {}
    for key, value in values.items():
        try:
            target = parse_label(Target, key, field)
            if value is not None:
                labels[target] = parse_label(kind, value, f"{field}.{target}")
        except LabelError as error:
            errors.append(str(error))
    return labels


def _framing(value: object, errors: list[str]) -> frozenset[Frame] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        errors.append("framing: a list of frames; [] where none holds")
        return None
    frames = set()
    for i, frame in enumerate(value):
        try:
            frames.add(parse_label(Frame, frame, f"framing[{i}]"))
        except LabelError as error:
            errors.append(str(error))
    return frozenset(frames)


def to_json(sentence: LabelledSentence) -> dict[str, Any]:
    """The labelled sentence of the contract; what is unlabelled is left out."""
    value: dict[str, Any] = {"id": sentence.id, "text": sentence.text, "stance": dict(sentence.stance)}
    value["holder"] = dict(sentence.holder)
    if sentence.framing is not None:
        value["framing"] = sorted(sentence.framing)
    if sentence.sentiment is not None:
        value["sentiment"] = sentence.sentiment
    value |= {field: getattr(sentence, field) for field in OPTIONAL_TEXT if getattr(sentence, field) is not None}
    if sentence.metadata:
        value["metadata"] = dict(sentence.metadata)
    return value


def write_labelled(path: Path, sentences: Iterable[LabelledSentence]) -> None:
    """Replace a JSONL file in one step."""
    write_text(path, "".join(json.dumps(to_json(sentence), ensure_ascii=False) + "\n" for sentence in sentences))
