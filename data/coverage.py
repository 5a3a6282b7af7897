"""What a labelled corpus covers: how many sentences stand in each cell of label by register, style and year."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from stanceframe.models.errors import InputError
from stanceframe.models.labels import Frame, Holder, Stance, Target
from stanceframe.models.types import LabelledSentence

UNKNOWN = "unlabelled"
YEARS = ((2000, 2009), (2010, 2017), (2018, 2019), (2020, 2021), (2022, 2023), (2024, 2026))
"""Bands that end where the alignment turned: sanctions, summits, the closed border, the war, the treaty."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Counts of sentences: `tables[facet][row][column]`, and what is said of the whole.

    A row is a target with a stance and its holder, a frame, or a near miss of one: a sentence without the
    frame whose contrast group has a sentence with it.
    """

    sentences: int
    contrasted: int
    events: int
    tables: Mapping[str, Mapping[str, Counter[str]]]

    def thin(self, fewest: int) -> Iterator[tuple[str, str, str, int]]:
        """The cells with fewer sentences: facet, row, column, count."""
        for facet, rows in self.tables.items():
            columns = sorted({column for cells in rows.values() for column in cells})
            for row, cells in rows.items():
                yield from ((facet, row, column, cells[column]) for column in columns if cells[column] < fewest)

    def to_markdown(self) -> str:
        """The tables, a row's whole count in the last column."""
        lines = [
            f"{self.sentences} sentences, {self.contrasted} of them in contrast groups, of {self.events} events.",
        ]
        for facet, rows in self.tables.items():
            columns = sorted({column for cells in rows.values() for column in cells})
            lines += ["", f"| by {facet} | {' | '.join(columns)} | all |", "|" + " --- |" * (len(columns) + 2)]
            lines += [
                f"| {row} | {' | '.join(str(cells[column]) for column in columns)} | {cells.total()} |"
                for row, cells in rows.items()
            ]
        return "\n".join(lines)


def coverage(sentences: Iterable[LabelledSentence]) -> Coverage:
    """Count a corpus whose `metadata` names register, style, year and event, as the shipped one's does.

    Raises:
        InputError: there is no sentence.
    """
    everything = list(sentences)
    if not everything:
        raise InputError("there are no labelled sentences to count")
    groups = Counter(sentence.document_id or sentence.id for sentence in everything)
    framed = {
        frame: {s.document_id for s in everything if s.document_id and frame in (s.framing or ())} for frame in Frame
    }
    tables: dict[str, dict[str, Counter[str]]] = {facet: {row: Counter() for row in _every_row()} for facet in _FACETS}
    for sentence in everything:
        for facet, column in _FACETS.items():
            for row in _rows(sentence, framed):
                tables[facet][row][column(sentence)] += 1
    return Coverage(
        sentences=len(everything),
        contrasted=sum(groups[sentence.document_id or sentence.id] > 1 for sentence in everything),
        events=len({str(sentence.metadata["event"]) for sentence in everything if "event" in sentence.metadata}),
        tables=tables,
    )


def _years(sentence: LabelledSentence) -> str:
    year = str(sentence.metadata.get("year", ""))
    return next((f"{a}-{b}" for a, b in YEARS if year.isdecimal() and a <= int(year) <= b), "other")


_FACETS: Mapping[str, Callable[[LabelledSentence], str]] = {
    "register": lambda sentence: str(sentence.metadata.get("register", "other")),
    "style": lambda sentence: str(sentence.metadata.get("style", "other")),
    "years": _years,
}


def _every_row() -> Iterator[str]:
    for target in Target:
        for stance in Stance:
            yield from (f"{target} {stance} ({holder})" for holder in (*Holder, UNKNOWN) if stance.is_evaluation)
            if not stance.is_evaluation:
                yield f"{target} {stance}"
    for frame in Frame:
        yield from (f"{frame}", f"{frame}, near miss")


def _rows(sentence: LabelledSentence, framed: Mapping[Frame, set[str]]) -> Iterator[str]:
    for target, stance in sentence.stance.items():
        holder = sentence.holder.get(target)
        if not stance.is_evaluation:
            yield f"{target} {stance}"
        else:
            yield f"{target} {stance} ({holder or UNKNOWN})"
    for frame in Frame:
        if frame in (sentence.framing or ()):
            yield f"{frame}"
        elif sentence.framing is not None and sentence.document_id in framed[frame]:
            yield f"{frame}, near miss"
