"""Document text to sentences with exact offsets.

sentencex (Wikimedia, MIT) finds the ends of sentences; `data/README.md` says what it was compared with. It
is shown a copy of the text, equal in length, in which what misleads it is blank: it never splits inside
quotation marks and brackets, nor takes a line break for more than a space. Around it stand three small rules:
which line breaks end a sentence, where the closing marks behind a full stop belong, and which ends are none
("Amb. Nebenzia"). Everything runs in time linear in the text's length.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from typing import Literal

import sentencex

from stanceframe.data.furniture import is_furniture
from stanceframe.models.types import Sentence, Span

INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
"""Characters without a glyph: between sentences they count as white space."""


def segment(text: str, document_id: str | None = None) -> list[Sentence]:
    """Split a document's text into sentences and page furniture, in their order.

    `sentence.text` is exactly `text[start:end]`, in code points; sentences never overlap, and only white
    space and invisible characters stand between them. A line that another one continues (text wrapped at a
    fixed width) is joined with it. Never raises, whatever the text; a blank text has no sentences.
    """
    rows = [row for block in _blocks(text) for row in _rows(text, block)]
    return [Sentence(text[start:end], document_id, index, start, kind) for index, (start, end, kind) in enumerate(rows)]


def _rows(text: str, block: Span) -> Iterator[tuple[int, int, Literal["sentence", "furniture"]]]:
    spans = [block] if is_furniture(text[slice(*block)]) else _sentences(text, block)
    for start, end in spans:
        yield start, end, "furniture" if is_furniture(text[start:end]) else "sentence"


# Lines --------------------------------------------------------------------------------------------------------

WRAPS_SHOWN = 3
"""So many lines that go on in lower case show that a document is wrapped, and how wide."""

_MARKER = re.compile(r"(?:[-*•‣◦▪●·]|\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})[.)])\s")
_ADDRESS = re.compile(r"https?:|www\.|\S{1,64}@")
_STOPPED = re.compile(r"[.!?…:;]\W*$")
_OPEN_END = re.compile(r"\b(?:in|of|the|a|an|and|or|to|with|for|by|at|on|from|that|its|their|his|her)$", re.IGNORECASE)
_FIRST_WORD = re.compile(r"[^ \t]*")


@dataclass(frozen=True, slots=True)
class _Line:
    """A line without the white space around it (a blank one is empty); `width` counts its indent."""

    text: str
    start: int
    width: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def _blocks(text: str) -> Iterator[Span]:
    """Stretches in which no line break ends a sentence."""
    lines = list(_lines(text))
    shown = [_goes_on(line, following) for line, following in pairwise(lines)]
    widths = [line.width for line, goes_on in zip(lines, shown, strict=False) if goes_on]
    width = max(widths) if len(widths) >= WRAPS_SHOWN else 0
    first: _Line | None = None
    for line, following, goes_on in zip_longest(lines, lines[1:], shown):
        first = first or line
        # Where a block itself began in lower case, lower case says nothing of the next line.
        joined = goes_on and not _begins_lower(first.text)
        if following and (joined or _is_full(line, following, width)):
            continue
        if line.text:
            yield first.start, line.end
        first = None


def _lines(text: str) -> Iterator[_Line]:
    offset = 0
    for line in text.splitlines(keepends=True):
        start, end = _stripped(text, offset, offset + len(line))
        yield _Line(text[start:end], start, end - offset)
        offset += len(line)


def _stripped(text: str, start: int, end: int) -> Span:
    while start < end and _is_blank(text[start]):
        start += 1
    while start < end and _is_blank(text[end - 1]):
        end -= 1
    return start, end


def _is_blank(character: str) -> bool:
    return character.isspace() or character in INVISIBLE


def _begins_lower(line: str) -> bool:
    return next((character.islower() for character in line[:8] if character.isalnum()), False)


def _goes_on(line: _Line, following: _Line) -> bool:
    """Whether two lines show by themselves that they are one sentence."""
    return _begins_lower(following.text) and not _STOPPED.search(line.text[-8:]) and _may_join(line, following)


def _is_full(line: _Line, following: _Line, width: int) -> bool:
    """Whether text wrapped at `width` goes on: the next word had no room left, or the line ends in "of the"."""
    word = _FIRST_WORD.match(following.text)
    needed = line.width + 1 + len(word[0] if word else "")
    full = needed > width or _OPEN_END.search(line.text[-8:])
    return line.width <= width and bool(full) and _may_join(line, following)


def _may_join(line: _Line, following: _Line) -> bool:
    if not line.text or not following.text or _MARKER.match(following.text) or _ADDRESS.match(following.text):
        return False
    return not is_furniture(line.text) and not is_furniture(following.text)


# Sentences in a block -----------------------------------------------------------------------------------------

_HIDDEN = INVISIBLE + '"“”„‟«»‹›‚‛`「」『』《》〈〉()（）[]{}<>\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029'
_SURROGATES = map(chr, range(0xD800, 0xE000))
_MASK = str.maketrans(dict.fromkeys(_HIDDEN, " ") | dict.fromkeys(_SURROGATES, "_") | {"…": ".", "@": "_"})
_SINGLE_QUOTE = re.compile(r"(?<!\w)['‘’]|['’](?!\w)")
_INNER_STOP = re.compile(r"(?<=[a-z]{2})\.(?=[a-z]{2})")
_NUMBER_AT_STOP = re.compile(r"\d(?=\.[A-Z][a-z])")
_JOINED_INITIAL = re.compile(r"[-–—/](?=[A-Z]\.)")
_LINK = re.compile(r"(?:https?://|www\.)\S+")
_STOP = re.compile(r"[.?!](?=.)", re.DOTALL)


def _mask(block: str) -> str:
    """The block as sentencex is shown it, character for character."""
    block = _LINK.sub(lambda link: _STOP.sub("_", link[0]), block)
    block = _INNER_STOP.sub("_", block)
    block = _NUMBER_AT_STOP.sub("x", block)
    block = _JOINED_INITIAL.sub(" ", block)
    return _SINGLE_QUOTE.sub(" ", block).translate(_MASK)


_CLOSING = re.compile(r"(?:[”’»›)\]}）」』》〉\"']|[“‘«](?!\w)|\[\d{1,3}\]|[.?!](?!\w)|\s+[»›”](?=\s|$))*")


def _sentences(text: str, block: Span) -> Iterator[Span]:
    """Spans of the sentences of a block that is no furniture."""
    offset, end = block
    masked = _mask(text[offset:end])
    start = offset
    for found in sentencex.get_sentence_boundaries("en", masked)[:-1]:
        stop = offset + found["start_index"] + len(found["text"].rstrip())
        closing = _CLOSING.match(text, stop, end)
        cut = closing.end() if closing else stop
        if cut > start and not _is_inside(text, start, cut, end):
            yield _stripped(text, start, cut)
            start = _stripped(text, cut, end)[0]
    if start < end:
        yield start, end


_NO_END = [
    (re.compile(head + "$"), re.compile(tail))
    for head, tail in (
        # A title or an abbreviation that sentencex does not know, and what it belongs to.
        (r"\b(?:Ms|Messrs|Amb|Ft|Pres|Sec|Spc|Cdr|Lieut|Dep|Gens|Govs|Profs)\.", r"[A-Z]"),
        (r"\b(?:[Pp]aras?|[Vv]ols?|[Nn]os?|[Aa]rts?|[Rr]es|[Ff]igs?|[Cc]h|[Ss]ec|approx|pp|p|ca|c)\.", r"\d"),
        (r"\b[AaPp]\.?[Mm]\.", r"(?:[A-Z]{1,3}T|GMT|UTC|[A-Z][a-z]{2,5}day)\b"),
        # A list's number, initials, and "MOSCOW, September 13. /TASS/. Kim arrived".
        (r"^\W*(?:(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})[.)]|(?:[A-Z]\.){2,3})", r""),
        (r"\d\.", r"/[A-Z]{2,12}/"),
        (r"/[A-Z]{2,12}/\.", r""),
        # "Is it over?" Lavrov asked.
        (
            r"[?!][\"'”’»]+",
            r"(?:[A-Z][\w’'.-]*\s){1,5}(?:said|says|asked|asks|told|added|wrote|replied|shouted|cried|declared)\b",
        ),
        # 「勝つ。」と言った
        (r"[」』]", r"[\u3041-\u309f]"),
        (r"", r"[,;:]"),
    )
]


def _is_inside(text: str, start: int, cut: int, end: int) -> bool:
    """Whether a sentence that began at `start` goes on behind `cut`."""
    after = _stripped(text, cut, end)[0]
    if _begins_lower(text[after : after + 8]):
        return True
    head, tail = text[max(start, cut - 40) : cut], text[after : after + 120]
    return any(before.search(head) and behind.match(tail) for before, behind in _NO_END)
