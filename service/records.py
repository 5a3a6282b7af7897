"""The documents of a corpus, out of files of every kind, one at a time.

What cannot be used becomes a `Reject` that says where it stands and why: nothing is passed over in
silence, and one bad record or file does not stop the rest. Text is UTF-8 (a byte order mark is dropped);
no other encoding is guessed at. Line ends stay as they are, so that offsets count in the file's own text.
"""

import codecs
import csv
import gzip
import io
import itertools
import json
import math
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, time
from typing import IO, Any, Literal, cast

import pyarrow
import pyarrow.parquet
import trafilatura

from stanceframe.models.errors import InputError
from stanceframe.service.sources import Source

Unit = Literal["document", "sentence"]

MAX_DOCUMENT = 64 * 2**20
"""Bytes of one document; a larger one is rejected, so that memory stays bounded."""
TOO_LARGE = f"larger than {MAX_DOCUMENT // 2**20} MiB: split it"
ROWS_READ_AT_ONCE = 512
LINES_LOOKED_AT = 100
_DAMAGE = (OSError, EOFError, zlib.error, pyarrow.ArrowException)
_JSON_TYPES = {bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "an object"}

Watch = Callable[[int], None]
"""Is told how many bytes of the source have been read."""


@dataclass(frozen=True, slots=True)
class Record:
    """A document, or a sentence that stands for itself.

    `extra` are its other columns as JSON values; `place` is `path:line`, or the path where a file is one record.
    """

    document_id: str
    text: str
    extra: Mapping[str, Any]
    place: str


@dataclass(frozen=True, slots=True)
class Reject:
    """What could not be used: where it stands, its id if that is known, and why."""

    place: str
    reason: str
    document_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        """A line of the rejects file."""
        return {"place": self.place, "id": self.document_id, "reason": self.reason}


Item = Record | Reject


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """How records are read.

    `id_column` None takes the column `id` where there is one. `unit` says what a record is; with "sentence"
    each line of a .txt file is one.
    """

    text_column: str = "text"
    id_column: str | None = None
    unit: Unit = "document"


def check_sources(sources: Iterable[Source], options: RecordOptions) -> None:
    """Refuse, before any work, what no record of a file could satisfy.

    Only files that the caller named are looked into; a bad file in a folder is rejected on its way.

    Raises:
        InputError: a named file cannot be read, or has no such column: the message lists those it has.
    """
    for source in sources:
        if options.unit == "sentence" and source.kind == "html":
            raise InputError(f"{source}: a page is no sentence: leave --unit sentence out")
        if source.named and source.path is not None:
            try:
                names = _NAMES[source.kind](source)
            except _DAMAGE as error:
                raise InputError(f"{source}: cannot be read: {_message(error)}") from None
            fault = names is not None and _header_fault(names, options)
            if fault:
                raise InputError(f"{source}: {fault}")


def read(source: Source, options: RecordOptions, watch: Watch = lambda _: None) -> Iterator[Item]:
    """Records and rejects of one source, in their order, read as they are asked for.

    A file that breaks off or is damaged gives what comes before the damage, and then a reject.
    """
    count = 0
    try:
        for item in _READERS[source.kind](source, options, watch):
            yield item
            count += 1
    except _DAMAGE as error:
        yield Reject(str(source), f"cannot be read on after {count} records: {_message(error)}")


