"""Scoring a corpus: reader -> sentences -> predict -> parts -> one file.

The corpus is read and scored a chunk at a time, so memory does not grow with it. A chunk's bounds depend
on the input alone: a job that was killed and taken up again writes the same bytes as one that was not.
"""

import itertools
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from stanceframe.data.segment import segment
from stanceframe.models.checkpoint import sha256
from stanceframe.models.errors import InputError
from stanceframe.models.labels import LabelSchema
from stanceframe.models.types import Classifier, Sentence
from stanceframe.service.parts import Job, Part, Position, total
from stanceframe.service.records import Item, Record, RecordOptions, Reject, Watch, check_sources, read
from stanceframe.service.sources import Source
from stanceframe.service.tables import InputType, common_type, input_type, json_line

SENTENCES_IN_CHUNK = 2000
SENTENCES_IN_CALL = 500
CHARACTERS_IN_CHUNK = 4 * 2**20

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ScoreOptions:
    """How a corpus is scored; a job is resumed only with the same.

    `engine` is the name of what runs the network, precision included; `keep_text` also writes the text that
    offsets count in; `evidence` says that the classifier gives some.
    """

    records: RecordOptions = field(default_factory=RecordOptions)
    engine: str = "torch-fp32"
    keep_text: bool = False
    evidence: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a corpus; `rejects_path` is where rejected records are listed, if there are any."""

    documents: int
    sentences: int
    rejects: int
    rejects_path: Path


@dataclass(slots=True)
class Chunk:
    """A stretch of the corpus that is scored in one go; `end` is where the next one begins."""

    end: Position
    records: list[tuple[Record, Sequence[Sentence]]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    sentences: int = 0
    characters: int = 0

    @property
    def is_full(self) -> bool:
        """Whether it is enough for one go."""
        entries = self.sentences + len(self.rejects)
        return entries >= SENTENCES_IN_CHUNK or self.characters >= CHARACTERS_IN_CHUNK

    def add(self, item: Item, options: RecordOptions) -> None:
        """Take in a record, cut into sentences, or a reject."""
        if isinstance(item, Reject):
            self.rejects.append(item)
            return
        sentences = sentences_of(item, options)
        if not sentences:
            self.rejects.append(Reject(item.place, "no sentence was found in the text", item.document_id))
            return
        self.records.append((item, sentences))
        self.sentences += len(sentences)
        self.characters += len(item.text)

    def part(self, read_so_far: int) -> Part:
        """What its part says of itself."""
        types: dict[str, InputType] = {}
        for record, _ in self.records:
            for name, value in record.extra.items():
                kind = input_type(value)
                types[name] = common_type(types.get(name, kind), kind)
        return Part(self.end, read_so_far, len(self.records), self.sentences, len(self.rejects), types)

    def row_lines(self, classifier: Classifier, progress: "Progress") -> Iterator[bytes]:
        """Scored sentences as JSON lines, the record's own columns under `input`."""
        pairs = ((sentence, record.extra) for record, sentences in self.records for sentence in sentences)
        left = self.sentences
        while batch := list(itertools.islice(pairs, SENTENCES_IN_CALL)):
            predictions = classifier.predict([sentence for sentence, _ in batch])
            for prediction, (_, extra) in zip(predictions, batch, strict=True):
                yield json_line({**prediction.to_json(), "input": extra})
            progress.scored(len(batch), left)
            left -= len(batch)

    def reject_lines(self) -> Iterator[bytes]:
        """Rejects as JSON lines."""
        return (json_line(reject.to_json()) for reject in self.rejects)

    def text_lines(self) -> Iterator[bytes]:
        """The documents' text as JSON lines."""
        return (json_line({"document_id": record.document_id, "text": record.text}) for record, _ in self.records)


class Progress:
    """A bar on standard error: share of the input's bytes, where their number is known, rate, time left.

    Args:
        total: bytes of all input; 0 where they are not known.
        begun: bytes that an earlier run has done.
        quiet: show nothing; nothing is shown either where standard error is no terminal.
    """

    def __init__(self, total: int, begun: int, *, quiet: bool) -> None:
        known = "{percentage:3.0f}%|{bar}| {elapsed}<{remaining}" if total else "{elapsed}"
        self.read = begun
        self._bar = tqdm(
            total=total or None,
            initial=begun,
            disable=True if quiet else None,
            dynamic_ncols=True,
            bar_format=known + "{postfix}",
        )
        self._done = begun
        self._start = time.monotonic()
        self._sentences = 0

    def watch(self, size: int) -> None:
        """So many bytes of the input have been read; the bar follows when they are scored."""
        self.read = size

    def scored(self, sentences: int, left: int) -> None:
        """Of `left` sentences that were read, so many have been scored."""
        step = (self.read - self._done) * sentences // left
        self._done += step
        self._sentences += sentences
        rate = self._sentences / max(time.monotonic() - self._start, 1e-9)
        self._bar.set_postfix_str(f"{self._sentences:,} sentences, {rate:,.0f}/s", refresh=False)
        self._bar.update(step)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()


def sentences_of(record: Record, options: RecordOptions) -> list[Sentence]:
    """A record's sentences: it is one itself, or a document."""
    if options.unit == "sentence":
        return [Sentence(record.text, record.document_id)]
    return segment(record.text, record.document_id)


