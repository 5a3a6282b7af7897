"""A job's output while it grows: finished parts on disk, so that a job that was cut is taken up where it stood.

```
OUT.parts/manifest.json     what is being scored, with what: a resumed job must say the same
OUT.parts/000000.rows       scored sentences, JSON lines
OUT.parts/000000.rejects    rejected records, JSON lines
OUT.parts/000000.text       the documents' text, JSON lines; only if it is to be kept
OUT.parts/000000.json       written last: the part is whole
OUT, OUT.rejects.jsonl, OUT.text.jsonl, OUT.manifest.json    put together from the parts at the end
```
Every file is written beside its place, flushed to disk and renamed: none is ever seen half written.
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from stanceframe.models.checkpoint import read_json, sha256, write_json
from stanceframe.models.errors import InputError
from stanceframe.service.tables import Format, InputType, common_type, write_table

Position = tuple[int, int]
"""A place in the input: number of the source, and how many records of it come before."""
BESIDE = (".rejects.jsonl", ".text.jsonl", ".manifest.json")
"""Endings of what is put beside the output."""


@contextmanager
def replacing_file(path: Path) -> Iterator[IO[bytes]]:
    """A new file to fill; it takes the place of `path` when the block ends well, and else vanishes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Part:
    """What a finished part says of itself.

    `end` is where the next part begins; `read` is how many bytes of all input come before that; `inputs`
    are the types of the input's own columns, as far as this part has them.
    """

    end: Position
    read: int
    documents: int
    sentences: int
    rejects: int
    inputs: Mapping[str, InputType]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Part":
        """Read what `asdict` gave."""
        source, record = value["end"]
        return cls(**{**value, "end": (source, record)})


def input_columns(parts: Iterable[Part]) -> dict[str, InputType]:
    """All input columns, in the order they first came, with a type that holds every value."""
    columns: dict[str, InputType] = {}
    for part in parts:
        for name, kind in part.inputs.items():
            columns[name] = common_type(columns.get(name, kind), kind)
    return columns


class Job:
    """The parts of one output.

    Args:
        output: the file that is made in the end.
        manifest: JSON values that say what is scored with what.
    """

    def __init__(self, output: Path, manifest: Mapping[str, Any]) -> None:
        self.output = output
        self.manifest = manifest
        self.folder = output.with_name(f"{output.name}.parts")
        self.parts: list[Part] = []

    @property
    def rejects_path(self) -> Path:
        """Where rejected records are listed in the end, if there are any."""
        return self._beside()[".rejects.jsonl"]

    def begin(self, *, resume: bool, force: bool) -> bool:
        """Make ready to write parts; True if the whole output is there already.

        Without `force`, nothing that exists is overwritten. With it, an earlier output stays until the new
        one is whole.

        Raises:
            InputError: there is something in the way, or what is to be resumed was made of something else.
        """
        manifest = self.folder / "manifest.json"
        if resume and manifest.exists():
            self._check(read_json(manifest))
            self._find_finished()
            return False
        if resume and self.output.exists():
            return self._is_whole()
        if not force:
            self._refuse_to_overwrite()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        write_json(manifest, self.manifest)
        return False

    def _refuse_to_overwrite(self) -> None:
        if (self.folder / "manifest.json").exists():
            raise InputError(
                f"{self.folder} holds a job that was cut: --resume takes it up, --force begins again without it"
            )
        for path in (self.output, *self._beside().values()):
            if path.exists():
                raise InputError(f"{path} exists: name another output, or replace it with --force")

    def _is_whole(self) -> bool:
        path = self._beside()[".manifest.json"]
        if not path.exists():
            raise InputError(f"{self.output} exists, and nothing says what it was made of: --force replaces it")
        done = read_json(path)
        self._check(done)
        self.parts = [Part.from_json(done["whole"])]
        return True

    def _check(self, earlier: Mapping[str, Any]) -> None:
        for key, value in self.manifest.items():
            if earlier.get(key) != value:
                then, now = _difference(earlier.get(key), value)
                raise InputError(
                    f"--resume: {self.output} was begun otherwise ({key}: {then} then, {now} now): "
                    "ask for the same as then, or begin again with --force"
                )

    def _find_finished(self) -> None:
        while (path := self._path(len(self.parts), "json")).exists():
            self.parts.append(Part.from_json(read_json(path)))

    def _path(self, number: int, ending: str) -> Path:
        return self.folder / f"{number:06}.{ending}"

    def _beside(self) -> dict[str, Path]:
        return {ending: self.output.with_name(self.output.name + ending) for ending in BESIDE}

    def add(self, part: Part, files: Mapping[str, Iterable[bytes]]) -> None:
        """Write a part: the lines of `rows`, `rejects` and `text`, and then what it says of itself."""
        number = len(self.parts)
        for ending, lines in files.items():
            with replacing_file(self._path(number, ending)) as file:
                file.writelines(lines)
        write_json(self._path(number, "json"), asdict(part))
        self.parts.append(part)

    def finish(self) -> None:
        """Put the output together from all parts, the output itself last, and remove the parts."""
        beside = self._beside()
        self._join("rejects", self.rejects_path)
        self._join("text", beside[".text.jsonl"])
        with replacing_file(self.output) as file:
            evidence = bool(self.manifest["options"]["evidence"])
            lines = self._lines("rows")
            write_table(Format.of(self.output), file, lines, input_columns(self.parts), evidence=evidence)
        whole = {"sha256": sha256(self.output)}
        write_json(beside[".manifest.json"], {**self.manifest, **whole, "whole": asdict(total(self.parts))})
        shutil.rmtree(self.folder)

    def _join(self, ending: str, path: Path) -> None:
        """One file of what the parts have; none where they have nothing."""
        lines = self._lines(ending)
        first = next(lines, None)
        if first is None:
            path.unlink(missing_ok=True)
            return
        with replacing_file(path) as file:
            file.write(first)
            file.writelines(lines)

    def _lines(self, ending: str) -> Iterator[bytes]:
        for number in range(len(self.parts)):
            path = self._path(number, ending)
            if path.exists():
                with path.open("rb") as file:
                    yield from file


def total(parts: Sequence[Part]) -> Part:
    """All parts as one."""
    return Part(
        end=parts[-1].end if parts else (0, 0),
        read=parts[-1].read if parts else 0,
        documents=sum(part.documents for part in parts),
        sentences=sum(part.sentences for part in parts),
        rejects=sum(part.rejects for part in parts),
        inputs=input_columns(parts),
    )


def _difference(then: Any, now: Any) -> tuple[Any, Any]:
    """What differs, not all that does not."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        keys = [key for key in {**then, **now} if then.get(key) != now.get(key)]
        return {key: then.get(key) for key in keys}, {key: now.get(key) for key in keys}
    if isinstance(then, list) and isinstance(now, list):
        pairs = zip([*then, None], [*now, None], strict=False)
        return next(pair for pair in pairs if pair[0] != pair[1])
    return then, now
