"""From a strong checkpoint to a small one: the teacher is asked of everything, and the student learns from both."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from stanceframe.models.checkpoint import Checkpoint
from stanceframe.models.classifier import StanceClassifier
from stanceframe.models.errors import ConfigError
from stanceframe.training.config import DataSource, Recipe
from stanceframe.training.encoders import find_encoder
from stanceframe.training.lessons import read_sentences, read_sources
from stanceframe.training.states import keep_states
from stanceframe.training.teaching import teach
from stanceframe.training.train import check_output, train, work_of

log = logging.getLogger(__name__)

DISTIL = 0.5
"""Weight of what the teacher says, where the recipe names none."""


def distill(
    recipe: Recipe,
    teachers: Sequence[Path],
    files: Sequence[Path],
    output: Path,
    kept: Path | None = None,
    *,
    quiet: bool = False,
) -> Checkpoint:
    """Train a checkpoint by a recipe, on its labels and on what teachers say of its sentences.

    Args:
        recipe: the student's settings and sources; a teacher that it names is not used.
        teachers: folders of checkpoints; of several the mean of the probabilities counts, and the first's states, if
            the recipe gives states a weight. No states are taken of variants: those are for the heads.
        files: more files of labelled sentences.
        output: folder of the student's checkpoint.
        kept: file of the teachers' probabilities; by default beside `output`. With it, `train` repeats the
            distillation without the teachers, but for the states: name it as the recipe's `teacher`, and the weight as
            its `distil`.
        quiet: no progress bar.

    Raises:
        CheckpointError: a teacher is no checkpoint, or `output` holds something else than one.
        ConfigError: the recipe's sources cannot be used, no teacher can read them, or `kept` is what others said.
        EncoderNotFoundError: the base encoder is nowhere.
    """
    if not teachers:
        raise ConfigError("distillation needs a teacher: name a checkpoint")
    check_output(output)
    find_encoder(recipe.encoder)
    if files or not all(source.taught for source in recipe.data):
        read_sources(replace(recipe, teacher="", distil=0.0), files)
    texts = list(_texts(recipe, files))
    if not texts:
        raise ConfigError("no source has a sentence for a teacher to read: one of the format stanceframe is needed")
    kept = kept or output.resolve().parent / f"{output.name}.teacher.safetensors"
    classifiers = [StanceClassifier.from_pretrained(teacher, "auto") for teacher in teachers]
    log.info("asking %s", " and ".join(classifier.tag for classifier in classifiers))
    teach(classifiers, texts, kept, quiet=quiet)
    matching = None
    if recipe.states:
        plain = replace(recipe, data=tuple(source for source in recipe.data if not source.swapped))
        folder = work_of(output.resolve()) / "states"
        matching = keep_states(Checkpoint.open(teachers[0]), _texts(plain, files), folder, quiet=quiet)
    recipe = replace(recipe, teacher=str(kept), distil=recipe.distil or DISTIL)
    return train(recipe, files, output, matching, quiet=quiet)


def _texts(recipe: Recipe, files: Sequence[Path]) -> Iterator[str]:
    """What the student will learn from, as far as it is about the schema's targets."""
    for source in recipe.data:
        if source.format == "stanceframe" and source.file.is_file():
            yield from (sentence.text for sentence in read_sentences(source))
    for file in files:
        yield from (sentence.text for sentence in read_sentences(DataSource(str(file))))