def chunks(sources: Sequence[Source], options: RecordOptions, start: Position, watch: Watch) -> Iterator[Chunk]:
    """The corpus from `start` on, in whole records; `watch` is told the bytes read of all sources."""
    chunk = Chunk(start)
    for end, item in _items(sources, options, start, watch):
        chunk.add(item, options)
        chunk.end = end
        if chunk.is_full:
            yield chunk
            chunk = Chunk(end)
    if chunk.records or chunk.rejects:
        yield chunk


def _items(
    sources: Sequence[Source], options: RecordOptions, start: Position, watch: Watch
) -> Iterator[tuple[Position, Item]]:
    """Records and rejects, each with the position behind it."""
    first, skipped = start
    for index in range(first, len(sources)):
        before = _size(sources[:index])
        items = read(sources[index], options, _behind(before, watch))
        for count, item in enumerate(items, start=1):
            if index > first or count > skipped:
                yield (index, count), item


def _behind(before: int, watch: Watch) -> Watch:
    """Tells of one source's bytes as of so many more."""
    return lambda size: watch(before + size)


def _size(sources: Sequence[Source]) -> int:
    """Bytes of all sources."""
    return sum(source.size for source in sources)


def describe(sources: Sequence[Source], classifier: Classifier, options: ScoreOptions) -> dict[str, Any]:
    """What decides every byte of the output, as JSON values."""
    return {
        "stanceframe": version("stanceframe"),
        "libraries": {name: _version(name) for name in ("torch", "openvino")},
        "schema": LabelSchema().fingerprint,
        "model": classifier.tag,
        "options": {
            **asdict(options.records), "engine": options.engine, "keep_text": options.keep_text,
            "evidence": options.evidence,
        },
        "inputs": [
            {"path": str(source), "bytes": source.size, "sha256": _digest(source)} for source in sources
        ],
    }  # fmt: skip


def _version(name: str) -> str | None:
    """Release of a package; None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _digest(source: Source) -> str | None:
    """Hash of a file; None where it cannot be read, which reading it will say again."""
    try:
        return None if source.path is None else sha256(source.path)
    except OSError:
        return None


def score_corpus(
    sources: Sequence[Source],
    output: Path,
    classifier: Classifier,
    options: ScoreOptions,
    *,
    resume: bool = False,
    force: bool = False,
    quiet: bool = True,
) -> Outcome:
    """Score a corpus into a file, which appears when it is whole.

    Args:
        sources: what to read, in this order.
        output: a file whose ending says how to write it.
        classifier: what labels the sentences.
        options: how.
        resume: take up a job that was cut; begins one where there is none.
        force: replace an output that exists.
        quiet: no progress on standard error.

    Raises:
        InputError: an input cannot be used, the output is in the way, or a resumed job was another one.
    """
    check_sources(sources, options.records)
    if resume and any(source.path is None for source in sources):
        raise InputError("--resume: standard input cannot be read again: save it to a file")
    job = Job(output, describe(sources, classifier, options))
    if job.begin(resume=resume, force=force):
        logger.info("%s is whole already: nothing is left to do", output)
    else:
        _score_parts(job, sources, classifier, options, quiet=quiet)
        job.finish()
    done = total(job.parts)
    return Outcome(done.documents, done.sentences, done.rejects, job.rejects_path)


def _score_parts(
    job: Job, sources: Sequence[Source], classifier: Classifier, options: ScoreOptions, *, quiet: bool
) -> None:
    """Write the parts that are not there yet."""
    done = total(job.parts)
    if done.sentences:
        logger.info("%s: going on after %d sentences", job.output, done.sentences)
    with closing(Progress(_size(sources), done.read, quiet=quiet)) as progress:
        for chunk in chunks(sources, options.records, done.end, progress.watch):
            files = {"rows": chunk.row_lines(classifier, progress), "rejects": chunk.reject_lines()}
            if options.keep_text:
                files["text"] = chunk.text_lines()
            job.add(chunk.part(progress.read), files)


def score_stream(
    sources: Sequence[Source],
    stream: IO[bytes],
    classifier: Classifier,
    options: ScoreOptions,
    *,
    folder: Path = Path(),
    force: bool = False,
    quiet: bool = True,
) -> Outcome:
    """Score a corpus to an open stream as JSON lines, chunk by chunk.

    Args:
        sources: what to read, in this order.
        stream: where to.
        classifier: what labels the sentences.
        options: how.
        folder: where `rejects.jsonl` is put, and `text.jsonl` where the text is to be kept.
        force: replace these two where they exist.
        quiet: no progress on standard error.

    Raises:
        InputError: an input cannot be used, or one of the two files is in the way.
    """
    check_sources(sources, options.records)
    rejects, texts = folder / "rejects.jsonl", folder / "text.jsonl"
    for path in (rejects, texts) if options.keep_text else (rejects,):
        if path.exists() and not force:
            raise InputError(f"{path} exists: move it, or replace it with --force")
        path.unlink(missing_ok=True)
    done = total([])
    with closing(Progress(_size(sources), 0, quiet=quiet)) as progress:
        for chunk in chunks(sources, options.records, (0, 0), progress.watch):
            _append(rejects, chunk.reject_lines())
            if options.keep_text:
                _append(texts, chunk.text_lines())
            stream.writelines(chunk.row_lines(classifier, progress))
            stream.flush()
            done = total([done, chunk.part(progress.read)])
    return Outcome(done.documents, done.sentences, done.rejects, rejects)


def _append(path: Path, lines: Iterator[bytes]) -> None:
    """Add lines to a file, which is made by the first."""
    first = next(lines, None)
    if first is not None:
        with path.open("ab") as file:
            file.write(first)
            file.writelines(lines)
