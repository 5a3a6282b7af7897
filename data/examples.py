"""What training learns from: a text, any targets, and the labels that are known of each.

The labelled sentence of the public schema is one view of it; NewsMTSC and DSE, which mark people and
groups of every kind, are others.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stanceframe.data.corpus import RecordError, parse_labelled, read_json_lines, read_labelled, read_lines
from stanceframe.models.errors import InputError
from stanceframe.models.labels import TARGETS, Frame, Holder, Sentiment, Stance, Target, TargetText
from stanceframe.models.types import LabelledSentence, Mention


@dataclass(frozen=True, slots=True)
class TargetLabels:
    """A target in a text and what is known of the stance toward it; None is unlabelled."""

    mention: Mention
    stance: Stance | None = None
    holder: Holder | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A text with any number of targets; framing and sentiment None are unlabelled.

    `issue` is publisher and date, the `document_id` of a sentence whose own document is unknown; `kind` is that of its
    publisher.
    """

    id: str
    text: str
    targets: Sequence[TargetLabels]
    framing: frozenset[Frame] | None = None
    sentiment: Sentiment | None = None
    document_id: str | None = None
    issue: str | None = None
    kind: str | None = None


def from_labelled(sentence: LabelledSentence) -> Example:
    """The example behind a labelled sentence: always the schema's three targets, in their order."""
    return Example(
        id=sentence.id,
        text=sentence.text,
        targets=[
            TargetLabels(Mention(TARGETS[target]), sentence.stance.get(target), sentence.holder.get(target))
            for target in Target
        ],
        framing=sentence.framing,
        sentiment=sentence.sentiment,
        document_id=sentence.document,
        issue=sentence.issue,
        kind=sentence.publisher_kind,
    )


def read_stanceframe(path: Path) -> Iterator[Example]:
    """Examples of a JSONL file of labelled sentences."""
    return map(from_labelled, read_labelled(path))


def read_parquet(path: Path) -> Iterator[Example]:
    """Examples of a Parquet file of labelled sentences, such as `datasets.Dataset.to_parquet` writes.

    Raises:
        InputError: the file is no Parquet file, or a row is no labelled sentence; the message says which.
    """
    import datasets  # noqa: PLC0415 - slow to import

    number = 0
    try:
        rows = datasets.load_dataset("parquet", data_files=str(path), split="train", streaming=True)
        for row in rows:
            number += 1
            yield from_labelled(
                parse_labelled({key: _filled(value) for key, value in row.items() if value is not None})
            )
    except RecordError as error:
        raise InputError(f"{path}: row {number}: {error}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no Parquet file: {type(error).__name__}") from None


def _filled(value: Any) -> Any:
    """A column's value without the nulls that Arrow puts where a row lacks a key."""
    return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


POLARITY = {
    -1: Stance.AGAINST, 0: Stance.NEUTRAL, 1: Stance.FAVOR,
    2: Stance.AGAINST, 4: Stance.NEUTRAL, 6: Stance.FAVOR,
}  # fmt: skip
"""NewsMTSC's polarities: -1, 0, 1 in its flat form, 2, 4, 6 in the release."""


def read_newsmtsc(path: Path) -> Iterator[Example]:
    """Examples of NewsMTSC (Hamborg and Donnay, EACL 2021), as released or one mention a line.

    Raises:
        InputError: a line lacks a field or its span is not its mention; the message says `path:line`.
    """
    for number, value in read_json_lines(path):
        try:
            text = str(value["sentence_normalized"] if "sentence_normalized" in value else value["sentence"])
            targets = [_newsmtsc_target(text, target) for target in value.get("targets", [value])]
            identity = str(value.get("primary_gid", f"{path.stem}-{number}"))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"{path}:{number}: no NewsMTSC line ({error}): it needs sentence, mention, from, to and polarity"
            ) from None
        yield Example(id=identity, text=text, targets=targets, document_id=identity)


def _newsmtsc_target(text: str, value: Mapping[str, Any]) -> TargetLabels:
    start, end, mention = int(value["from"]), int(value["to"]), str(value["mention"])
    if not 0 <= start < end <= len(text) or text[start:end] != mention:
        raise ValueError(f"the mention does not stand from {start} to {end}")
    return TargetLabels(Mention(TargetText(mention), (start, end)), POLARITY[int(value["polarity"])])


_BRACKETED = re.compile(r"\[([^\[\]]*)\]")
_DSE_LABELS: Mapping[str, tuple[Stance | None, Stance | None]] = {
    "0": (None, None),
    "1": (None, Stance.FAVOR),
    "2": (Stance.FAVOR, None),
    "3": (None, Stance.AGAINST),
    "4": (Stance.AGAINST, None),
}
"""Stance toward p and toward q: label 1 is "p is positive toward q". Label 0 only says that nothing
holds between the two, which is no label here."""


def read_dse(path: Path) -> Iterator[Example]:
    """Examples of directed sentiment (Park, Pan and Joo, ACL 2021): `sentence, p, q, label` by tabs.

    Raises:
        InputError: a line has not two bracketed entities or no known label; the message says `path:line`.
    """
    for number, line in read_lines(path):
        cells = line.split("\t")
        found = list(_BRACKETED.finditer(cells[0]))
        if len(cells) != 4 or len(found) < 2 or cells[3] not in _DSE_LABELS:
            raise InputError(f"{path}:{number}: no DSE line: it needs a sentence with [p] and [q], p, q and 0 to 4")
        toward_p, toward_q = _DSE_LABELS[cells[3]]
        spans = {name: match for match in reversed(found) if (name := match.group(1)) in cells[1:3]}
        if toward_p is toward_q or len(spans) != 2:
            continue
        targets = [
            TargetLabels(Mention(TargetText(name), _unbracketed(cells[0], spans[name])), stance, _holder(other))
            for name, other, stance in ((cells[1], cells[2], toward_p), (cells[2], cells[1], toward_q))
            if stance is not None
        ]
        identity = f"{path.stem}-{number}"
        yield Example(id=identity, text=_BRACKETED.sub(r"\1", cells[0]), targets=targets, document_id=identity)


def _unbracketed(marked: str, match: re.Match[str]) -> tuple[int, int]:
    """Where a bracketed entity stands once every bracket pair is gone."""
    removed = 2 * len(_BRACKETED.findall(marked[: match.start()]))
    start = match.start() - removed
    return start, start + len(match.group(1))


def _holder(name: str) -> Holder:
    """The codebook's holder for a named source of DSE."""
    for target in Target:
        words = "|".join(map(re.escape, (TARGETS[target].name, *TARGETS[target].aliases)))
        if re.search(rf"(?<!\w)(?:{words})(?!\w)", name):
            return Holder(target)
    return Holder.OTHER


READERS: Mapping[str, Callable[[Path], Iterator[Example]]] = {
    "stanceframe": read_stanceframe,
    "parquet": read_parquet,
    "newsmtsc": read_newsmtsc,
    "dse": read_dse,
}
"""Readers by the name that recipes and `--format` use."""
