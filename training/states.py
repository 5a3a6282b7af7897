"""A teacher's states, for a student that reads the same word pieces to come close to.

What a network holds at each token says more of a sentence than the few probabilities that are read from it: a
student that must also match the states learns more from as many sentences (FitNets: Romero et al., 2015, arXiv
1412.6550; for encoders TinyBERT: Jiao et al., 2020, arXiv 1909.10351). Widths may differ: the student's states go
through a linear layer, which is thrown away after the training.

States are large, about 50 kB a sentence of a teacher 768 wide: they stand beside a run while it lasts, and are not
shipped.
"""

import json
import os
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from stanceframe.data.corpus import text_id
from stanceframe.models.checkpoint import Checkpoint, write_text
from stanceframe.models.classifier import SCHEMA_MENTIONS, batches_by_length, load_network
from stanceframe.models.encoding import Encoder
from stanceframe.models.engines import TorchEngine, fast_precision
from stanceframe.models.network import Batch, StanceframeNetwork

AT_ONCE = 2048
MEASURED = 2000
"""Sentences whose states give the mean and the deviation of all."""
NAMES = len(SCHEMA_MENTIONS)
Scale = tuple[NDArray[np.float32], NDArray[np.float32]]
_STATES, _INDEX = "states.f16", "index.jsonl"


@dataclass(frozen=True, slots=True)
class States:
    """A teacher's states of sentences, for the schema's three targets.

    `teacher` names the checkpoint whose they are. `rows` is where a sentence's states, by its `text_id`, begin in
    `values` (M, H), and how many they are: first the mean of each name's tokens, then the sentence's tokens and the
    separator that closes it.
    """

    teacher: str
    rows: Mapping[str, tuple[int, int]]
    values: NDArray[np.float16]

    def of(self, text: str) -> NDArray[np.float32] | None:
        """(3 + tokens, H); None where the teacher was not asked."""
        place = self.rows.get(text_id(text))
        return None if place is None else self.at(place)

    def at(self, place: tuple[int, int]) -> NDArray[np.float32]:
        """Those from a row on, so many."""
        first, count = place
        return np.asarray(self.values[first : first + count], dtype=np.float32)


def keep_states(teacher: Checkpoint, texts: Iterable[str], folder: Path, *, quiet: bool = False) -> States:
    """Have a teacher read every text, once each, and keep its states.

    A sentence longer than one input is read as far as its first window goes, as in training.

    Args:
        teacher: the checkpoint that reads.
        texts: what to read, at least one.
        folder: holds a folder of each teacher's. What is there is not asked again: after a cut it goes on.
        quiet: no progress bar.
    """
    folder = folder / teacher.hash[:12]
    folder.mkdir(parents=True, exist_ok=True)
    network, encoder = load_network(teacher.path)
    width = network.encoder.config.hidden_size
    row_bytes = width * np.dtype(np.float16).itemsize
    (folder / _STATES).touch()
    rows = _rows(folder, row_bytes)
    end = sum(count for _, count in rows.values())
    asked = {text_id(text): text for text in texts}
    left = [(identity, text) for identity, text in asked.items() if identity not in rows]
    with (
        (folder / _STATES).open("r+b") as file,
        tqdm(total=len(left), unit="sentence", disable=True if quiet else None) as bar,
    ):
        file.truncate(end * row_bytes)  # the index says how much of a cut run is whole
        file.seek(0, os.SEEK_END)
        for first in range(0, len(left), AT_ONCE):
            some = left[first : first + AT_ONCE]
            for i, states in _read(network, encoder, [text for _, text in some]):
                file.write(states.astype(np.float16).tobytes())
                rows[some[i][0]] = (end, len(states))
                end += len(states)
            file.flush()
            os.fsync(file.fileno())
            write_text(folder / _INDEX, "".join(f"{json.dumps([key, *place])}\n" for key, place in rows.items()))
            bar.update(len(some))
    return States(teacher.tag, rows, np.memmap(folder / _STATES, np.float16, "r").reshape(-1, width))


