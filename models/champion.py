"""Which checkpoint answers: the one that is named, else the champion, else the shipped one.

The champion is named by one small file, replaced in one step, in the folder `home()`:

```
champion.json   {"champion": "stanceframe:…", "promotions": [{"tag", "time", "reason", …}], "rolled_back": [{…}]}
```

`promotions` is a stack: the last is the champion, and a roll-back takes it off; where none is left, the
shipped checkpoint answers. The checkpoints themselves are in BentoML's model store, under `$BENTOML_HOME`.
"""

import os
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from stanceframe.models.checkpoint import MANIFEST, SHIPPED, read_json, write_json
from stanceframe.models.errors import CheckpointError, InputError, RegistryError

HOME = "STANCEFRAME_HOME"
TAG = re.compile(r"stanceframe:[0-9a-f]{12}")


def home() -> Path:
    """Folder of what an installation keeps: `$STANCEFRAME_HOME`, else `~/.local/share/stanceframe`."""
    return Path(os.environ.get(HOME) or "~/.local/share/stanceframe").expanduser()


@dataclass(frozen=True, slots=True)
class Promotion:
    """A checkpoint that became champion, when and why.

    `labels_until` is the time up to which the annotation store's labels have been learned or held out for
    its sake; None where that is not known. `rolled_back` is when it ceased to be champion, if it was taken back.
    """

    tag: str
    time: str
    reason: str
    labels_until: str | None = None
    rolled_back: str | None = None


@dataclass(frozen=True, slots=True)
class Champions:
    """The pointer: promotions that stand, the last of them the champion's, and those that were taken back."""

    promotions: tuple[Promotion, ...] = ()
    rolled_back: tuple[Promotion, ...] = ()

    @property
    def champion(self) -> Promotion | None:
        """Who answers; None: the shipped checkpoint."""
        return self.promotions[-1] if self.promotions else None

    @classmethod
    def read(cls) -> "Champions":
        """Read the pointer; without a file there is no champion.

        Raises:
            RegistryError: the file is damaged.
        """
        path = home() / "champion.json"
        if not path.exists():
            return cls()
        try:
            stored = read_json(path)
            return cls(
                tuple(Promotion(**entry) for entry in stored["promotions"]),
                tuple(Promotion(**entry) for entry in stored["rolled_back"]),
            )
        except (CheckpointError, KeyError, TypeError) as error:
            raise RegistryError(
                f"{path} is damaged ({error}): mend it, or delete it to go back to the shipped checkpoint"
            ) from None

    def write(self) -> None:
        """Replace the pointer in one step."""
        champion = self.champion
        write_json(
            home() / "champion.json",
            {
                "champion": champion and champion.tag,
                "promotions": [asdict(promotion) for promotion in self.promotions],
                "rolled_back": [asdict(promotion) for promotion in self.rolled_back],
            },
        )

    def promoted(self, promotion: Promotion) -> "Champions":
        """The pointer with another champion."""
        return replace(self, promotions=(*self.promotions, promotion))

    def without_champion(self, time: str) -> "Champions":
        """The pointer one step back.

        Raises:
            RegistryError: there is no champion to take back.
        """
        if self.champion is None:
            raise RegistryError("nothing was promoted: the shipped checkpoint answers, and there is nothing before it")
        return Champions(self.promotions[:-1], (*self.rolled_back, replace(self.champion, rolled_back=time)))


def resolve(model: str | None = None) -> Path:
    """The folder of a checkpoint.

    Args:
        model: a folder, a tag such as `stanceframe:0123456789ab`, or None for the champion, else the shipped one.

    Raises:
        InputError: `model` is neither a folder nor a tag.
        RegistryError: the tag is not in the model store, or the pointer is damaged.
    """
    if model is None:
        champion = Champions.read().champion
        return SHIPPED if champion is None else find(champion.tag)
    if Path(model).is_dir():
        return Path(model)
    if TAG.fullmatch(model):
        return find(model)
    raise InputError(
        f"{model}: neither a folder nor a tag such as stanceframe:0123456789ab; `stanceframe model list` shows the tags"
    )


def find(tag: str) -> Path:
    """The folder of a checkpoint by its tag: the shipped one's, or one in BentoML's model store.

    Raises:
        RegistryError: it is in neither.
    """
    if (SHIPPED / MANIFEST).is_file() and tag == f"stanceframe:{read_json(SHIPPED / MANIFEST)['hash'][:12]}":
        return SHIPPED
    bentoml = model_store()
    try:
        return Path(bentoml.models.get(tag).path)
    except bentoml.exceptions.BentoMLException:
        raise RegistryError(
            f"{tag} is not in BentoML's model store: set BENTOML_HOME to where it is, or go back with "
            "`stanceframe model rollback`; `stanceframe model list` shows what there is"
        ) from None


def model_store() -> Any:
    """The `bentoml` package, imported when it is first needed: it is slow. It is told to send no usage data."""
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    import bentoml  # noqa: PLC0415

    return bentoml


def model_store_folder() -> Path:
    """Where BentoML keeps its models."""
    return Path(os.environ.get("BENTOML_HOME") or "~/bentoml").expanduser() / "models"
