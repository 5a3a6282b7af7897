"""From a recipe to a checkpoint.

A run trains a network aside first, without a part of the documents, and scores those: the calibration is
fitted on what the scoring network never saw. Then it trains on everything; or, where the recipe says so, what
was trained aside is the result. What is done is kept beside it, so that a run which was cut is taken up where it stood.
"""

import datetime
import hashlib
import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoConfig

from stanceframe.data.corpus import read_labelled
from stanceframe.data.examples import Example
from stanceframe.data.splits import fold_of
from stanceframe.models.calibration import Calibration
from stanceframe.models.checkpoint import MANIFEST, Checkpoint, sha256
from stanceframe.models.classifier import Scores, StanceClassifier, save_checkpoint
from stanceframe.models.encoding import Encoder
from stanceframe.models.engines import TorchEngine
from stanceframe.models.errors import CheckpointError, ConfigError, EncoderNotFoundError
from stanceframe.models.network import StanceframeConfig, StanceframeNetwork
from stanceframe.training.calibrate import calibrate
from stanceframe.training.card import model_card, record
from stanceframe.training.config import Recipe
from stanceframe.training.encoders import find_encoder
from stanceframe.training.evaluate import evaluate
from stanceframe.training.lessons import FROZEN_TEST, Source, drawing, read_sources, read_teaching
from stanceframe.training.optimise import optimise
from stanceframe.training.states import States

log = logging.getLogger(__name__)

PARTS = 5
"""One of so many parts of the calibrating sources' documents is held out for the calibration."""


def train(
    recipe: Recipe, files: Sequence[Path], output: Path, matching: States | None = None, *, quiet: bool = False
) -> Checkpoint:
    """Train a checkpoint by a recipe.

    Args:
        recipe: the settings and sources.
        files: more files of labelled sentences.
        output: folder of the checkpoint; the run's state stands beside it until the run is done.
        matching: a teacher's states, where the recipe gives them a weight.
        quiet: no progress bar.

    Raises:
        ConfigError: the recipe's sources cannot be used.
        EncoderNotFoundError: the base encoder is nowhere.
        CheckpointError: `output` holds something else than a checkpoint.
    """
    check_output(output)
    output = output.resolve()
    if recipe.states and matching is None:
        log.info("no teacher's states are at hand: learning from its probabilities alone")
        recipe = replace(recipe, states=0.0)
    work = work_of(output)
    learnt = _learn(recipe, read_sources(recipe, files), find_encoder(recipe.encoder), work, matching, quiet=quiet)
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    settings = asdict(replace(recipe, data=(), teacher=_teachers(recipe, matching)))
    trained_on = [source.to_json() for source in learnt.sources]
    save_checkpoint(
        output,
        learnt.network,
        learnt.encoder,
        learnt.calibration,
        created=created,
        trained_on=trained_on,
        base_encoder=recipe.encoder,
        metrics={"recipe": settings, "losses": learnt.losses},
        card=model_card(settings, trained_on, recipe.encoder, learnt.calibration, created),
    )
    test = evaluate(list(read_labelled(FROZEN_TEST)), StanceClassifier.from_pretrained(output))
    checkpoint = record(output, "frozen test", test)
    shutil.rmtree(work, ignore_errors=True)
    return checkpoint


def work_of(output: Path) -> Path:
    """Folder of a run's state, beside its result."""
    return output.parent / f".{output.name}.training"


def check_output(path: Path) -> None:
    """See that a checkpoint may be written to a folder.

    Raises:
        CheckpointError: it holds something else than a checkpoint.
    """
    if path.exists() and not (path / MANIFEST).is_file() and not (path.is_dir() and not any(path.iterdir())):
        raise CheckpointError(f"{path} is in the way: it is no checkpoint; name another folder")


def new_network(recipe: Recipe, base: Path) -> tuple[StanceframeNetwork, Encoder]:
    """A network with a base encoder's weights and new heads, and what makes its inputs.

    Raises:
        EncoderNotFoundError: the weights are not those of the configuration.
    """
    torch.manual_seed(recipe.seed)
    encoder_config = AutoConfig.from_pretrained(base, local_files_only=True)
    encoder_config.attention_probs_dropout_prob = 0.0
    config = StanceframeConfig(encoder_config.to_dict(), recipe.dropout, recipe.max_length)
    network = StanceframeNetwork(config)
    stored = load_file(base / "model.safetensors")
    bare = {name.removeprefix(f"{encoder_config.model_type}."): tensor.float() for name, tensor in stored.items()}
    wanted = network.encoder.state_dict()
    lacking = [name for name in wanted if name not in bare or bare[name].shape != wanted[name].shape]
    if lacking:
        raise EncoderNotFoundError(
            f"{base}: the weights lack {len(lacking)} tensors of the configuration's shape, such as {lacking[0]}"
        )
    network.encoder.load_state_dict({name: bare[name] for name in wanted})
    encoder = Encoder(Tokenizer.from_file(str(base / "tokenizer.json")), recipe.max_length, encoder_config.pad_token_id)
    return network, encoder


def _teachers(recipe: Recipe, matching: States | None) -> str:
    """Who taught: checkpoints' tags and the hash of what they said, and no path."""
    teaching = read_teaching(recipe)
    if teaching is None or recipe.teacher_file is None:
        return ""
    states = f", and the states of {matching.teacher} in {len(matching.rows)}" if matching else ""
    return f"{teaching.teacher} ({len(teaching.rows)} sentences, sha256 {sha256(recipe.teacher_file)[:12]}{states})"


