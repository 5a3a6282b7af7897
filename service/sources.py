"""The files of a corpus: what files, folders, globs and `-` stand for."""

import glob
import itertools
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stanceframe.models.errors import InputError

logger = logging.getLogger(__name__)

STANDARD_INPUT = "-"
KINDS: Mapping[str, str] = {
    ".txt": "txt", ".html": "html", ".htm": "html", ".jsonl": "jsonl", ".csv": "csv", ".tsv": "tsv",
    ".parquet": "parquet",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """One input file, or standard input (`path` None).

    `name` is the start of its records' ids: the file's name, or its path below the folder it was found in.
    `named` says that the caller named this very file: then it must be usable as a whole.
    """

    path: Path | None
    name: str
    named: bool

    @property
    def kind(self) -> str:
        """How it is read: a value of `KINDS`."""
        return "jsonl" if self.path is None else _kind(self.path) or ""

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return 0 if self.path is None else self.path.stat().st_size

    def __str__(self) -> str:
        return STANDARD_INPUT if self.path is None else str(self.path)


def _kind(path: Path) -> str | None:
    suffixes = path.suffixes
    if suffixes and suffixes[-1].lower() == ".gz":
        kind = KINDS.get(suffixes[-2].lower()) if len(suffixes) > 1 else None
        return None if kind == "parquet" else kind
    return KINDS.get(path.suffix.lower())


def find_sources(inputs: Sequence[str], output: Path | None = None) -> list[Source]:
    """The files behind files, folders, globs and `-`, in the order given; a folder's files are sorted.

    A folder is searched with its folders, hidden files and files of other endings left out, and a file that
    is met twice is taken once. `output`, and whatever was written beside it, is no input.

    Raises:
        InputError: an input does not exist, has an ending that cannot be read, or holds no such file.
    """
    found: dict[Path | None, Source] = {}
    for name in inputs:
        for source in _find(name):
            key = None if source.path is None else source.path.resolve()
            if not (key and output and _is_output(key, output.resolve())):
                found.setdefault(key, source)
            elif source.named:
                raise InputError(f"{source}: is the output itself, or was written beside it: name another output")
    if not found:
        raise InputError("the input holds nothing but the output itself: name what is to be scored")
    return _distinct(list(found.values()))


def _distinct(sources: Sequence[Source]) -> list[Source]:
    """The sources, with the whole path as the name of those that would share one."""
    times = Counter(source.name for source in sources)
    return [
        replace(source, name=source.path.as_posix()) if source.path and times[source.name] > 1 else source
        for source in sources
    ]


def _is_output(path: Path, output: Path) -> bool:
    """Whether a file is the output, or one of those that are written beside it."""
    beside = {output.with_name(output.name + ending) for ending in ("", ".rejects.jsonl", ".text.jsonl")}
    return path in beside or output.with_name(f"{output.name}.parts") in path.parents


def _find(name: str) -> list[Source]:
    endings = ", ".join(KINDS)
    path = Path(name)
    if name == STANDARD_INPUT:
        return [Source(None, STANDARD_INPUT, named=True)]
    if path.is_dir():
        sources = _in_folder(path)
        if not sources:
            raise InputError(f"{name}: the folder holds no file that can be read ({endings})")
        return sources
    if path.exists():
        if _kind(path) is None:
            raise InputError(f"{name}: unknown ending; it can be {endings}, and .gz behind all but .parquet")
        return [Source(path, path.name, named=True)]
    sources = _matching(name) if glob.has_magic(name) else []
    if not sources:
        raise InputError(f"{name}: no such file or folder, and as a pattern it matches no file ({endings})")
    return sources


def _in_folder(folder: Path) -> list[Source]:
    inside = [path for path in folder.rglob("*") if path.is_file() and not _is_hidden(path.relative_to(folder))]
    sources = _found(folder, inside)
    if len(sources) < len(inside):
        logger.info("%s: %d files of other endings are left out", folder, len(inside) - len(sources))
    return sources


def _matching(pattern: str) -> list[Source]:
    """The files that match a glob, and those in folders that match."""
    fixed = list(itertools.takewhile(lambda part: not glob.has_magic(part), Path(pattern).parts))
    matches = [Path(match) for match in glob.glob(pattern, recursive=True)]  # noqa: PTH207
    inside = (source.path for match in matches if match.is_dir() for source in _in_folder(match) if source.path)
    return _found(Path(*fixed), {*inside, *(match for match in matches if match.is_file())})


def _found(top: Path, paths: Iterable[Path]) -> list[Source]:
    """Sources of the files that can be read, sorted by their paths below `top`."""
    names = {path.relative_to(top).as_posix(): path for path in paths if _kind(path)}
    return [Source(names[name], name, named=False) for name in sorted(names)]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
