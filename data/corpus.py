"""Labelled sentences: JSON lines in, JSON lines out."""

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from stanceframe.models.checkpoint import write_text
from stanceframe.models.errors import InputError, LabelError
from stanceframe.models.labels import Frame, Holder, Sentiment, Stance, Target, parse_label
from stanceframe.models.types import LabelledSentence

SHIPPED = Path(__file__).parent / "sentences"
OPTIONAL_TEXT = ("document_id", "publisher", "publisher_kind", "date", "annotator")
DATE_IF_KNOWN = "date_if_known"
"""What sets of raw sentences call their date; it is one where it is a string."""
KNOWN = frozenset({"id", "text", "stance", "holder", "framing", "sentiment", "metadata", *OPTIONAL_TEXT})

Label = TypeVar("Label", bound=StrEnum)


class RecordError(InputError):
    """A record that is no labelled sentence; `errors` names each field that is wrong."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


def text_id(text: str) -> str:
    """Identity of a sentence that came without one: 16 hexadecimal digits of its text's SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def normalised(text: str) -> str:
    """A text without the differences that do not make another sentence: case, space, quotation marks."""
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Line numbers (from 1) and lines of a UTF-8 text file or `.gz` of one; blank lines are passed over.

    Raises:
        InputError: the file cannot be read, or a line is no UTF-8; the message says `path:line`.
    """
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                if text.strip():
                    yield number, text.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}:{number}: byte 0x{error.object[error.start]:02x} is no UTF-8: save the file as UTF-8"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        place = f"{path}:{number + 1}" if number else path
        raise InputError(f"{place}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def read_json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Line numbers (from 1) and values of a JSONL file; blank lines are passed over.

    Raises:
        InputError: the file cannot be read, or a line is no JSON or no UTF-8; the message says `path:line`.
    """
    for number, line in read_lines(path):
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}:{number}: no JSON: {error.msg} at column {error.colno}") from None
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}:{number}: JSON that cannot be read: {error}") from None
        yield number, value


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
    errors = [f"{key!r}: half of a surrogate pair is no character" for key in record if not _is_unicode(key, record)]
    text = record.get("text")
    if not isinstance(text, str) or not text.strip():
        errors.append("text: required, a string that is not empty")
    stance = _labels(record, "stance", Stance, errors)
    holder = _labels(record, "holder", Holder, errors)
    for target in holder:
        if target in stance and not stance[target].is_evaluation:
            errors.append(f"holder.{target}: nobody holds {stance[target]}; leave it out, or label favor or against")
    framing = _framing(record.get("framing"), errors)
    sentiment = _label(Sentiment, record.get("sentiment"), "sentiment", errors)
    if "date" not in record and isinstance(record.get(DATE_IF_KNOWN), str):
        record["date"] = record.pop(DATE_IF_KNOWN)
    described = {field: _description(record, field, errors) for field in ("id", *OPTIONAL_TEXT)}
    metadata = _mapping(record, "metadata", "a JSON object", errors)
    if errors:
        raise RecordError(errors)
    assert isinstance(text, str)
    return LabelledSentence(
        id=described.pop("id") or text_id(text),
        text=text,
        stance=stance,
        holder=holder,
        framing=framing,
        sentiment=sentiment,
        metadata={**metadata, **{key: record[key] for key in record if key not in KNOWN}},
        **described,
    )


def _labels_of_scored(value: Mapping[str, Any]) -> dict[str, Any]:
    """A labelled sentence's fields from a scored one's: `label` inside each part is the label."""
    record = dict(value)
    stance, framing, sentiment = (record.get(field) for field in ("stance", "framing", "sentiment"))
    if isinstance(stance, Mapping) and any(isinstance(part, Mapping) for part in stance.values()):
        parts = {target: part for target, part in stance.items() if isinstance(part, Mapping)}
        record["stance"] = {**stance, **{target: part.get("label") for target, part in parts.items()}}
        held = {
            target: part["holder"]
            for target, part in parts.items()
            if part.get("holder") and part.get("label") in (Stance.FAVOR, Stance.AGAINST)
        }
        given = record.get("holder")
        record["holder"] = {**given, **held} if isinstance(given, Mapping) else given or held
    if isinstance(framing, Mapping):
        record["framing"] = framing.get("labels")
    if isinstance(sentiment, Mapping):
        record["sentiment"] = sentiment.get("label")
    return record


def _is_unicode(key: str, record: Mapping[str, Any]) -> bool:
    """Whether a key and its value can be written as UTF-8."""
    try:
        json.dumps({key: record[key]}, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return False
    return True


def _mapping(record: Mapping[str, Any], field: str, needed: str, errors: list[str]) -> Mapping[str, Any]:
    value = record.get(field)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        errors.append(f"{field}: {needed}, not {type(value).__name__}")
        return {}
    return value


def _description(record: Mapping[str, Any], field: str, errors: list[str]) -> str | None:
    """A string, None where it is missing or empty."""
    value = record.get(field)
    if value is not None and not isinstance(value, str):
        errors.append(f"{field}: a string, not {type(value).__name__}")
    return value or None


def _label(kind: type[Label], value: object, field: str, errors: list[str]) -> Label | None:
    """A label; null is unlabelled."""
    if value is None:
        return None
    try:
        return parse_label(kind, value, field)
    except LabelError as error:
        errors.append(str(error))
        return None


def _labels(record: Mapping[str, Any], field: str, kind: type[Label], errors: list[str]) -> dict[Target, Label]:
    """A mapping from target to label; null values are unlabelled."""
    labels = {}
    for key, value in _mapping(record, field, "a JSON object from target to label", errors).items():
        target = _label(Target, key, field, errors)
        label = _label(kind, value, f"{field}.{key}", errors)
        if target is not None and label is not None:
            labels[target] = label
    return labels


def _framing(value: object, errors: list[str]) -> frozenset[Frame] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        errors.append("framing: a list of frames; [] where none holds")
        return None
    frames = (_label(Frame, frame, f"framing[{i}]", errors) for i, frame in enumerate(value))
    return frozenset(frame for frame in frames if frame is not None)


def to_json(sentence: LabelledSentence) -> dict[str, Any]:
    """The labelled sentence of the contract; `parse_labelled` reads the same sentence from it.

    `stance` and `holder` are always there, with the targets that are labelled; all else only where it is known.
    """
    value: dict[str, Any] = {
        "id": sentence.id,
        "text": sentence.text,
        "stance": dict(sentence.stance),
        "holder": dict(sentence.holder),
    }
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
