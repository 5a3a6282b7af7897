"""What a teacher says of sentences, kept as numbers under the hashes of their texts.

There is no text in it, so that it can be shipped, and distillation be repeated without the teacher.

A network learns from a teacher's probabilities beside the labels, or in their place where there are none
(distillation: Hinton, Vinyals and Dean, 2015, arXiv 1503.02531).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from tqdm import tqdm

from stanceframe.data.corpus import text_id
from stanceframe.models.calibration import Array
from stanceframe.models.checkpoint import write_bytes
from stanceframe.models.classifier import SCHEMA_MENTIONS, Scores, StanceClassifier
from stanceframe.models.errors import ConfigError

SCALE = 255
"""Probabilities are kept as whole 255ths, a byte each."""
HEADS = ("stance", "holder", "framing", "sentiment")
AT_ONCE = 2048


@dataclass(frozen=True, slots=True)
class Teaching:
    """A teacher's probabilities for the schema's three targets.

    `teacher` names the checkpoints that gave them. `rows` is a sentence's place, by its `text_id`, in the arrays:
    stance (N, 3, 4), holder (N, 3, 5), framing (N, 2) and sentiment (N, 3), uint8 in 255ths.
    """

    teacher: str
    rows: Mapping[str, int]
    heads: Mapping[str, NDArray[np.uint8]]

    def of(self, text: str) -> Scores | None:
        """What the teacher says of a sentence; None where it was not asked."""
        row = self.rows.get(text_id(text))
        if row is None:
            return None
        stance, holder, framing, sentiment = (self.heads[head][row] / SCALE for head in HEADS)
        return Scores(_summing_to_1(stance), _summing_to_1(holder), framing, _summing_to_1(sentiment), truncated=False)

    def and_of(self, ids: Sequence[str], heads: Mapping[str, NDArray[np.uint8]]) -> "Teaching":
        """The same, and what the teacher says of more sentences."""
        rows = {**self.rows, **{identity: len(self.rows) + i for i, identity in enumerate(ids)}}
        together = {head: np.concatenate([self.heads[head], new]) if self.rows else new for head, new in heads.items()}
        return Teaching(self.teacher, rows, together)

    def save(self, path: Path) -> None:
        """Write a safetensors file in one step."""
        ids = np.array([int(identity, 16) for identity in self.rows], dtype=np.uint64)
        write_bytes(path, save({"id": ids, **self.heads}, metadata={"teacher": self.teacher}))

    @classmethod
    def read(cls, path: Path) -> "Teaching":
        """Read what `save` wrote.

        Raises:
            ConfigError: the file is not there, or is no such file.
        """
        try:
            with safe_open(path, "numpy") as file:
                heads = {head: file.get_tensor(head) for head in HEADS}
                ids = file.get_tensor("id").tolist()
                teacher = (file.metadata() or {}).get("teacher", "")
        except FileNotFoundError:
            raise ConfigError(
                f"{path}: no such file of a teacher's probabilities: `stanceframe distill` makes one"
            ) from None
        except (OSError, SafetensorError) as error:
            raise ConfigError(f"{path}: no file of a teacher's probabilities: {error}") from None
        return cls(teacher, {f"{identity:016x}": row for row, identity in enumerate(ids)}, heads)


def _summing_to_1(probabilities: Array) -> Array:
    summed: Array = probabilities / probabilities.sum(axis=-1, keepdims=True).clip(1 / SCALE)
    return summed


def teach(teachers: Sequence[StanceClassifier], texts: Iterable[str], kept: Path, *, quiet: bool = False) -> Teaching:
    """Ask the teachers of every text, once each, and keep what they say; of several the mean counts.

    Args:
        teachers: at least one.
        texts: what to ask.
        kept: the file of `Teaching.save`. What is there is not asked again, and it is saved every `AT_ONCE` texts:
            asked again after a cut, it goes on.
        quiet: no progress bar.

    Raises:
        ConfigError: `kept` is another kind of file, or what other teachers said.
    """
    tags = " ".join(sorted(teacher.tag for teacher in teachers))
    teaching = Teaching.read(kept) if kept.exists() else Teaching(tags, {}, {})
    if teaching.teacher != tags:
        raise ConfigError(f"{kept} is what {teaching.teacher} said, not {tags}: name another file, or remove it")
    asked = {text_id(text): text for text in texts}
    left = [(identity, text) for identity, text in asked.items() if identity not in teaching.rows]
    with tqdm(total=len(left), unit="sentence", disable=True if quiet else None) as bar:
        for first in range(0, len(left), AT_ONCE):
            some = left[first : first + AT_ONCE]
            teaching = teaching.and_of([identity for identity, _ in some], _means(teachers, [text for _, text in some]))
            teaching.save(kept)
            bar.update(len(some))
    return teaching


def _means(teachers: Sequence[StanceClassifier], texts: Sequence[str]) -> dict[str, NDArray[np.uint8]]:
    by = [teacher.score(texts, [SCHEMA_MENTIONS] * len(texts)) for teacher in teachers]
    means = {head: np.mean([[getattr(score, head) for score in scores] for scores in by], axis=0) for head in HEADS}
    return {head: np.rint(mean * SCALE).astype(np.uint8) for head, mean in means.items()}