@dataclass(frozen=True, slots=True)
class _Learnt:
    """What came of a run, and what it learned from."""

    network: StanceframeNetwork
    encoder: Encoder
    calibration: Calibration
    sources: Sequence[Source]
    losses: list[float]


def _learn(
    recipe: Recipe, sources: Sequence[Source], base: Path, work: Path, matching: States | None, *, quiet: bool
) -> _Learnt:
    """Train, and calibrate on one part of the calibrating sources' documents, or of all labelled sentences'."""
    labelled = [source for source in sources if source.format == "stanceframe" and not source.taught]
    calibrating = [source for source in labelled if source.calibrates] or labelled
    judged = [e for source in calibrating for e in source.examples if fold_of(e.document_id or e.id, PARTS) == 0]
    told = f"{len(judged)} sentences of {', '.join(source.name for source in calibrating)}"
    calibration = Calibration()
    calibrated = bool(judged) and any(source.without(judged).examples for source in sources)
    if not calibrated:
        log.warning("too few documents to hold some out: the checkpoint is not calibrated")
    elif recipe.whole:
        scores = scored_aside(recipe, sources, judged, base, work, matching, quiet=quiet)
        calibration = calibrate(judged, scores, f"{told}, scored by a network that was trained without their documents")
    else:
        sources = [source.without(judged) for source in sources]
    network, encoder = new_network(recipe, base)
    log.info("training on %s", ", ".join(f"{len(s.examples)} of {s.name} ({s.share:g})" for s in sources))
    state = work / f"result-{_identity(recipe, base, sources, matching)}.state"
    draw = drawing(sources, recipe.seed, read_teaching(recipe))
    losses = optimise(network, encoder, draw, recipe, matching=matching, state_file=state, quiet=quiet)
    if calibrated and not recipe.whole:
        calibration = calibrate(judged, _scores(network, encoder, judged), f"{told}, whose documents were left out")
    return _Learnt(network, encoder, calibration, sources, losses)


def scored_aside(
    recipe: Recipe,
    sources: Sequence[Source],
    judged: Sequence[Example],
    base: Path,
    work: Path,
    matching: States | None = None,
    *,
    quiet: bool = False,
) -> list[Scores]:
    """Uncalibrated scores of examples, from a network that saw neither their documents nor their texts.

    Args:
        recipe: the settings.
        sources: what to learn from, less the documents that are judged.
        judged: the examples to score, all with as many targets.
        base: folder of the base encoder.
        work: folder for the run's state, and then for the scores: asked for again, they are read from there.
        matching: a teacher's states, if there are any.
        quiet: no progress bar.

    Raises:
        ConfigError: nothing is left to learn from.
    """
    rest = [source.without(judged) for source in sources]
    if not any(source.examples for source in rest):
        raise ConfigError(f"without the documents of {len(judged)} held-out sentences nothing is left to learn from")
    name = f"aside-{_identity(recipe, base, rest, matching, judged)}"
    kept, state = work / f"{name}.npz", work / f"{name}.state"
    if not kept.exists():
        network, encoder = new_network(recipe, base)
        log.info("training aside, without the documents of %d sentences", len(judged))
        draw = drawing(rest, recipe.seed, read_teaching(recipe))
        optimise(network, encoder, draw, recipe, matching=matching, state_file=state, quiet=quiet)
        _keep(kept, _scores(network, encoder, judged))
        state.unlink(missing_ok=True)
    return _kept(kept)


def _scores(network: StanceframeNetwork, encoder: Encoder, judged: Sequence[Example]) -> list[Scores]:
    """Uncalibrated scores of examples."""
    asked = [[labels.mention for labels in example.targets] for example in judged]
    classifier = StanceClassifier(TorchEngine(network), encoder, Calibration())
    return classifier.score([example.text for example in judged], asked)


def _identity(
    recipe: Recipe, base: Path, sources: Sequence[Source], matching: States | None, judged: Sequence[Example] = ()
) -> str:
    """What decides a run, as a short hash: a state or scores of another run are never taken for this one's."""
    teachers = [sha256(recipe.teacher_file) if recipe.teacher_file else "", matching.teacher if matching else ""]
    start = [sha256(base / name) for name in ("model.safetensors", "tokenizer.json")]
    parts = [
        asdict(recipe),
        *teachers,
        *start,
        [source.to_json() for source in sources],
        [(e.id, e.text) for e in judged],
    ]
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _keep(path: Path, scores: Sequence[Scores]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new.npz")
    np.savez(
        beside,
        stance=np.stack([score.stance for score in scores]),
        holder=np.stack([score.holder for score in scores]),
        framing=np.stack([score.framing for score in scores]),
        sentiment=np.stack([score.sentiment for score in scores]),
    )
    beside.replace(path)


def _kept(path: Path) -> list[Scores]:
    with np.load(path, allow_pickle=False) as stored:
        parts = [stored[name] for name in ("stance", "holder", "framing", "sentiment")]
    return [
        Scores(stance, holder, framing, sentiment, truncated=False)
        for stance, holder, framing, sentiment in zip(*parts, strict=True)
    ]
