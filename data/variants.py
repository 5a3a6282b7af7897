"""Sentences in which states change places, for a teacher to speak of.

"Ukraine fights Russia" becomes "North Korea fights Japan": the words around the names stay, and what they say is now
said of others. A student that learns from such sentences has to read them, where it could otherwise go by which
state is usually blamed. (Made training text for a student: Jiao et al., 2020, "TinyBERT", section 4; names changed
against reliance on them: Lu et al., 2018, "Gender Bias in Neural Natural Language Processing".)
"""

import random
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace

from stanceframe.data.corpus import text_id
from stanceframe.models.labels import Target
from stanceframe.models.types import LabelledSentence


@dataclass(frozen=True, slots=True)
class _State:
    """What a state is called, by part of speech."""

    name: tuple[str, ...]
    adjective: tuple[str, ...]
    people: tuple[str, ...]
    seat: tuple[str, ...]
    leader: tuple[str, ...]
    surname: tuple[str, ...]


_STATES: Mapping[str, _State] = {
    Target.RUSSIA: _State(
        ("Russia", "the Russian Federation"), ("Russian",), ("Russians",), ("Moscow", "the Kremlin"),
        ("Vladimir Putin",), ("Putin",),
    ),
    Target.NORTH_KOREA: _State(
        ("North Korea", "the DPRK"), ("North Korean",), ("North Koreans",), ("Pyongyang",),
        ("Kim Jong Un", "Kim Jong-un"), ("Kim Jong Un",),
    ),
    Target.UNITED_STATES: _State(
        ("the United States", "the US", "the U.S.", "America"), ("American",), ("Americans",),
        ("Washington", "the White House"), ("Joe Biden", "Donald Trump"), ("Biden", "Trump"),
    ),
    "ukraine": _State(
        ("Ukraine",), ("Ukrainian",), ("Ukrainians",), ("Kyiv", "Kiev"),
        ("Volodymyr Zelensky", "Volodymyr Zelenskyy", "Vladimir Zelensky"), ("Zelensky", "Zelenskyy"),
    ),
    "china": _State(("China",), ("Chinese",), ("the Chinese",), ("Beijing",), ("Xi Jinping",), ("Xi",)),
    "south_korea": _State(
        ("South Korea", "the ROK", "the Republic of Korea"), ("South Korean",), ("South Koreans",), ("Seoul",),
        ("Yoon Suk Yeol", "Yoon Suk-yeol"), ("Yoon",),
    ),
    "japan": _State(("Japan",), ("Japanese",), ("the Japanese",), ("Tokyo",), ("Fumio Kishida",), ("Kishida", "Abe")),
    "iran": _State(("Iran",), ("Iranian",), ("Iranians",), ("Tehran",), ("Ali Khamenei",), ("Khamenei",)),
    "israel": _State(("Israel",), ("Israeli",), ("Israelis",), ("Tel Aviv",), ("Benjamin Netanyahu",), ("Netanyahu",)),
    "britain": _State(
        ("Britain", "the United Kingdom", "the UK", "the U.K."), ("British",), ("Britons",), ("London",),
        ("Keir Starmer",), ("Starmer",),
    ),
}  # fmt: skip

_PLACES: Mapping[str, tuple[str, str]] = {
    form.removeprefix("the "): (state, part.name)
    for state, called in _STATES.items()
    for part in reversed(fields(_State))
    for form in getattr(called, part.name)
}
"""State and part of speech by form; where a form is two parts of speech, the first."""
_FORM = "|".join(re.escape(form) for form in sorted(_PLACES, key=len, reverse=True))
_NAMED = re.compile(
    rf"(?<!\w)(?<!North )(?<!South )(?<!Latin )(?:[Tt]he )?(?P<form>{_FORM})(?!\w)"
    r"(?! Post| Times| Examiner|,? D\.?C)"
)
_NOUN_OR_ADJECTIVE = frozenset({"DPRK", "ROK", "UK", "U.K.", "US", "U.S."})
_NO_NOUN = (
    "a|about|after|against|also|an|and|are|as|at|be|because|been|before|between|but|by|can|could|did|do|does|during|for|"
    "from|had|has|have|if|in|into|is|may|might|must|not|now|of|on|or|over|should|since|so|than|that|the|then|through|to|"
    "toward|towards|under|until|was|were|when|where|which|while|who|will|with|within|without|would"
)
_THEN_A_NOUN = re.compile(rf" (?!(?:{_NO_NOUN})\b)[A-Za-z]")
_ARTICLE = re.compile(rf"\b([Aa])n? (?=({'|'.join(called.adjective[0] for called in _STATES.values())}))")


def swapped(sentences: Iterable[LabelledSentence]) -> Iterator[LabelledSentence]:
    """Each sentence that names a state, without labels, its states having changed places.

    At least one of the states that it then names is a target. The same text always gives the same variant, and a
    variant keeps the document of its sentence.
    """
    for sentence in sentences:
        text = swap(sentence.text)
        if text is not None:
            bare = replace(sentence, stance={}, holder={}, framing=None, sentiment=None)
            yield replace(bare, id=text_id(text), text=text, document_id=sentence.document)


def swap(text: str) -> str | None:
    """The text with its states in each other's places, or in those of targets; None where it names none."""
    named = list(dict.fromkeys(_PLACES[match["form"]][0] for match in _NAMED.finditer(text)))
    if not named:
        return None
    chance = random.Random(text_id(text))
    places = [*named, *(state for state in Target if state not in named)]
    while True:
        became = dict(zip(named, chance.sample(places, len(named)), strict=True))
        if any(old != new and {old, new} & set(Target) for old, new in became.items()):
            break

    def renamed(match: re.Match[str]) -> str:
        form, found = str(match["form"]), str(match[0])
        state, part = _PLACES[form]
        if form in _NOUN_OR_ADJECTIVE and _THEN_A_NOUN.match(text, match.end()):
            part = "adjective"
        if became[state] == state:
            return found
        written: str = chance.choice(getattr(_STATES[became[state]], part))
        if part not in ("name", "seat") and not written.startswith("the "):
            written = found.removesuffix(form) + written
        if text[: match.start()].endswith("-"):
            written = written.removeprefix("the ")
        begins = match.start() == 0 or found.startswith("The ")
        return written[0].upper() + written[1:] if begins else written

    return _ARTICLE.sub(lambda m: f"{m[1]}{'n' if m[2][0] in 'AIU' else ''} ", _NAMED.sub(renamed, text))
