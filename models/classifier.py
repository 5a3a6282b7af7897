"""The inference path that HTTP, the command line and every corpus job share."""

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copymode
from threading import Lock
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from stanceframe.models.calibration import Array, Calibration, softmax
from stanceframe.models.checkpoint import Checkpoint, read_json, replacing_folder, write_json, write_text
from stanceframe.models.encoding import Encoder, Window
from stanceframe.models.engines import Engine, new_engine
from stanceframe.models.errors import CheckpointError
from stanceframe.models.labels import TARGETS, Frame, Holder, LabelSchema, Sentiment, Stance, Target
from stanceframe.models.network import Logits, StanceframeConfig, StanceframeNetwork
from stanceframe.models.types import (
    EngineName,
    Framing,
    Mention,
    Prediction,
    Sentence,
    SentimentScore,
    TargetStance,
)

SCHEMA_MENTIONS = tuple(Mention(TARGETS[target]) for target in Target)
_KEY_OF_TARGET = {text: target for target, text in TARGETS.items()}
_ABSENT = list(Stance).index(Stance.ABSENT)
_TINY = 1e-12
_REMEMBERED_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class Scores:
    """Calibrated probabilities of one sentence, for any list of targets.

    Shapes, for T targets: stance (T, 4), holder (T, 5), framing (2,), sentiment (3,).
    """

    stance: Array
    holder: Array
    framing: Array
    sentiment: Array
    truncated: bool


