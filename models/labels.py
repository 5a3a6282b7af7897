"""The labels of the codebook, and where each stands among the network's outputs."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, TypeVar

from stanceframe.models.errors import CheckpointError, LabelError


class Stance(StrEnum):
    """What a sentence conveys toward one target."""

    FAVOR = "favor"
    AGAINST = "against"
    NEUTRAL = "neutral"
    ABSENT = "absent"

    @property
    def is_evaluation(self) -> bool:
        """Whether somebody holds it: only then is there a holder."""
        return self in (Stance.FAVOR, Stance.AGAINST)


class Holder(StrEnum):
    """Who holds a stance."""

    AUTHOR = "author"
    RUSSIA = "russia"
    NORTH_KOREA = "north_korea"
    UNITED_STATES = "united_states"
    OTHER = "other"


class Frame(StrEnum):
    """How the Russia–North Korea alignment is put: independent of each other."""

    SACRED_STRUGGLE = "sacred_struggle"
    DESPERATION = "desperation"


class Sentiment(StrEnum):
    """The tone of the whole sentence."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    NEUTRAL = "neutral"


class Target(StrEnum):
    """The three targets of the public schema."""

    RUSSIA = "russia"
    NORTH_KOREA = "north_korea"
    UNITED_STATES = "united_states"


Label = TypeVar("Label", bound=StrEnum)


def parse_label(kind: type[Label], value: object, field: str) -> Label:
    """Read a label, or raise a LabelError that names the field and the values it may take."""
    try:
        return kind(value)  # type: ignore[arg-type]  # StrEnum looks any value up, and raises ValueError
    except ValueError:
        allowed = ", ".join(kind)
        raise LabelError(f"{field}: {value!r} is none of {allowed}") from None


@dataclass(frozen=True, slots=True)
class TargetText:
    """A target as the network is told of it.

    `name` is read by the encoder; where one of `aliases` (or the name) stands in a sentence, its tokens
    are marked as a mention of this target. Aliases match whole words, in any case unless they have three
    letters or fewer ("US" is not "us").
    """

    name: str
    aliases: tuple[str, ...] = ()


TARGETS: Mapping[Target, TargetText] = {
    Target.RUSSIA: TargetText(
        "Russia",
        ("Russian", "Russians", "Moscow", "Kremlin", "Putin", "Lavrov", "Peskov", "Zakharova", "Shoigu", "Belousov",
         "Medvedev", "Nebenzia", "Roscosmos", "Wagner", "USSR", "Soviet Union"),
    ),
    Target.NORTH_KOREA: TargetText(
        "North Korea",
        ("North Korean", "North Koreans", "N. Korea", "N.Korea", "DPRK", "D.P.R.K.", "Pyongyang", "KCNA", "KPA", "WPK",
         "Kim Jong Un", "Kim Jong-un", "Kim Jong Il", "Kim Jong-il", "Kim Il Sung", "Kim Il-sung", "Kim Yo Jong",
         "Kim Yo-jong", "Choe Son Hui", "Choe Son-hui", "Korean People's Army", "Korean People’s Army",
         "Workers' Party of Korea", "Workers’ Party of Korea", "Democratic People's Republic of Korea",
         "Democratic People’s Republic of Korea"),
    ),
    Target.UNITED_STATES: TargetText(
        "United States",
        ("US", "U.S.", "U.S", "USA", "U.S.A.", "America", "American", "Americans", "Washington", "White House",
         "Pentagon", "State Department", "Biden", "Trump", "Obama", "Blinken", "Rubio", "Vance", "Hegseth", "Pompeo",
         "Bolton"),
    ),
}  # fmt: skip
"""Names and usual aliases, after the codebook's table of mentions. Aliases only point: training leaves the
marks out of some examples, so that the network also finds the mentions that no alias covers."""


@dataclass(frozen=True, slots=True)
class LabelSchema:
    """Which label each output column stands for.

    A checkpoint stores its schema; a schema of another codebook, other labels or another order has another
    `fingerprint`, and a checkpoint with one is refused rather than read wrongly.
    """

    version: str = "1.2"
    stances: tuple[str, ...] = tuple(Stance)
    holders: tuple[str, ...] = tuple(Holder)
    frames: tuple[str, ...] = tuple(Frame)
    sentiments: tuple[str, ...] = tuple(Sentiment)

    @property
    def fingerprint(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of the version and the labels in their order."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    def to_json(self) -> dict[str, Any]:
        """The schema as JSON values."""
        return {**asdict(self), "fingerprint": self.fingerprint}

    @classmethod
    def check(cls, stored: Mapping[str, Any]) -> "LabelSchema":
        """Return this version's schema where `stored` (from `to_json`) is the same.

        Raises:
            CheckpointError: the labels or their order differ.
        """
        schema = cls()
        if stored.get("fingerprint") != schema.fingerprint:
            raise CheckpointError(
                f"the checkpoint's labels (codebook {stored.get('version')}, {stored.get('fingerprint')}) are not "
                f"this version's (codebook {schema.version}, {schema.fingerprint}): use the matching stanceframe "
                "release, or retrain"
            )
        return schema