def _message(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


@contextmanager
def _opened(source: Source) -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """A source's bytes, unpacked, and how many bytes of the file itself have been read."""
    if source.path is None:
        yield sys.stdin.buffer, lambda: 0
        return
    with source.path.open("rb") as raw:
        if source.path.suffix.lower() == ".gz":
            with gzip.open(raw) as file:
                yield cast(IO[bytes], file), raw.tell
        else:
            yield raw, raw.tell


def _lines(file: IO[bytes]) -> Iterator[bytes | None]:
    """Lines of a file; None stands for one that is too long to be held."""
    while line := file.readline(MAX_DOCUMENT + 1):
        if len(line) <= MAX_DOCUMENT:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(MAX_DOCUMENT)
        yield None


def _decoded(data: bytes | None, *, start: bool = True) -> tuple[str, str | None]:
    """A text, and what is wrong with it; a byte order mark may stand at the start of a file."""
    if data is None or len(data) > MAX_DOCUMENT:
        return "", TOO_LARGE
    body = data.removeprefix(codecs.BOM_UTF8) if start else data
    try:
        return body.decode(), None
    except UnicodeDecodeError as error:
        at = error.start + len(data) - len(body)
        return "", f"byte 0x{body[error.start]:02x} at offset {at} is no UTF-8: save it as UTF-8"


def _whole(source: Source) -> bytes:
    with _opened(source) as (file, _):
        return file.read(MAX_DOCUMENT + 1)


def _read_txt(source: Source, options: RecordOptions, watch: Watch) -> Iterator[Item]:
    if options.unit == "sentence":
        yield from _read_lines(source, watch)
        return
    text, fault = _decoded(_whole(source))
    watch(source.size)
    yield _of_text(text, fault, source.name, str(source))


def _read_lines(source: Source, watch: Watch) -> Iterator[Item]:
    """Each line that is not empty as a record."""
    with _opened(source) as (file, tell):
        for number, line in enumerate(_lines(file), start=1):
            watch(tell())
            text, fault = _decoded(line, start=number == 1)
            if fault or text.strip():
                yield _of_text(text.rstrip("\r\n"), fault, f"{source.name}:{number}", f"{source}:{number}")


def _of_text(text: str, fault: str | None, identity: str, place: str) -> Item:
    if fault or not text.strip():
        return Reject(place, fault or "the text is empty", identity)
    return Record(identity, text, {}, place)


def _read_html(source: Source, _: RecordOptions, watch: Watch) -> Iterator[Item]:
    """A page's main text, and its title, author, publisher and date where they are found."""
    data = _whole(source)
    watch(source.size)
    if len(data) > MAX_DOCUMENT:
        yield Reject(str(source), TOO_LARGE, source.name)
        return
    page = trafilatura.bare_extraction(data, include_comments=False, with_metadata=True)
    text = (page.text or "") if page is not None else ""
    if not text.strip():
        yield Reject(str(source), "no main text was found in the page", source.name)
        return
    about = {"title": page.title, "author": page.author, "publisher": page.sitename, "date": page.date}
    yield Record(source.name, text, {name: value for name, value in about.items() if value}, str(source))


def _read_jsonl(source: Source, options: RecordOptions, watch: Watch) -> Iterator[Item]:
    with _opened(source) as (file, tell):
        for number, line in enumerate(_lines(file), start=1):
            watch(tell())
            if line is None or line.strip():
                yield _of_json(line, number, source, options)


def _of_json(line: bytes | None, number: int, source: Source, options: RecordOptions) -> Item:
    place = f"{source}:{number}"
    text, fault = _decoded(line, start=number == 1)
    if fault:
        return Reject(place, fault)
    try:
        value = json.loads(text.rstrip())
    except json.JSONDecodeError as error:
        return Reject(place, f"no JSON: {error.msg} at column {error.colno}")
    except (ValueError, RecursionError) as error:
        return Reject(place, f"JSON that cannot be read: {error}")
    if not isinstance(value, dict):
        return Reject(place, f"a record is a JSON object, not {_type_name(value)}")
    return _of_row(value, number, source, options)


def _read_csv(source: Source, options: RecordOptions, watch: Watch) -> Iterator[Item]:
    with _opened(source) as (file, tell), _csv_text(file) as text:
        rows = _csv_rows(text, source.kind)
        first, header, fault = next(rows, (1, [], None))
        fault = fault or _header_fault(header, options)
        if fault:
            yield Reject(f"{source}:{first}", fault)
            return
        for line, cells, broken in rows:
            watch(tell())
            if broken:
                yield Reject(f"{source}:{line}", broken)
            elif len(cells) != len(header):
                yield Reject(f"{source}:{line}", f"the row has {len(cells)} cells, the header {len(header)}")
            else:
                yield _of_row(dict(zip(header, cells, strict=True)), line, source, options)


def _csv_text(file: IO[bytes]) -> IO[str]:
    """Text of a table: a byte that is no UTF-8 passes as a lone surrogate, for `_of_row` to reject its one row."""
    return io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")


def _csv_rows(text: IO[str], kind: str) -> Iterator[tuple[int, list[str], str | None]]:
    """First line, cells and fault of every row that is not empty."""
    csv.field_size_limit(MAX_DOCUMENT)
    rows = csv.reader(text, delimiter="\t" if kind == "tsv" else ",", strict=True)
    while True:
        first = rows.line_num + 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield first, [], f"lines {first} to {rows.line_num} are no row ({error}): double quotes inside quotes"
            continue
        if cells:
            yield first, cells, None


def _read_parquet(source: Source, options: RecordOptions, watch: Watch) -> Iterator[Item]:
    with pyarrow.parquet.ParquetFile(source.path, buffer_size=2**20, pre_buffer=False) as file:
        fault = _header_fault(file.schema_arrow.names, options)
        if fault:
            yield Reject(str(source), fault)
            return
        number, size = 0, source.size
        for batch in file.iter_batches(ROWS_READ_AT_ONCE):
            for row in _rows(batch):
                number += 1
                watch(size * number // file.metadata.num_rows)
                yield (
                    Reject(f"{source}:{number}", row) if isinstance(row, str) else _of_row(row, number, source, options)
                )


def _rows(batch: Any) -> Iterator[dict[str, Any] | str]:
    """Rows of an Arrow batch; a string is what is wrong with one."""
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:
        for i in range(batch.num_rows):
            try:
                yield batch.slice(i, 1).to_pylist()[0]
            except UnicodeDecodeError as error:
                yield f"byte 0x{error.object[error.start]:02x} in a string is no UTF-8"


def _of_row(row: Mapping[str, Any], number: int, source: Source, options: RecordOptions) -> Item:
    """A record from named values. Ids are taken as they come: that they differ is not checked."""
    place = f"{source}:{number}"
    values = {name: json_value(value) for name, value in row.items()}
    id_column = options.id_column or "id"
    identity = values.get(id_column)
    if isinstance(identity, bool) or not isinstance(identity, str | int | None):
        return Reject(place, f"{id_column} is {_type_name(identity)}, not a string or a whole number")
    document_id = f"{source.name}:{number}" if identity in (None, "") else str(identity)
    fault = _encoding_fault(values)
    if fault:
        return Reject(place, fault)
    fault = _text_fault(values, options.text_column)
    if fault:
        return Reject(place, fault, document_id)
    extra = {name: value for name, value in values.items() if name not in (options.text_column, id_column)}
    return Record(document_id, values[options.text_column], extra, place)


def json_value(value: Any) -> Any:
    """A value as JSON has it: dates in ISO 8601, numbers that are none as null, bytes as text."""
    if value is None or isinstance(value, str | bool | int | float):
        return None if isinstance(value, float) and not math.isfinite(value) else value
    if isinstance(value, Mapping):
        return {str(key): json_value(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(part) for part in value]
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _text_fault(values: Mapping[str, Any], column: str) -> str | None:
    if column not in values:
        return f"no column {column!r}; it has {', '.join(values) or 'none'}"
    text = values[column]
    if not isinstance(text, str):
        return f"{column} is {_type_name(text)}, not a string"
    if len(text) > MAX_DOCUMENT:
        return TOO_LARGE
    return None if text.strip() else f"{column} is empty"


def _type_name(value: object) -> str:
    return "null" if value is None else _JSON_TYPES.get(type(value), "a string")


def _encoding_fault(values: Mapping[str, Any]) -> str | None:
    """What in a row has no UTF-8 form: lone surrogates, from JSON escapes or from bytes that are no UTF-8."""
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        point = ord(error.object[error.start])
        if 0xDC80 <= point <= 0xDCFF:
            return f"byte 0x{point - 0xDC00:02x} is no UTF-8: save the file as UTF-8"
        return f"\\u{point:04x} stands alone: half of a surrogate pair is no character"
    return None


def _header_fault(names: Sequence[str], options: RecordOptions) -> str | None:
    """What is wrong with a table's columns."""
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        return f"the column {twice!r} is there twice"
    wanted = {"--text-column": options.text_column, "--id-column": options.id_column}
    for option, name in wanted.items():
        if name is not None and name not in names:
            listed = ", ".join(names).encode(errors="backslashreplace").decode() or "none"
            return f"no column {name!r}; it has {listed}: name one of them with {option}"
    return None


def _csv_names(source: Source) -> Sequence[str] | None:
    with _opened(source) as (file, _), _csv_text(file) as text:
        return next(_csv_rows(text, source.kind), (1, [], None))[1]


def _parquet_names(source: Source) -> Sequence[str] | None:
    names: list[str] = pyarrow.parquet.read_schema(source.path).names
    return names


def _jsonl_names(source: Source) -> Sequence[str] | None:
    """Every key among the first objects, if there are any; what is wrong with a line is that line's affair."""
    names: dict[str, None] = {}
    with _opened(source) as (file, _):
        for line in itertools.islice(_lines(file), LINES_LOOKED_AT):
            with suppress(ValueError, RecursionError):
                value = json.loads(_decoded(line)[0])
                names |= dict.fromkeys(value if isinstance(value, dict) else ())
    return list(names) or None


def _no_names(source: Source) -> None:
    """A file without columns: only that it opens is seen to."""
    with _opened(source) as (file, _):
        file.read(1)


_READERS: Mapping[str, Callable[[Source, RecordOptions, Watch], Iterator[Item]]] = {
    "txt": _read_txt, "html": _read_html, "jsonl": _read_jsonl, "csv": _read_csv, "tsv": _read_csv,
    "parquet": _read_parquet,
}  # fmt: skip
_NAMES: Mapping[str, Callable[[Source], Sequence[str] | None]] = {
    "txt": _no_names, "html": _no_names, "jsonl": _jsonl_names, "csv": _csv_names, "tsv": _csv_names,
    "parquet": _parquet_names,
}  # fmt: skip