class _Memory:
    """The scores of the sentences that were asked of last, up to so many; several threads may use it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._scores: OrderedDict[str, Scores] = OrderedDict()
        self._turn = Lock()

    def of(self, texts: Iterable[str]) -> dict[str, Scores]:
        """What is remembered of some sentences."""
        with self._turn:
            known = {text: self._scores[text] for text in texts if text in self._scores}
            for text in known:
                self._scores.move_to_end(text)
            return known

    def keep(self, scores: Mapping[str, Scores]) -> None:
        """Remember these, and forget the oldest beyond the limit; what is long is rare, and not kept."""
        with self._turn:
            self._scores.update((text, score) for text, score in scores.items() if len(text) <= _REMEMBERED_CHARACTERS)
            while len(self._scores) > self._most:
                self._scores.popitem(last=False)


class StanceClassifier:
    """A network, its tokenizer and its calibration.

    Args:
        engine: runs the network.
        encoder: makes its inputs.
        calibration: turns logits into probabilities and decisions.
        tag: name and hash that every prediction carries.
        checkpoint: what the classifier was read from, if from a folder.
        remember: of so many sentences, those labelled last, the scores are kept: news repeats itself.
    """

    def __init__(
        self,
        engine: Engine,
        encoder: Encoder,
        calibration: Calibration,
        tag: str = "stanceframe:unsaved",
        checkpoint: Checkpoint | None = None,
        remember: int = 0,
    ) -> None:
        self.engine = engine
        self.encoder = encoder
        self.calibration = calibration
        self.checkpoint = checkpoint
        self._tag = tag
        self._memory = _Memory(remember)

    @property
    def tag(self) -> str:
        """Name and hash of the checkpoint."""
        return self._tag

    @classmethod
    def from_pretrained(
        cls, path: Path | str, engine: EngineName = "torch-fp32", remember: int = 0
    ) -> "StanceClassifier":
        """Read a checkpoint, to be run by an engine.

        Raises:
            CheckpointError: the folder is no checkpoint, is damaged, or has labels that this version does not know.
            ConfigError: the engine, asked for by its own name, cannot run.
        """
        checkpoint = Checkpoint.open(Path(path))
        network, encoder = load_network(checkpoint.path)
        calibration = Calibration.from_json(read_json(checkpoint.path / "calibration.json"))
        runs = new_engine(engine, network, checkpoint.derived)
        return cls(runs, encoder, calibration, checkpoint.tag, checkpoint, remember)

    def predict(self, sentences: Sequence[Sentence]) -> list[Prediction]:
        """Label every sentence, in their order."""
        scores = self._memory.of(sentence.text for sentence in sentences)
        new = [sentence.text for sentence in sentences if sentence.text not in scores]
        found = dict(zip(new, self.score(new, [SCHEMA_MENTIONS] * len(new)), strict=True))
        self._memory.keep(found)
        scores |= found
        return [decide(sentence, scores[sentence.text], self.calibration, self.tag) for sentence in sentences]

    def score(self, texts: Sequence[str], mentions: Sequence[Sequence[Mention]]) -> list[Scores]:
        """Probabilities for every text and the targets asked of it, in their order.

        Inputs are batched by length under a budget of tokens; the result does not depend on what else is
        in the call. What is asked twice is answered once. A sentence longer than one input is read in overlapping
        windows: see `_merge`.
        """
        asked = list(zip(texts, map(tuple, mentions), strict=True))
        distinct = dict.fromkeys(asked)
        scores = dict(zip(distinct, self._score(list(distinct)), strict=True))
        return [scores[item] for item in asked]

    def _score(self, asked: Sequence[tuple[str, tuple[Mention, ...]]]) -> list[Scores]:
        windows = list(self.encoder.windows([text for text, _ in asked], [mentions for _, mentions in asked]))
        logits: list[dict[str, Array]] = [{} for _ in windows]
        lengths = [len(window.input_ids) for window in windows]
        for indices in batches_by_length(lengths, self.engine.tokens):
            batch = self.engine.run(self.encoder.collate([windows[i] for i in indices]))
            for row, i in enumerate(indices):
                logits[i] = _row(batch, row, len(windows[i].targets))
        by_item: dict[int, list[int]] = defaultdict(list)
        for i, window in enumerate(windows):
            by_item[window.item].append(i)
        return [
            self._merge(mentions, [windows[i] for i in by_item[item]], [logits[i] for i in by_item[item]])
            for item, (_, mentions) in enumerate(asked)
        ]

    def _merge(
        self, mentions: Sequence[Mention], windows: Sequence[Window], logits: Sequence[dict[str, Array]]
    ) -> Scores:
        """One sentence's probabilities from its windows.

        A target is absent where every window says so: P(absent) is the least of the windows'; what is said
        of a mentioned target is the windows' mean, weighted by how surely each mentions it. A frame is as
        probable as in the window that shows it most. Sentiment is the mean, weighted by tokens.
        """
        stance = np.zeros((len(mentions), len(Stance)))
        holder = np.zeros((len(mentions), len(Holder)))
        for i, mention in enumerate(mentions):
            key = _KEY_OF_TARGET.get(mention.target)
            temperature = self.calibration.other_target if key is None else self.calibration.stance[key]
            places = [(row, window.targets) for window, row in zip(windows, logits, strict=True) if i in window.targets]
            said = softmax(np.stack([row["stance"][targets.index(i)] for row, targets in places]) / temperature)
            held = softmax(np.stack([row["holder"][targets.index(i)] for row, targets in places]))
            stance[i], holder[i] = _merge_target(said, held)
        frame_logits = np.stack([row["framing"] for row in logits]).max(axis=0)
        framing = np.array(
            [self.calibration.framing[frame].probability(frame_logits[i]) for i, frame in enumerate(Frame)]
        )
        tone = softmax(np.stack([row["sentiment"] for row in logits]) / self.calibration.sentiment)
        sizes = np.array([window.tokens for window in windows], dtype=np.float64)
        return Scores(
            stance=stance,
            holder=holder,
            framing=framing,
            sentiment=(tone * sizes[:, None]).sum(0) / sizes.sum(),
            truncated=any(window.truncated for window in windows),
        )


def _merge_target(said: Array, held: Array) -> tuple[Array, Array]:
    """Stance (4,) and holder (5,) of one target from what W windows say of it: (W, 4) and (W, 5).

    A window's P(favor), P(against) and P(neutral) sum to P(mentioned), its weight: so their plain sums over
    the windows are already weighted.
    """
    weights = 1.0 - said[:, _ABSENT] + _TINY
    least_absent = said[:, _ABSENT].min()
    mentioned = np.delete(said, _ABSENT, axis=1).sum(axis=0)
    shares = mentioned / max(mentioned.sum(), _TINY)
    return np.insert(shares * (1.0 - least_absent), _ABSENT, least_absent), weights @ held / weights.sum()


def decide(sentence: Sentence, scores: Scores, calibration: Calibration, model: str) -> Prediction:
    """Labels from the calibrated probabilities of the schema's targets, in their order."""
    framing = dict(zip(Frame, scores.framing.tolist(), strict=True))
    sentiment = dict(zip(Sentiment, scores.sentiment.tolist(), strict=True))
    tone = max(sentiment, key=sentiment.__getitem__)
    return Prediction(
        sentence=sentence,
        stance={
            target: _decide_stance(scores.stance[i], scores.holder[i], calibration.abstain_below[target])
            for i, target in enumerate(Target)
        },
        framing=Framing(
            labels=tuple(frame for frame in Frame if framing[frame] >= calibration.frame_threshold[frame]),
            probabilities=framing,
        ),
        sentiment=SentimentScore(label=tone, confidence=sentiment[tone], probabilities=sentiment),
        truncated=scores.truncated,
        model=model,
    )


