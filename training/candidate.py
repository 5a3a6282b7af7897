"""A candidate: what becomes of the incumbent when it learns new labels.

It starts from the incumbent's weights and learns the new labels among sentences of the shipped corpus, where
it is held to what the incumbent said: replay and distillation, as in "Learning without Forgetting" (Li and
Hoiem, ECCV 2016). The result is a mean of the incumbent's and the trained weights, which keeps old skills
(WiSE-FT: Wortsman et al., CVPR 2022, arXiv 2109.01903).
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from stanceframe.data.corpus import to_json
from stanceframe.data.examples import Example, from_labelled
from stanceframe.models.calibration import Calibration
from stanceframe.models.checkpoint import Checkpoint
from stanceframe.models.classifier import Scores, StanceClassifier, load_network
from stanceframe.models.encoding import Encoder
from stanceframe.models.engines import TorchEngine
from stanceframe.models.network import StanceframeNetwork
from stanceframe.models.types import LabelledSentence
from stanceframe.training.config import Recipe
from stanceframe.training.decision import Decision, compare_paired, labels_said
from stanceframe.training.lessons import Source, drawing
from stanceframe.training.lot import Lot
from stanceframe.training.optimise import Lesson, optimise

TIMES = 2.0
"""How often an epoch shows each new label."""
REPLAYED, LEAST_REPLAYED = 2, 600
"""Sentences that an epoch replays: so many for each new one shown, and at least so many."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trained network as a classifier, with what is kept of its making."""

    recipe: Recipe
    network: StanceframeNetwork
    encoder: Encoder
    classifier: StanceClassifier
    sources: list[Source]
    losses: list[float]


def teach(incumbent: Checkpoint, lot: Lot, recipe: Recipe, *, quiet: bool = False) -> Candidate:
    """Train a candidate from the incumbent's weights.

    Its weights are rounded to half precision, as a checkpoint keeps them, so that what is judged is what is saved.
    """
    network, encoder = load_network(incumbent.path)
    start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    sources = _sources(lot)
    teacher = StanceClassifier(TorchEngine(network), encoder, Calibration())
    losses = optimise(network, encoder, _taught(sources, teacher, recipe), recipe, quiet=quiet)
    network.load_state_dict(mixed(start, network.state_dict(), recipe.mix))
    calibration = StanceClassifier.from_pretrained(incumbent.path).calibration
    classifier = StanceClassifier(TorchEngine(network), encoder, calibration, "stanceframe:candidate")
    return Candidate(recipe, network, encoder, classifier, sources, losses)


def _sources(lot: Lot) -> list[Source]:
    """What an epoch draws from: the new labels several times, and a sample of the replay."""
    replayed = max(REPLAYED * TIMES * len(lot.learn), LEAST_REPLAYED)
    learn, replay = ([from_labelled(sentence) for sentence in part] for part in (lot.learn, lot.replay))
    share = min(1.0, replayed / max(1, len(replay)))
    return [
        Source("new labels", "stanceframe", TIMES, _digest(lot.learn), learn),
        Source("replay", "stanceframe", round(share, 4), _digest(lot.replay), replay),
    ]


def _digest(sentences: Sequence[LabelledSentence]) -> str:
    """Hash of labelled sentences, whatever their order."""
    lines = sorted(json.dumps(to_json(sentence), ensure_ascii=False, sort_keys=True) for sentence in sentences)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def _taught(sources: Sequence[Source], teacher: StanceClassifier, recipe: Recipe) -> Callable[[int], list[Lesson]]:
    """The lessons of an epoch, with what the teacher says: all of a replayed sentence, the rest of a new one."""
    new, replay = sources
    said = {id(e): score for e, score in zip(replay.examples, _scores(teacher, replay.examples), strict=True)}
    said |= {
        id(e): on_the_unlabelled(score, e)
        for e, score in zip(new.examples, _scores(teacher, new.examples), strict=True)
    }
    draw = drawing(sources, recipe.seed)
    return lambda epoch: [Lesson(lesson.example, said[id(lesson.example)]) for lesson in draw(epoch)]


def _scores(teacher: StanceClassifier, examples: Sequence[Example]) -> list[Scores]:
    return teacher.score([e.text for e in examples], [[labels.mention for labels in e.targets] for e in examples])


def on_the_unlabelled(scores: Scores, example: Example) -> Scores:
    """A teacher's scores, with NaN for what a person has labelled: there the label alone counts."""
    labelled = np.array([labels.stance is not None for labels in example.targets])[:, None]
    return replace(
        scores,
        stance=np.where(labelled, np.nan, scores.stance),
        holder=np.where(labelled, np.nan, scores.holder),
        framing=scores.framing if example.framing is None else np.full_like(scores.framing, np.nan),
        sentiment=scores.sentiment if example.sentiment is None else np.full_like(scores.sentiment, np.nan),
    )


def mixed(
    start: Mapping[str, torch.Tensor], trained: Mapping[str, torch.Tensor], part: float
) -> dict[str, torch.Tensor]:
    """Weights on the line from the first to the second, rounded to half precision; `part` 1 gives the second."""
    return {
        name: torch.lerp(start[name].float(), tensor.float(), part).half().float() for name, tensor in trained.items()
    }


def judge(
    incumbent: Checkpoint,
    candidate: StanceClassifier,
    frozen: Sequence[LabelledSentence],
    new: Sequence[LabelledSentence],
) -> Decision:
    """Compare candidate and incumbent on the frozen test and on the held-out new labels."""
    before = StanceClassifier.from_pretrained(incumbent.path)
    return Decision(
        *(
            compare_paired(name, sentences, labels_said(before, sentences), labels_said(candidate, sentences))
            for name, sentences in (("frozen test", frozen), ("held-out new labels", new))
        )
    )
