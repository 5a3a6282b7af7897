"""The registry: checkpoints in BentoML's model store, and which of them is the champion.

A checkpoint is stored first and the pointer moved after, each in one step: a crash between the two leaves
the old champion in office.
"""

import datetime
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from stanceframe.models.champion import Champions, Promotion, find, home, model_store, model_store_folder, resolve
from stanceframe.models.checkpoint import DERIVED, MANIFEST, SHIPPED, Checkpoint, read_json
from stanceframe.models.errors import CheckpointError, RegistryError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """A checkpoint that can be used by its tag; `origin` says where it comes from."""

    checkpoint: Checkpoint
    origin: str
    champion: bool


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def store(path: Path) -> Checkpoint:
    """Copy a checkpoint's folder into BentoML's model store, under its tag; the same one again changes nothing.

    Raises:
        CheckpointError: the folder is no checkpoint or is damaged.
        RegistryError: the model store refuses it.
    """
    checkpoint = Checkpoint.open(path)
    try:
        return Checkpoint.open(find(checkpoint.tag))
    except (RegistryError, CheckpointError):
        return _copied(checkpoint)


def _copied(checkpoint: Checkpoint) -> Checkpoint:
    """Copy into the store; what an earlier copy that was cut has left there goes first."""
    bentoml = model_store()
    try:
        with suppress(bentoml.exceptions.NotFound):
            bentoml.models.delete(checkpoint.tag)
        with bentoml.models.create(checkpoint.tag, labels={"origin": origin(checkpoint)}) as model:
            shutil.copytree(checkpoint.path, model.path, ignore=shutil.ignore_patterns(DERIVED), dirs_exist_ok=True)
    except (bentoml.exceptions.BentoMLException, OSError) as error:
        raise RegistryError(f"{checkpoint.tag} cannot be put into BentoML's model store: {error}") from None
    return Checkpoint.open(find(checkpoint.tag))


def promote(model: str, reason: str, *, labels_until: str | None = None, instead_of: str | None = None) -> Promotion:
    """Make a checkpoint the champion.

    Args:
        model: its folder or tag.
        reason: why, for the history.
        labels_until: see `Promotion`.
        instead_of: tag of the checkpoint that must still answer, for a decision that was made against it.

    Raises:
        InputError: `model` is neither a folder nor a tag.
        CheckpointError: it is damaged.
        RegistryError: it cannot be stored, or another one was promoted meanwhile.
    """
    checkpoint = store(resolve(model))
    with _locked():
        champions = Champions.read()
        answering = Checkpoint.open(resolve()).tag if instead_of is not None else None
        if answering != instead_of:
            raise RegistryError(
                f"{answering} was promoted in place of {instead_of} meanwhile, and the comparison was with the "
                "latter: run it again"
            )
        promotion = Promotion(checkpoint.tag, now(), reason, labels_until)
        champions.promoted(promotion).write()
    return promotion


def roll_back() -> tuple[Promotion, str]:
    """Take the last promotion back.

    Returns:
        The promotion, and the tag that answers now.

    Raises:
        RegistryError: nothing was promoted, or what came before is no longer there.
        CheckpointError: what came before is damaged.
    """
    with _locked():
        champions = Champions.read()
        earlier = champions.without_champion(now())
        before = earlier.champion
        checkpoint = Checkpoint.open(SHIPPED if before is None else find(before.tag))
        earlier.write()
    return champions.promotions[-1], checkpoint.tag


def entries() -> list[Entry]:
    """The shipped checkpoint, then the stored ones by age; a damaged one is left out with a warning."""
    shipped = [Checkpoint.open(SHIPPED)] if (SHIPPED / MANIFEST).is_file() else []
    stored = sorted(_stored(), key=lambda checkpoint: checkpoint.created)
    champion = Champions.read().champion
    answering = champion.tag if champion is not None else shipped[0].tag if shipped else None
    known = {checkpoint.tag: checkpoint for checkpoint in reversed((*shipped, *stored))}
    return [Entry(of, origin(of), tag == answering) for tag, of in reversed(known.items())]


def _stored() -> Iterator[Checkpoint]:
    """The model store's checkpoints. Read from its folder: `bentoml.models.list` fails over one that was cut."""
    for manifest in (model_store_folder() / "stanceframe").glob(f"*/{MANIFEST}"):
        try:
            yield Checkpoint.open(manifest.parent)
        except CheckpointError as error:
            log.warning("left out: %s", error)


def origin(checkpoint: Checkpoint) -> str:
    """Where a checkpoint comes from, in a few words."""
    if checkpoint.path == SHIPPED:
        return "shipped"
    retraining = checkpoint.metrics.get("retraining")
    if retraining:
        return f"retrained from {retraining['incumbent']} with {retraining['new_labels']} new labels"
    return "trained"


def figures(checkpoint: Checkpoint) -> str:
    """The figure that a list shows: the stance macro-F1 on the frozen test, where it was measured."""
    figure = checkpoint.metrics.get("evaluations", {}).get("frozen test", {}).get("stance_macro_f1")
    return f"stance macro-F1 {figure['value']:.3f}" if figure else "not measured"


def table() -> str:
    """The registry for people: one checkpoint a line, the champion marked."""
    rows = [
        (
            "*" if entry.champion else " ",
            entry.checkpoint.tag,
            entry.checkpoint.created[:19].replace("T", " "),
            figures(entry.checkpoint),
            entry.origin,
        )
        for entry in entries()
    ]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(5)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def describe(model: str | None) -> str:
    """Everything that a checkpoint says of itself, as JSON: tag, hash, metrics, thresholds and data.

    Raises:
        StanceframeError: as `resolve` and `Checkpoint.open`.
    """
    checkpoint = Checkpoint.open(resolve(model))
    champions = Champions.read()
    value: dict[str, Any] = {
        "tag": checkpoint.tag,
        "hash": checkpoint.hash,
        "created": checkpoint.created,
        "origin": origin(checkpoint),
        "base_encoder": checkpoint.base_encoder,
        "trained_on": list(checkpoint.trained_on),
        "calibration": read_json(checkpoint.path / "calibration.json"),
        "metrics": checkpoint.metrics,
        "promotions": [
            {"time": promotion.time, "reason": promotion.reason, "rolled_back": promotion.rolled_back}
            for promotion in (*champions.promotions, *champions.rolled_back)
            if promotion.tag == checkpoint.tag
        ],
    }
    return json.dumps(value, indent=2, ensure_ascii=False)


@contextmanager
def _locked() -> Iterator[None]:
    """Only one at a time moves the pointer; a lock of a process that died is free."""
    home().mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(home() / ".champion.lock", timeout=30):
            yield
    except Timeout:
        raise RegistryError("another process is changing the champion: try again") from None
