"""From sentences and the targets asked of them to the tensors of one forward pass."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from tokenizers import Tokenizer

from stanceframe.models.errors import ConfigError
from stanceframe.models.labels import TargetText
from stanceframe.models.network import MAX_TARGETS, Batch
from stanceframe.models.types import Mention, Span

CASE_SENSITIVE_UP_TO = 3
MAX_WINDOWS = 32
WINDOW_OVERLAP = 32
CHARACTERS_A_TOKEN = 16
"""Characters that are read for each token that the windows hold: far more than prose has, so that this
only keeps a megabyte without a full stop from taking minutes to tokenise."""
_HALF_PAIR = re.compile("[\ud800-\udfff]")


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
    sentence's list. `names` are token offsets; from `sentence_start` on stands the stretch and the separator
    that closes it.
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
        """How many tokens the stretch has, with its separator."""
        return len(self.input_ids) - self.sentence_start


@dataclass(frozen=True, slots=True)
class _Tokens:
    """A sentence as far as it is read, its token ids and their character offsets; `cut` where it goes on."""

    text: str
    ids: Sequence[int]
    offsets: Sequence[Span]
    cut: bool


class Encoder:
    """Tokenises, marks mentions, and cuts long sentences into overlapping windows.

    Args:
        tokenizer: a fast tokenizer; its own truncation and padding are switched off.
        max_length: tokens of one input, names and separators included.
        pad_id: token id that fills short inputs.

    Raises:
        ConfigError: `max_length` is too short for the names and a window of a sentence.
    """

    def __init__(self, tokenizer: Tokenizer, max_length: int, pad_id: int) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.pad_id = pad_id
        self._name_length = max_length // (2 * MAX_TARGETS)
        if self._room(1 + MAX_TARGETS * (self._name_length + 1)) <= WINDOW_OVERLAP:
            raise ConfigError(f"max_length {max_length} leaves no room for a sentence beside {MAX_TARGETS} names")
        self._first, self._separator = tokenizer.encode("").ids
        self._name_ids: dict[str, list[int]] = {}

    def windows(self, texts: Sequence[str], mentions: Sequence[Sequence[Mention]]) -> Iterator[Window]:
        """Windows of every text, in order; a text with more targets than a pass takes has several.

        Any text will do: half of a surrogate pair is read as an unknown character.
        """
        for item, (tokens, asked) in enumerate(zip(self._tokenised(texts), mentions, strict=True)):
            for first in range(0, max(len(asked), 1), MAX_TARGETS):
                targets = range(first, min(first + MAX_TARGETS, len(asked)))
                yield from self._sentence_windows(item, tokens, targets, asked)

    def first_windows(self, texts: Sequence[str], mentions: Sequence[Sequence[Mention]]) -> list[Window]:
        """One window of every text, as training reads it: a longer text is cut, targets beyond one pass left out."""
        first: dict[int, Window] = {}
        for window in self.windows(texts, mentions):
            first.setdefault(window.item, window)
        return [first[i] for i in range(len(texts))]

    def _tokenised(self, texts: Sequence[str]) -> Iterator[_Tokens]:
        limit = CHARACTERS_A_TOKEN * MAX_WINDOWS * self.max_length
        read = [_HALF_PAIR.sub("\ufffd", text[:limit]) for text in texts]
        encodings = self.tokenizer.encode_batch(read, add_special_tokens=False)
        for text, whole, encoding in zip(read, texts, encodings, strict=True):
            yield _Tokens(text, encoding.ids, encoding.offsets, cut=len(whole) > limit)

    def _room(self, head: int) -> int:
        """Tokens left for a stretch of the sentence behind so many, and before the separator that closes it."""
        return self.max_length - head - 1

    def _sentence_windows(
        self, item: int, tokens: _Tokens, targets: range, asked: Sequence[Mention]
    ) -> Iterator[Window]:
        head, head_slots, names = self._names([asked[i].target for i in targets])
        slots = _mark(tokens.text, tokens.offsets, [asked[i] for i in targets])
        room = self._room(len(head))
        starts = range(0, max(len(tokens.ids) - WINDOW_OVERLAP, 1), room - WINDOW_OVERLAP)
        truncated = tokens.cut or len(starts) > MAX_WINDOWS
        for start in starts[:MAX_WINDOWS]:
            stretch = slice(start, start + room)
            yield Window(
                item=item,
                targets=targets,
                input_ids=[*head, *tokens.ids[stretch], self._separator],
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
        ids = self._name_ids.get(name)
        if ids is None:
            readable = _HALF_PAIR.sub("\ufffd", name)
            ids = self.tokenizer.encode(readable, add_special_tokens=False).ids[: self._name_length]
            if len(self._name_ids) >= 1024:
                self._name_ids.clear()
            self._name_ids[name] = ids
        return ids

    def collate(self, windows: Sequence[Window]) -> Batch:
        """Pad windows, of which there is at least one, to one batch."""
        size, length = len(windows), max(len(window.input_ids) for window in windows)
        targets = max(1, *(len(window.names) for window in windows))
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
    """Slot of each token, whose offsets rise: that of the first target whose mention it overlaps, else 0."""
    slots = [0] * len(offsets)
    ends = [end for _, end in offsets]
    for slot, mention in enumerate(mentions, start=1):
        spans = [mention.span] if mention.span is not None else find_mentions(text, mention.target)
        for start, end in spans:
            for token in range(bisect_right(ends, start), len(offsets)):
                if offsets[token][0] >= end:
                    break
                slots[token] = slots[token] or slot
    return slots