def _decide_stance(stance: Array, holder: Array, abstain_below: float) -> TargetStance:
    probabilities = dict(zip(Stance, stance.tolist(), strict=True))
    label = max(probabilities, key=probabilities.__getitem__)
    return TargetStance(
        label=label,
        confidence=probabilities[label],
        abstained=probabilities[label] < abstain_below,
        holder=list(Holder)[int(holder.argmax())] if label.is_evaluation else None,
        probabilities=probabilities,
    )


def recalibrated(scores: Scores, calibration: Calibration) -> Scores:
    """Uncalibrated probabilities of the schema's targets, calibrated."""
    temperatures = np.array([calibration.stance[target] for target in Target])
    framing = scores.framing.clip(_TINY, 1 - _TINY)
    odds = np.log(framing) - np.log1p(-framing)
    return replace(
        scores,
        stance=softmax(np.log(scores.stance + _TINY) / temperatures[:, None]),
        framing=np.array([calibration.framing[frame].probability(odds[i]) for i, frame in enumerate(Frame)]),
        sentiment=softmax(np.log(scores.sentiment + _TINY) / calibration.sentiment),
    )


def batches_by_length(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Indices in batches of like length: padded, each batch has at most `tokens` tokens (or one input)."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[i] > tokens:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def _row(logits: Logits, row: int, targets: int) -> dict[str, Array]:
    """The logits of one input, without the padding of targets."""
    return {
        "stance": logits.stance[row, :targets].double().numpy(),
        "holder": logits.holder[row, :targets].double().numpy(),
        "framing": logits.framing[row].double().numpy(),
        "sentiment": logits.sentiment[row].double().numpy(),
    }


def load_network(path: Path) -> tuple[StanceframeNetwork, Encoder]:
    """Read network and tokenizer of a checkpoint, the weights in fp32.

    Raises:
        CheckpointError: a file is missing, damaged or of another network.
    """
    try:
        config = StanceframeConfig.from_dict(read_json(path / "config.json"))
        network = StanceframeNetwork(config)
        weights = {name: tensor.float() for name, tensor in load_file(path / "model.safetensors").items()}
        network.load_state_dict(weights)
        tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        return network, Encoder(tokenizer, config.max_length, config.encoder_config().pad_token_id)
    except CheckpointError:
        raise
    except Exception as error:  # tokenizers raises nothing more special
        raise CheckpointError(f"{path} cannot be read as a checkpoint: {error}") from error


def save_checkpoint(
    path: Path,
    network: StanceframeNetwork,
    encoder: Encoder,
    calibration: Calibration,
    *,
    created: str,
    trained_on: list[dict[str, Any]],
    base_encoder: str,
    metrics: dict[str, Any],
    card: str,
) -> Checkpoint:
    """Write a whole checkpoint in one step, the weights in half precision."""
    with replacing_folder(path) as folder:
        write_json(folder / "config.json", network.config.to_dict())
        state = {
            name: tensor.detach().cpu().to(torch.float16).contiguous() for name, tensor in network.state_dict().items()
        }
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        copymode(folder / "config.json", folder / "model.safetensors")  # safetensors lets only the owner read it
        encoder.tokenizer.save(str(folder / "tokenizer.json"))
        write_json(folder / "schema.json", LabelSchema().to_json())
        write_json(folder / "calibration.json", calibration.to_json())
        write_json(folder / "metrics.json", metrics)
        write_text(folder / "README.md", card)
        Checkpoint.seal(folder, created=created, trained_on=trained_on, base_encoder=base_encoder)
    return Checkpoint.open(path)
