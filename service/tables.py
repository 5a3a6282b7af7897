"""Scored sentences as tables: JSONL, CSV, Parquet.

JSONL holds the contract's objects as they are; CSV and Parquet the same fields as flat columns, the
input's own columns behind them as `input_NAME`. Rows come as JSON lines, so that a table of any length is
written in constant memory, and the same rows always give the same bytes.

A CSV cell that a spreadsheet would run as a formula gets an apostrophe in front (OWASP, "CSV Injection");
`unguard` takes it off again, and gives back every text exactly.
"""

import csv
import gzip
import io
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import pyarrow
import pyarrow.parquet

from stanceframe.models.errors import InputError
from stanceframe.models.labels import Frame, Sentiment, Stance, Target

InputType = Literal["null", "boolean", "integer", "number", "text"]
"""What the values of one of the input's own columns are, taken together."""

ROWS_AT_ONCE = 4096
ROWS_IN_GROUP = 16 * ROWS_AT_ONCE
_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_GUARDED = re.compile(r"'+[=+\-@\t\r\n]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_TEXT, _INTEGER, _NUMBER_TYPE, _BOOLEAN = pyarrow.string(), pyarrow.int64(), pyarrow.float64(), pyarrow.bool_()
_ARROW_TYPES: Mapping[InputType, Any] = {
    "null": _TEXT, "boolean": _BOOLEAN, "integer": _INTEGER, "number": _NUMBER_TYPE, "text": _TEXT,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Format:
    """How a table is written: its kind and whether it is packed."""

    kind: Literal["jsonl", "csv", "parquet"]
    packed: bool = False

    @classmethod
    def of(cls, path: Path) -> "Format":
        """What a file's ending asks for.

        Raises:
            InputError: the ending is none of those that can be written.
        """
        for ending, chosen in FORMATS.items():
            if path.name.lower().endswith(ending):
                return chosen
        raise InputError(
            f"{path}: its ending says how to write it, and can be {', '.join(FORMATS)}; - is standard output"
        )


FORMATS: Mapping[str, Format] = {
    ".jsonl": Format("jsonl"),
    ".jsonl.gz": Format("jsonl", packed=True),
    ".csv": Format("csv"),
    ".csv.gz": Format("csv", packed=True),
    ".parquet": Format("parquet"),
}


def columns(evidence: bool = False) -> dict[str, Any]:
    """The contract's flat columns, in their order, with their Arrow types; evidence is JSON text."""
    types = {"document_id": _TEXT, "sentence_index": _INTEGER, "start": _INTEGER, "end": _INTEGER}
    types |= {"text": _TEXT, "kind": _TEXT}
    for target in Target:
        types |= {f"{target}_label": _TEXT, f"{target}_confidence": _NUMBER_TYPE}
        types |= {f"{target}_abstained": _BOOLEAN, f"{target}_holder": _TEXT}
        types |= {f"{target}_p_{stance}": _NUMBER_TYPE for stance in Stance}
    types |= {"framing_labels": pyarrow.list_(_TEXT)}
    types |= {f"p_{frame}": _NUMBER_TYPE for frame in Frame}
    types |= {"sentiment_label": _TEXT, "sentiment_confidence": _NUMBER_TYPE}
    types |= {f"p_{sentiment}": _NUMBER_TYPE for sentiment in Sentiment}
    return types | {"truncated": _BOOLEAN, "model": _TEXT} | ({"evidence": _TEXT} if evidence else {})


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A scored sentence's values by flat column; the input's own are not among them."""
    values = {key: row[key] for key in ("document_id", "sentence_index", "start", "end", "text", "kind")}
    for target in Target:
        stance = row["stance"][target]
        values |= {f"{target}_{key}": stance[key] for key in ("label", "confidence", "abstained", "holder")}
        values |= {f"{target}_p_{label}": stance["probabilities"][label] for label in Stance}
    framing, sentiment = row["framing"], row["sentiment"]
    values["framing_labels"] = framing["labels"]
    values |= {f"p_{frame}": framing["probabilities"][frame] for frame in Frame}
    values |= {"sentiment_label": sentiment["label"], "sentiment_confidence": sentiment["confidence"]}
    values |= {f"p_{label}": sentiment["probabilities"][label] for label in Sentiment}
    values |= {"truncated": row["truncated"], "model": row["model"]}
    if "evidence" in row:
        values["evidence"] = json.dumps(row["evidence"])
    return values


def json_line(value: Mapping[str, Any]) -> bytes:
    """A JSONL line."""
    return (json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n").encode()


def input_type(value: Any) -> InputType:
    """The type of one value of an input column; what is no plain value is kept as JSON text."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer" if -(2**63) <= value < 2**63 else "text"
    return "number" if isinstance(value, float) else "text"


def common_type(one: InputType, other: InputType) -> InputType:
    """The type that holds values of both."""
    if other in (one, "null"):
        return one
    if one == "null":
        return other
    return "number" if {one, other} == {"integer", "number"} else "text"


def write_table(
    chosen: Format,
    file: IO[bytes],
    lines: Iterable[bytes],
    inputs: Mapping[str, InputType],
    *,
    evidence: bool = False,
) -> None:
    """Write rows, given as JSON lines, to an open file.

    Args:
        chosen: how.
        file: where to; it stays open.
        lines: scored sentences, each with the input's own values under `input`.
        inputs: names and types of all input columns, in the order wanted.
        evidence: whether the rows have evidence.
    """
    packing: AbstractContextManager[IO[bytes]] = nullcontext(file)
    if chosen.packed:
        packing = gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0)  # type: ignore[assignment]
    with packing as packed:
        _WRITERS[chosen.kind](packed, lines, inputs, evidence)


def _write_jsonl(file: IO[bytes], lines: Iterable[bytes], _: Mapping[str, InputType], __: bool) -> None:
    file.writelines(lines)


def _write_csv(file: IO[bytes], lines: Iterable[bytes], inputs: Mapping[str, InputType], evidence: bool) -> None:
    text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_cell(name) for name in [*columns(evidence), *(f"input_{name}" for name in inputs)]])
    for row in _rows(lines, inputs):
        writer.writerow([_cell(value) for value in row])
    text.detach()


