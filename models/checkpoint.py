"""A checkpoint on disk: weights, tokenizer, labels, calibration, metrics and model card, hashed.

```
config.json        shape of the network
model.safetensors  weights, in half precision
tokenizer.json     tokenizer
schema.json        which label each output stands for
calibration.json   temperatures and thresholds
metrics.json       what was measured of it
README.md          the model card
checkpoint.json    hash of each file above, and what it was trained on
derived/           what this machine made of it to run faster: no part of it
```
"""

import hashlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stanceframe.models.errors import CheckpointError
from stanceframe.models.labels import LabelSchema

IDENTITY = ("config.json", "model.safetensors", "tokenizer.json", "schema.json", "calibration.json")
"""The files that decide what a checkpoint answers: its hash is over them alone."""
DESCRIPTION = ("metrics.json", "README.md")
MANIFEST = "checkpoint.json"
DERIVED = "derived"
SHIPPED = Path(__file__).parent / "checkpoints" / "stanceframe"


def cache_folder() -> Path:
    """What can be made or fetched anew is kept in `$STANCEFRAME_CACHE`, else in `~/.cache/stanceframe`."""
    return Path(os.environ.get("STANCEFRAME_CACHE") or Path.home() / ".cache" / "stanceframe")


def sha256(path: Path) -> str:
    """Hexadecimal digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> Any:
    """Read a JSON file of a checkpoint.

    Raises:
        CheckpointError: it is not there, cannot be read, or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointError(f"{path.parent} is no checkpoint: it has no {path.name}") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None


def write_text(path: Path, text: str) -> None:
    """Replace a file with UTF-8 text, as `write_bytes` does."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file in one step: written beside, flushed to disk, renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file in one step."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A new folder to fill; it takes the place of `path` when the block ends well, and else vanishes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield beside
        beside.chmod(0o755)
        if path.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
            path.replace(old / path.name)
            beside.replace(path)
            shutil.rmtree(old)
        else:
            beside.replace(path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint says of itself.

    `hash` identifies what it answers; `trained_on` lists `{"name", "sentences", "share", "sha256"}`.
    """

    path: Path
    hash: str
    created: str
    trained_on: tuple[Mapping[str, Any], ...]
    metrics: Mapping[str, Any]
    base_encoder: str

    @property
    def tag(self) -> str:
        """Name and hash, as every scored sentence carries it."""
        return f"stanceframe:{self.hash[:12]}"

    @property
    def derived(self) -> Path:
        """Where this machine keeps what it makes of the checkpoint: beside it, or in the cache if that is read-only."""
        place = self.path if os.access(self.path, os.W_OK) else cache_folder()
        return place / DERIVED / self.hash[:12]

    @classmethod
    def seal(cls, path: Path, *, created: str, trained_on: list[dict[str, Any]], base_encoder: str) -> "Checkpoint":
        """Write the manifest of a folder that holds all other files."""
        hashes = {name: sha256(path / name) for name in (*IDENTITY, *DESCRIPTION)}
        write_json(
            path / MANIFEST,
            {
                "hash": _identity({name: hashes[name] for name in IDENTITY}),
                "created": created,
                "base_encoder": base_encoder,
                "trained_on": trained_on,
                "files": hashes,
            },
        )
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> "Checkpoint":
        """Check the files that decide what a checkpoint answers against its manifest; its card may be edited.

        Raises:
            CheckpointError: a file is missing, changed, or of labels that this version does not know.
        """
        manifest = read_json(path / MANIFEST)
        try:
            hashes: dict[str, str] = manifest["files"]
            for name in IDENTITY:
                if not (path / name).is_file():
                    raise CheckpointError(f"{path} is incomplete: it has no {name}")
                if sha256(path / name) != hashes[name]:
                    raise CheckpointError(f"{path / name} is not the file that the checkpoint was made with")
            if _identity({name: hashes[name] for name in IDENTITY}) != manifest["hash"]:
                raise CheckpointError(f"{path / MANIFEST} was changed: its hash is not that of its files")
            LabelSchema.check(read_json(path / "schema.json"))
            return cls(
                path=path,
                hash=manifest["hash"],
                created=manifest["created"],
                trained_on=tuple(manifest["trained_on"]),
                metrics=read_json(path / "metrics.json"),
                base_encoder=manifest["base_encoder"],
            )
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"{path / MANIFEST} is damaged: {error!r}") from None


def _identity(hashes: Mapping[str, str]) -> str:
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
