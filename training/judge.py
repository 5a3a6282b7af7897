"""What `stanceframe evaluate` does: finds what is to be judged, and judges it."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stanceframe.data.corpus import read_labelled
from stanceframe.data.examples import from_labelled, read_newsmtsc
from stanceframe.data.splits import fold_of
from stanceframe.models.champion import resolve
from stanceframe.models.classifier import Scores, StanceClassifier, decide, recalibrated
from stanceframe.models.errors import InputError
from stanceframe.models.types import Classifier, LabelledSentence, Prediction, Sentence
from stanceframe.training.baselines import MajorityBaseline, TfidfBaseline, ZeroShotBaseline
from stanceframe.training.behaviour import judge_behaviour, read_cases
from stanceframe.training.calibrate import calibrate
from stanceframe.training.card import record
from stanceframe.training.config import read_recipe
from stanceframe.training.encoders import find_encoder
from stanceframe.training.evaluate import Evaluation, compare, evaluate, evaluate_mentions, predicted
from stanceframe.training.lessons import apart, read_sentences, read_sources
from stanceframe.training.train import scored_aside

log = logging.getLogger(__name__)

PREFIX = "baseline:"
PartOf = Callable[[LabelledSentence], str]
Fit = Callable[[Sequence[LabelledSentence]], Classifier]
FITTED: Mapping[str, Fit] = {
    MajorityBaseline.tag: MajorityBaseline,
    TfidfBaseline.tag: TfidfBaseline,
}


@dataclass(frozen=True, slots=True)
class Judge:
    """An evaluation that was asked for.

    Attributes:
        files: what to judge by.
        model: a checkpoint's folder or tag, a baseline's name, or None for the checkpoint in use.
        training: what a fitted baseline learns from, instead of the recipe's labelled sentences.
        recipe: name of the recipe.
        quiet: no progress bar.
    """

    files: Sequence[Path]
    model: str | None = None
    training: Sequence[Path] = ()
    recipe: str = "student"
    quiet: bool = False

    def sentences(self) -> Evaluation:
        """Judge on labelled sentences.

        Raises:
            InputError: a file cannot be read, or there is no such baseline.
        """
        sentences = _read(self.files)
        return evaluate(sentences, self._classifier(sentences))

    def mentions(self) -> Evaluation:
        """Judge on NewsMTSC's marked mentions.

        Raises:
            InputError: a file cannot be read, or a baseline was named: they know only the schema's targets.
        """
        if self.model is not None and self.model.startswith(PREFIX):
            raise InputError(f"{self.model} knows only the schema's targets: name a checkpoint with --format newsmtsc")
        classifier = StanceClassifier.from_pretrained(resolve(self.model))
        return evaluate_mentions([example for file in self.files for example in read_newsmtsc(file)], classifier)

    def behaviour(self) -> Evaluation:
        """Judge by hand-written cases.

        Raises:
            InputError: a file cannot be read, or a fitted baseline was named that lacks its training data.
        """
        return judge_behaviour([case for file in self.files for case in read_cases(file)], self._classifier([]))

    def record(self, name: str, evaluation: Evaluation) -> None:
        """Keep what was measured in the checkpoint's metrics and card.

        Raises:
            InputError: what was judged is no folder of a checkpoint.
        """
        if self.model is None or not Path(self.model).is_dir():
            raise InputError("--record keeps figures in a checkpoint's folder: name it with --model")
        record(Path(self.model), name, evaluation)

    def folds(self, count: int, work: Path) -> Evaluation:
        """Cross-validate over the files: each document is judged by what never saw it.

        A fold also learns from the recipe's other sources. The network's calibration is fitted, for each
        fold, on the predictions for the other folds.

        Args:
            count: how many folds.
            work: folder where a network's folds are kept, to be taken up again.

        Raises:
            InputError: a file cannot be read, or the model cannot be cross-validated.
        """
        return self._crossed(lambda s: f"{fold_of(s.document, count)}", work, f"{count} folds")

    def kinds(self, work: Path) -> Evaluation:
        """Leave out each kind of publisher in turn: it is judged by what saw no sentence of it.

        Otherwise as `folds`; the slices say how each kind fared.

        Raises:
            InputError: a file cannot be read, there are fewer than two kinds, or the model cannot be cross-validated.
        """
        kinds = [sentence.publisher_kind for sentence in _read(self.files)]
        if None in kinds or len(set(kinds)) < 2:
            raise InputError(
                "--leave-out-kinds needs sentences of two kinds of publisher, and of each its `publisher_kind`"
            )
        return self._crossed(lambda s: s.publisher_kind or "", work, "kinds of publisher left out", by_kind=True)

    def _crossed(self, part_of: PartOf, work: Path, told: str, *, by_kind: bool = False) -> Evaluation:
        """Judge each part by what learned from the others, and from the recipe's other sources."""
        sentences = _read(self.files)
        if not sentences:
            raise InputError("there are no labelled sentences to evaluate on")
        parts = [part_of(sentence) for sentence in sentences]
        if self.model is None:
            name = f"recipe:{self.recipe}"
            predictions = self._network_crossed(sentences, parts, work, by_kind=by_kind)
        elif self.model in FITTED:
            name = self.model
            predictions = self._baseline_crossed(FITTED[self.model], sentences, parts, by_kind=by_kind)
        else:
            raise InputError(f"--folds fits a recipe or one of {', '.join(FITTED)}; {self.model} is not fitted")
        return compare(sentences, predicted(predictions), f"{name}, {told}")

    def _network_crossed(
        self, sentences: Sequence[LabelledSentence], parts: Sequence[str], work: Path, *, by_kind: bool
    ) -> list[Prediction]:
        recipe = read_recipe(self.recipe)
        judged = [from_labelled(sentence) for sentence in sentences]
        sources, base = read_sources(recipe, self.files), find_encoder(recipe.encoder)
        scores: dict[int, Scores] = {}
        for part, mine, _ in _parted(parts):
            log.info("part %s of %d", part, len(set(parts)))
            rest = [source.without_kind(part) for source in sources] if by_kind else sources
            said = scored_aside(recipe, rest, [judged[i] for i in mine], base, work, quiet=self.quiet)
            scores.update(zip(mine, said, strict=True))
        found: dict[int, Prediction] = {}
        for _, mine, others in _parted(parts):
            calibration = calibrate([judged[i] for i in others], [scores[i] for i in others], "the other parts")
            for i in mine:
                said_of_one = recalibrated(scores[i], calibration)
                found[i] = decide(Sentence(judged[i].text), said_of_one, calibration, f"recipe:{self.recipe}")
        return [found[i] for i in range(len(sentences))]

    def _baseline_crossed(
        self, fit: Fit, sentences: Sequence[LabelledSentence], parts: Sequence[str], *, by_kind: bool
    ) -> list[Prediction]:
        more = unseen(self._training(), sentences)
        found: dict[int, Prediction] = {}
        for part, mine, others in _parted(parts):
            judged = [sentences[i] for i in mine]
            rest = [*unseen([sentences[i] for i in others], judged), *more]
            fitted = fit([sentence for sentence in rest if not by_kind or sentence.publisher_kind != part])
            found.update(zip(mine, fitted.predict([Sentence(s.text) for s in judged]), strict=True))
        return [found[i] for i in range(len(sentences))]

    def _classifier(self, judged: Sequence[LabelledSentence]) -> Classifier:
        if self.model is None or not self.model.startswith(PREFIX):
            return StanceClassifier.from_pretrained(resolve(self.model))
        if self.model == ZeroShotBaseline.tag:
            return ZeroShotBaseline()
        if self.model not in FITTED:
            raise InputError(f"{self.model} is no baseline: there are {', '.join([*FITTED, ZeroShotBaseline.tag])}")
        training = unseen(self._training(), judged)
        if not training:
            raise InputError(f"there is nothing to fit {self.model} on: name other labelled sentences with --train")
        return FITTED[self.model](training)

    def _training(self) -> list[LabelledSentence]:
        """What a baseline may be fitted on."""
        if self.training:
            return _read(self.training)
        sources = read_recipe(self.recipe).data
        return [
            sentence
            for source in sources
            if source.format == "stanceframe" and not source.taught and source.file.is_file()
            for sentence in read_sentences(source)
        ]


def unseen(training: Sequence[LabelledSentence], judged: Sequence[LabelledSentence]) -> list[LabelledSentence]:
    """The training sentences that share neither document nor text with what is judged."""
    kept = apart([from_labelled(s) for s in judged], [from_labelled(s) for s in training])
    return [sentence for sentence, keep in zip(training, kept, strict=True) if keep]


def _parted(parts: Sequence[str]) -> Iterator[tuple[str, list[int], list[int]]]:
    """Each part, the indices of what is in it, and those of the rest."""
    for part in sorted(set(parts)):
        mine = [i for i, other in enumerate(parts) if other == part]
        yield part, mine, [i for i, other in enumerate(parts) if other != part]


def _read(files: Sequence[Path]) -> list[LabelledSentence]:
    return [sentence for file in files for sentence in read_labelled(file)]
