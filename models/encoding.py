"""From sentences and the targets asked of them to the tensors of one forward pass."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from tokenizers import Tokenizer

from stanceframe.models.labels import TargetText
from stanceframe.models.network import MAX_TARGETS, Batch
from stanceframe.models.types import Mention, Span

CASE_SENSITIVE_UP_TO = 3
MAX_WINDOWS = 32
WINDOW_OVERLAP = 32


@lru_cache(maxsize=1024)
def _mention_pattern(target: TargetText) -> re.Pattern[str]:
    """Whole-word matches of a target's name and aliases, the longest first."""
    words = sorted({target.name, *target.aliases}, key=len, reverse=True)
    letters = (len(re.sub(r"\W", "", word)) for word in words)
    options = (
        re.escape(word) if size <= CASE_SENSITIVE_UP_TO else f"(?i:{re.escape(word)})"
        for word, size in zip(words, letters, strict=True)
    )
    return re.compile(rf"(?<!\w)(?:{'|'.join(options)})(?!\w)")


def find_mentions(text: str, target: TargetText) -> list[Span]:
    """Where a target's name or aliases stand in a text."""
    return [match.span() for match in _mention_pattern(target).finditer(text)]


@dataclass(frozen=True, slots=True)
class Window:
    """One input of the network: up to `MAX_TARGETS` targets and a stretch of one sentence.

    `item` is the sentence's place in the call, `targets` the places of the window's targets in that
    sentence's list. `names` are token offsets. `tokens` counts the stretch's own tokens.
    """

    item: int
    targets: range
    input_ids: Sequence[int]
    slot_ids: Sequence[int]
    names: Sequence[Span]
    sentence_start: int
    truncated: bool

    @property
    def tokens(self) -> int:
        """How many tokens of the sentence the window holds."""
        return len(self.input_ids) - self.sentence_start


class Encoder:
    """Tokenises, marks mentions, and cuts long sentences into overlapping windows.

    Args:
        tokenizer: a fast tokenizer; its own truncation and padding are switched off.
        max_length: tokens of one input, names and separators included.
        pad_id: token id that fills short inputs.
    """

    def __init__(self, tokenizer: Tokenizer, max_length: int, pad_id: int) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.pad_id = pad_id
        self._first, self._separator = tokenizer.encode("").ids
        self._name_ids: dict[str, list[int]] = {}

    def windows(self, texts: Sequence[str], mentions: Sequence[Sequence[Mention]]) -> Iterator[Window]:
        """Windows of every text, in order; a text with more targets than a pass takes has several."""
        encodings = self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        for item, (text, encoding, asked) in enumerate(zip(texts, encodings, mentions, strict=True)):
            for first in range(0, max(len(asked), 1), MAX_TARGETS):
                targets = range(first, min(first + MAX_TARGETS, len(asked)))
                yield from self._sentence_windows(item, text, encoding.ids, encoding.offsets, targets, asked)

    def _sentence_windows(
        self,
        item: int,
        text: str,
        ids: Sequence[int],
        offsets: Sequence[Span],
        targets: range,
        asked: Sequence[Mention],
    ) -> Iterator[Window]:
        head, head_slots, names = self._names([asked[i].target for i in targets])
        slots = _mark(text, offsets, [asked[i] for i in targets])
        room = self.max_length - len(head) - 1
        step = room - WINDOW_OVERLAP
        starts = list(range(0, max(len(ids) - WINDOW_OVERLAP, 1), step))
        truncated = len(starts) > MAX_WINDOWS
        for start in starts[:MAX_WINDOWS]:
            stretch = slice(start, start + room)
            yield Window(
                item=item,
                targets=targets,
                input_ids=[*head, *ids[stretch], self._separator],
                slot_ids=[*head_slots, *slots[stretch], 0],
                names=names,
                sentence_start=len(head),
                truncated=truncated,
            )

    def _names(self, targets: Sequence[TargetText]) -> tuple[list[int], list[int], list[Span]]:
        """Token ids, slots and name offsets of the part that stands before the sentence."""
        ids, slots, names = [self._first], [0], []
        for slot, target in enumerate(targets, start=1):
            name = self._name(target.name)
            names.append((len(ids), len(ids) + len(name)))
            ids += [*name, self._separator]
            slots += [slot] * len(name) + [0]
        return ids, slots, names

    def _name(self, name: str) -> list[int]:
        """Token ids of a name, cut to the share of the input that a name may take."""
        if name not in self._name_ids:
            limit = self.max_length // (2 * MAX_TARGETS)
            ids = self.tokenizer.encode(name, add_special_tokens=False).ids[:limit]
            if len(self._name_ids) >= 1024:
                self._name_ids.clear()
            self._name_ids[name] = ids
        return self._name_ids[name]

    def collate(self, windows: Sequence[Window]) -> Batch:
        """Pad windows to one batch."""
        size, length = len(windows), max(len(window.input_ids) for window in windows)
        targets = max(1, *(len(window.names) for window in windows)) if windows else 1
        input_ids = np.full((size, length), self.pad_id, dtype=np.int64)
        slot_ids = np.zeros((size, length), dtype=np.int64)
        attention = np.zeros((size, length), dtype=np.int64)
        sentence = np.zeros((size, length), dtype=bool)
        names = np.zeros((size, targets, length), dtype=bool)
        for row, window in enumerate(windows):
            used = len(window.input_ids)
            input_ids[row, :used] = window.input_ids
            slot_ids[row, :used] = window.slot_ids
            attention[row, :used] = 1
            sentence[row, window.sentence_start : used] = True
            for column, (start, end) in enumerate(window.names):
                names[row, column, start:end] = True
        return Batch(
            input_ids=torch.from_numpy(input_ids),
            attention_mask=torch.from_numpy(attention),
            slot_ids=torch.from_numpy(slot_ids),
            name_mask=torch.from_numpy(names),
            sentence_mask=torch.from_numpy(sentence),
        )


def _mark(text: str, offsets: Sequence[Span], mentions: Sequence[Mention]) -> list[int]:
    """Slot of each token: that of the first target whose mention it overlaps, else 0."""
    slots = [0] * len(offsets)
    for slot, mention in enumerate(mentions, start=1):
        spans = [mention.span] if mention.span is not None else find_mentions(text, mention.target)
        for start, end in spans:
            for token, (token_start, token_end) in enumerate(offsets):
                if token_start < end and start < token_end and not slots[token]:
                    slots[token] = slot
    return slots