def _rows(folder: Path, row_bytes: int) -> dict[str, tuple[int, int]]:
    """`States.rows` as far as a folder has them: none where there are fewer states than its index says."""
    index = folder / _INDEX
    lines = map(json.loads, index.read_text().splitlines()) if index.exists() else ()
    rows = {identity: (first, count) for identity, first, count in lines}
    whole = sum(count for _, count in rows.values()) * row_bytes <= (folder / _STATES).stat().st_size
    return rows if whole else {}


@torch.inference_mode()
def _read(
    network: StanceframeNetwork, encoder: Encoder, texts: Sequence[str]
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """States of texts by their place, batched by length."""
    engine = TorchEngine(network)
    bfloat16 = fast_precision(engine.device.type) == "bf16"
    windows = encoder.first_windows(texts, [SCHEMA_MENTIONS] * len(texts))
    for indices in batches_by_length([len(window.input_ids) for window in windows], engine.tokens):
        batch = encoder.collate([windows[i] for i in indices]).to(engine.device)
        with torch.autocast(engine.device.type, torch.bfloat16, enabled=bfloat16):
            states = network.states(batch)
            names = network.at_names(states, batch)
        for row, i in enumerate(indices):
            of_sentence = states[row, windows[i].sentence_start : len(windows[i].input_ids)]
            yield i, torch.cat([names[row], of_sentence]).float().cpu().numpy()


class Likeness(nn.Module):
    """How far a student's states are from a teacher's, in the teacher's standard deviations.

    Args:
        teacher: the states to match.
        hidden: the student's width.
    """

    def __init__(self, teacher: States, hidden: int) -> None:
        super().__init__()
        self.teacher = teacher
        width = teacher.values.shape[1]
        self.names, self.tokens = nn.Linear(hidden, width), nn.Linear(hidden, width)
        some = random.Random(0).sample(sorted(teacher.rows), min(MEASURED, len(teacher.rows)))
        seen = [teacher.at(teacher.rows[identity]) for identity in some]
        self._name_scale = _mean_and_deviation(np.stack([states[:NAMES] for states in seen]))
        self._token_scale = _mean_and_deviation(np.concatenate([states[NAMES:] for states in seen]))

    def forward(self, states: Tensor, named: Tensor, batch: Batch, texts: Sequence[str]) -> Tensor:
        """Mean squared distance at the names, and half of those at the mentions and at all of the sentence's tokens.

        Args:
            states: the student's, (B, L, H).
            named: the student's at the names, (B, T, H).
            batch: what it read.
            texts: the B sentences; one that the teacher did not read adds nothing, nor one that it cut otherwise.
        """
        sizes = batch.sentence_mask.sum(-1).tolist()
        found = {
            row: kept
            for row, text in enumerate(texts)
            if (kept := self.teacher.of(text)) is not None and len(kept) == NAMES + sizes[row]
        }
        if not found:
            return states.new_zeros(())
        rows = torch.tensor(list(found), device=states.device)
        inside = batch.sentence_mask[rows]
        of_names = np.stack([kept[:NAMES] for kept in found.values()])
        of_tokens = np.concatenate([kept[NAMES:] for kept in found.values()])
        at_names = _far(self.names(named[rows, :NAMES]), of_names, self._name_scale)
        at_tokens = _far(self.tokens(states[rows][inside]), of_tokens, self._token_scale)
        marked = (batch.slot_ids[rows] > 0)[inside]
        at_mentions = at_tokens[marked].sum() / marked.sum().clamp(min=1)
        loss: Tensor = at_names.mean() + 0.5 * at_mentions + 0.5 * at_tokens.mean()
        return loss


def _far(given: Tensor, wanted: NDArray[np.float32], scale: Scale) -> Tensor:
    """Mean squared distance over the last axis, in deviations."""
    mean, deviation = scale
    normal = torch.from_numpy((wanted - mean) / deviation).to(given.device)
    return (given.float() - normal).square().mean(-1)


def _mean_and_deviation(states: NDArray[np.float32]) -> Scale:
    """Of each number over the first axis; a deviation is never nothing."""
    return states.mean(0), states.std(0) + 1e-3
