"""What the service allows and where it finds its model: environment variables, each with a stated default."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from stanceframe.models.errors import ConfigError
from stanceframe.models.types import ENGINES, EngineName

PREFIX = "STANCEFRAME_"


@dataclass(frozen=True, slots=True)
class Settings:
    """One variable a field: `STANCEFRAME_` and the field's name in capitals.

    Attributes:
        model: folder of the checkpoint to serve; unset: the champion, else the shipped one.
        engine: what runs the network: `auto` takes the fastest of this machine, `torch-fp32` is exact.
        remember_sentences: so many distinct sentences, those asked of last, are answered from memory; 0: none.
        max_body_bytes: of one request; past it 413.
        max_sentences: in one request, in `/analyze` over all its documents; past it 422, as the limits below.
        max_explained_characters: of all sentences of one request that asks for evidence, a pass for each word.
        max_documents: in one request.
        max_document_characters: Unicode code points of one document.
        max_sentence_characters: Unicode code points of one sentence of `/predict`.
        max_requests: labelled or waiting for it at one time; past it 503.
        retry_after_seconds: what a 503 advises.
    """

    model: str | None = None
    engine: EngineName = "auto"
    remember_sentences: int = 10_000
    max_body_bytes: int = 8 * 1024 * 1024
    max_sentences: int = 2_000
    max_explained_characters: int = 10_000
    max_documents: int = 100
    max_document_characters: int = 500_000
    max_sentence_characters: int = 20_000
    max_requests: int = 32
    retry_after_seconds: int = 5

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read the variables that are set; an empty one counts as unset.

        Raises:
            ConfigError: a limit is no whole number above 0, or there is no such engine; the message names the variable.
        """
        values: dict[str, Any] = {}
        for field in fields(cls):
            name = PREFIX + field.name.upper()
            if value := environment.get(name):
                values[field.name] = _READ.get(field.name, _limit)(name, value)
        return cls(**values)

    def limits(self) -> dict[str, int]:
        """What one request may hold, as `/model` shows it."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name.startswith("max_")}


def _limit(name: str, value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise ConfigError(f"{name} is {value!r}: it takes a whole number above 0")
    return int(value)


def _engine(name: str, value: str) -> str:
    if value not in ENGINES:
        raise ConfigError(f"{name} is {value!r}: it takes one of {', '.join(ENGINES)}")
    return value


def _count(name: str, value: str) -> int:
    return 0 if value == "0" else _limit(name, value)


_READ: Mapping[str, Callable[[str, str], Any]] = {
    "model": lambda _, value: value,
    "engine": _engine,
    "remember_sentences": _count,
}
"""How a variable is read that is no limit."""
