"""The annotation store: every label that anybody gave, in one SQLite file.

Each row is one version of what one annotator says of one sentence. The same id and annotator again makes
another version current and keeps the earlier ones. Times of storing are in UTC and strictly rise from one
call of `add` to the next, so that "newer than" can be asked without loss.
"""

import datetime
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from stanceframe.data.corpus import parse_labelled, to_json
from stanceframe.models.errors import StoreError
from stanceframe.models.types import LabelledSentence

VERSION = 1
WAIT_SECONDS = 30.0
_TABLES = """
CREATE TABLE IF NOT EXISTS annotations (
    version INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    annotator TEXT NOT NULL,
    stored_at TEXT NOT NULL,
    record TEXT NOT NULL,
    current INTEGER NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS current_annotation ON annotations (id, annotator) WHERE current;
CREATE INDEX IF NOT EXISTS storing ON annotations (stored_at);
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """A labelled sentence and when it came in (ISO 8601, UTC, to the microsecond)."""

    sentence: LabelledSentence
    stored_at: str


class AnnotationStore:
    """Labels in a SQLite file, which is made when the first label comes in; safe for several processes at once.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, sentences: Iterable[LabelledSentence]) -> int:
        """Store labels, all or none of them.

        Returns:
            How many are new or differ from what was current; the others change nothing.

        Raises:
            StoreError: the file cannot be written, or is no annotation store.
        """
        with self._connected() as connection:
            stored_at = _next_time(connection)
            return sum(_add(connection, sentence, stored_at) for sentence in sentences)

    def unknown(self, sentences: Iterable[LabelledSentence]) -> list[LabelledSentence]:
        """Those whose labels `add` would store: they are new, or differ from what is current.

        Raises:
            StoreError: the file cannot be read, or is no annotation store.
        """
        if not self.path.exists():
            return list(sentences)
        with self._connected() as connection:
            return [sentence for sentence in sentences if not _is_current(connection, sentence)]

    def current(self, since: str | None = None) -> list[Stored]:
        """What is current, in the order in which it came in; with `since`, what came in after that time.

        Raises:
            StoreError: the file cannot be read, or is no annotation store.
        """
        return self._read(
            "SELECT record, stored_at FROM annotations WHERE current AND stored_at > ? ORDER BY version",
            since or "",
        )

    def history(self, identity: str) -> list[Stored]:
        """Every version of a sentence's labels, the earliest first.

        Raises:
            StoreError: the file cannot be read, or is no annotation store.
        """
        return self._read("SELECT record, stored_at FROM annotations WHERE id = ? ORDER BY version", identity)

    def _read(self, query: str, value: str) -> list[Stored]:
        if not self.path.exists():
            return []
        with self._connected() as connection:
            rows = connection.execute(query, (value,))
            return [Stored(parse_labelled(json.loads(record)), stored_at) for record, stored_at in rows]

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """A connection within one transaction."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=WAIT_SECONDS, isolation_level=None)) as connection:
                self._prepare(connection)
                connection.execute("BEGIN IMMEDIATE")
                with connection:
                    yield connection
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"{self.path}: the annotation store cannot be used ({error}): restore the file, or set "
                "STANCEFRAME_HOME to another folder"
            ) from None

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Make the tables of a new file."""
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise StoreError(f"{self.path} was written by a newer stanceframe (its version is {version}): upgrade")
        if version < VERSION:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"{_TABLES}PRAGMA user_version = {VERSION};")


def _next_time(connection: sqlite3.Connection) -> str:
    """The time now, or just after the latest that is stored, should the clock stand behind that."""
    now = datetime.datetime.now(datetime.UTC)
    (latest,) = connection.execute("SELECT max(stored_at) FROM annotations").fetchone()
    if latest is not None:
        now = max(now, datetime.datetime.fromisoformat(latest) + datetime.timedelta(microseconds=1))
    return now.isoformat(timespec="microseconds")


def _record(sentence: LabelledSentence) -> str:
    return json.dumps(to_json(sentence), ensure_ascii=False, sort_keys=True)


def _key(sentence: LabelledSentence) -> tuple[str, str]:
    return sentence.id, sentence.annotator or ""


def _is_current(connection: sqlite3.Connection, sentence: LabelledSentence) -> bool:
    found = connection.execute(
        "SELECT record FROM annotations WHERE id = ? AND annotator = ? AND current", _key(sentence)
    )
    return bool(found.fetchone() == (_record(sentence),))


def _add(connection: sqlite3.Connection, sentence: LabelledSentence, stored_at: str) -> bool:
    """Make a sentence's labels current; False where they are already."""
    if _is_current(connection, sentence):
        return False
    key = _key(sentence)
    connection.execute("UPDATE annotations SET current = 0 WHERE id = ? AND annotator = ? AND current", key)
    connection.execute(
        "INSERT INTO annotations (id, annotator, stored_at, record, current) VALUES (?, ?, ?, ?, 1)",
        (*key, stored_at, _record(sentence)),
    )
    return True
