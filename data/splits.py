"""Splits by hash: a document always falls on the same side, whatever else is in the file."""

import hashlib
from collections.abc import Sequence


def _position(key: str, salt: str) -> float:
    """A number in [0, 1) that only the key and the salt decide."""
    return int.from_bytes(hashlib.sha256(f"{salt}\0{key}".encode("utf-8", "surrogatepass")).digest()[:6]) / 2**48


def fold_of(document_id: str, folds: int) -> int:
    """The fold, from 0, that a document falls in."""
    return int(_position(document_id, "fold") * folds)


def held_out(keys: Sequence[str], share: float, salt: str) -> list[bool]:
    """Whether each key is held out: about `share` of all, always the same ones."""
    return [_position(key, salt) < share for key in keys]
