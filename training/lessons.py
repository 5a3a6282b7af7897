"""What a run learns from: the recipe's sources, read, kept out of the frozen test, and drawn epoch by epoch."""

import logging
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stanceframe.data.apart import read_labels, with_labels
from stanceframe.data.checks import NearDuplicates
from stanceframe.data.corpus import SHIPPED, normalised, read_labelled
from stanceframe.data.examples import READERS, Example, from_labelled
from stanceframe.data.variants import swapped
from stanceframe.models.checkpoint import sha256
from stanceframe.models.classifier import SCHEMA_MENTIONS
from stanceframe.models.errors import ConfigError, InputError
from stanceframe.models.types import LabelledSentence
from stanceframe.training.config import DataSource, Recipe
from stanceframe.training.optimise import Lesson
from stanceframe.training.teaching import Teaching

log = logging.getLogger(__name__)

FROZEN_TEST = SHIPPED / "test.jsonl"


@dataclass(frozen=True, slots=True)
class Source:
    """A source's examples and what becomes of them.

    An epoch draws `share` of them; the calibration is fitted on those that say so; of what is `taught` only a
    teacher speaks.

    `sha256` is that of the file, with that of the labels kept apart behind a plus sign if there are any.
    """

    name: str
    format: str
    share: float
    sha256: str
    examples: Sequence[Example]
    calibrates: bool = False
    taught: bool = False

    def without(self, judged: Sequence[Example]) -> "Source":
        """The same source less the documents of some examples, and less their texts wherever else they stand."""
        kept = apart(judged, self.examples)
        return replace(self, examples=[e for e, keep in zip(self.examples, kept, strict=True) if keep])

    def without_kind(self, kind: str) -> "Source":
        """The same source less all sentences of a kind of publisher."""
        return replace(self, examples=[e for e in self.examples if e.kind != kind])

    def to_json(self) -> dict[str, Any]:
        """What a checkpoint keeps of it: no text."""
        return {"name": self.name, "sentences": len(self.examples), "share": self.share, "sha256": self.sha256}


def apart(judged: Sequence[Example], examples: Sequence[Example]) -> list[bool]:
    """Whether each example has neither document nor text of what is judged.

    Two sentences of one publisher and date may be of one document where that of either is unknown.
    """
    documents = {example.document_id for example in judged}
    issues = {example.issue for example in judged if example.issue}
    unplaced = {example.issue for example in judged if example.issue and example.document_id == example.issue}
    texts = {normalised(example.text) for example in judged}
    return [
        e.document_id not in documents
        and (e.document_id != e.issue or e.issue not in issues)
        and e.issue not in unplaced
        and normalised(e.text) not in texts
        for e in examples
    ]


def frozen_texts() -> frozenset[str]:
    """The sentences that no checkpoint may learn from, normalised."""
    return frozenset(normalised(sentence.text) for sentence in read_labelled(FROZEN_TEST))


def read_sources(recipe: Recipe, files: Sequence[Path] = ()) -> list[Source]:
    """The recipe's sources and some more files of labelled sentences; a file that is both is read as the recipe says.

    Sentences of the frozen test, or nearly the same, are dropped wherever they stand.

    Raises:
        ConfigError: a source that is not optional is not there, or nothing at all is.
        InputError: a file cannot be read, and the message says `path:line`; or one of `files` has no label.
    """
    frozen = NearDuplicates(frozen_texts())
    known = {source.file.resolve() for source in recipe.data}
    more = (DataSource(str(file)) for file in files if file.resolve() not in known)
    teaching = read_teaching(recipe)
    named = {str(file) for file in files}
    found = []
    for source in (*recipe.data, *more):
        path = source.file
        if not path.is_file():
            if not source.optional:
                raise ConfigError(f"{path}: no such file, and the recipe needs it")
            log.info("%s is not there: left out", source.path)
            continue
        examples: list[Example] = []
        if teaching is not None or not source.taught:
            examples = [e for e in _examples(source) if not frozen.has(e.text)]
        if teaching is not None and source.taught:
            examples = [e for e in examples if teaching.of(e.text) is not None]
        hashes = "+".join(sha256(file) for file in (path, source.labels_file) if file)
        if source.path in named and not source.taught and not examples:
            raise InputError(f"{path}: none of its sentences has a label to learn from")
        way = "swapped" if source.swapped else "taught" if source.taught else ""
        name = f"{source.path} ({way})" if way else source.path
        found.append(Source(name, source.format, source.share, hashes, examples, source.calibrates, source.taught))
    if not any(source.examples for source in found):
        raise ConfigError("there is nothing to learn from: name a file with --data")
    return found


def read_teaching(recipe: Recipe) -> Teaching | None:
    """What the recipe's teacher says, if there is one.

    Raises:
        ConfigError: its file is not there, or is no such file.
    """
    return Teaching.read(recipe.teacher_file) if recipe.teacher_file else None


def read_sentences(source: DataSource) -> Iterator[LabelledSentence]:
    """The sentences of a source in the format stanceframe: those that are labelled, or where it is taught the rest.

    Of one that is swapped all are read, and their variants given.

    Raises:
        InputError: a file cannot be read; the message says `path:line`.
    """
    if source.swapped:
        frozen = NearDuplicates(frozen_texts())  # a variant of what is left out would look new
        return swapped(sentence for sentence in read_labelled(source.file) if not frozen.has(sentence.text))
    labels = read_labels(source.labels_file) if source.labels_file else {}
    sentences = with_labels(read_labelled(source.file), labels)
    return (sentence for sentence in sentences if sentence.is_labelled is not source.taught)


def _examples(source: DataSource) -> Iterator[Example]:
    if source.format == "stanceframe":
        return map(from_labelled, read_sentences(source))
    return READERS[source.format](source.file)


def drawing(sources: Sequence[Source], seed: int, teaching: Teaching | None = None) -> Callable[[int], list[Lesson]]:
    """The lessons of an epoch: each source whole as often as its share says, the rest of the share by lot.

    An example about the schema's targets comes with what the teacher says of it.
    """

    def lesson(example: Example) -> Lesson:
        if teaching is None or tuple(labels.mention for labels in example.targets) != SCHEMA_MENTIONS:
            return Lesson(example)
        return Lesson(example, teaching.of(example.text))

    def draw(epoch: int) -> list[Lesson]:
        lessons = []
        for number, source in enumerate(sources):
            whole, part = divmod(source.share, 1.0)
            chance = random.Random(f"{seed} {epoch} {number}")
            some = chance.sample(range(len(source.examples)), round(part * len(source.examples)))
            lessons += [lesson(example) for example in source.examples] * int(whole)
            lessons += [lesson(source.examples[i]) for i in some]
        return lessons

    return draw