def _write_parquet(file: IO[bytes], lines: Iterable[bytes], inputs: Mapping[str, InputType], evidence: bool) -> None:
    types = columns(evidence) | {f"input_{name}": _ARROW_TYPES[kind] for name, kind in inputs.items()}
    schema = pyarrow.schema(list(types.items()))
    with pyarrow.parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        tables = _in_groups(_rows(lines, inputs), ROWS_AT_ONCE, lambda rows: _table(rows, schema))
        for table in _in_groups(tables, ROWS_IN_GROUP // ROWS_AT_ONCE, pyarrow.concat_tables):
            writer.write_table(table, row_group_size=ROWS_IN_GROUP)


def _in_groups(values: Iterable[Any], size: int, make: Callable[[list[Any]], Any]) -> Iterator[Any]:
    """What is made of every `size` values, the last of fewer."""
    rest = iter(values)
    while group := list(itertools.islice(rest, size)):
        yield make(group)


def _table(rows: Sequence[Sequence[Any]], schema: Any) -> Any:
    arrays = [
        pyarrow.array(column, type=field.type) for column, field in zip(zip(*rows, strict=True), schema, strict=True)
    ]
    return pyarrow.Table.from_arrays(arrays, schema=schema)


def _rows(lines: Iterable[bytes], inputs: Mapping[str, InputType]) -> Iterator[list[Any]]:
    """Values of every row, in the order of the columns."""
    for line in lines:
        row = json.loads(line)
        own = row["input"]
        yield [*flat(row).values(), *(_input_value(own.get(name), kind) for name, kind in inputs.items())]


def _input_value(value: Any, kind: InputType) -> Any:
    if value is None or isinstance(value, str):
        return value
    if kind == "number":
        return float(value)
    return json.dumps(value, ensure_ascii=False) if kind == "text" else value


def _cell(value: Any) -> str:
    """A value as CSV has it: nothing for null, lists joined by `|`."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "|".join(value)
    return guard(value) if isinstance(value, str) else repr(value)


def guard(text: str) -> str:
    """A text that no spreadsheet takes for a formula; a plain number stays as it is."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def unguard(cell: str) -> str:
    """The text behind a cell: `unguard(guard(text)) == text`."""
    return cell[1:] if _GUARDED.match(cell) else cell


_WRITERS: Mapping[str, Callable[[IO[bytes], Iterable[bytes], Mapping[str, InputType], bool], None]] = {
    "jsonl": _write_jsonl,
    "csv": _write_csv,
    "parquet": _write_parquet,
}
