"""The training loop: examples in, weights out.

Batches hold inputs of like length; everything random comes from the recipe's seed and the epoch's number,
so that a run which was cut goes on where its last saved state stands and ends as if it had not been.
"""

import logging
import math
import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from stanceframe.data.examples import Example
from stanceframe.models.classifier import SCHEMA_MENTIONS, Scores
from stanceframe.models.encoding import Encoder
from stanceframe.models.engines import fast_precision
from stanceframe.models.errors import ConfigError
from stanceframe.models.labels import Frame, Holder, Sentiment, Stance
from stanceframe.models.network import MAX_TARGETS, Batch, Logits, StanceframeNetwork
from stanceframe.models.types import Mention
from stanceframe.training.config import Recipe
from stanceframe.training.states import Likeness, States

log = logging.getLogger(__name__)

IGNORED = -100
MATCHING_RATE = 1e-3
"""Learning rate of the layer between a student's states and a teacher's."""
BATCHES_IN_POOL = 32


@dataclass(frozen=True, slots=True)
class Lesson:
    """An example, and what a teacher said of it (for the same targets), if there is one."""

    example: Example
    teacher: Scores | None = None


@dataclass(frozen=True, slots=True)
class Gold:
    """Labels of a batch, for B inputs and T targets; `IGNORED` and NaN stand where nothing is labelled.

    Shapes: stance and holder (B, T) int64, framing (B, 2) float, sentiment (B,) int64; the teacher's
    probabilities have the shapes of `Scores` behind B, and NaN where there is no teacher.
    """

    stance: Tensor
    holder: Tensor
    framing: Tensor
    sentiment: Tensor
    teacher_stance: Tensor
    teacher_holder: Tensor
    teacher_framing: Tensor
    teacher_sentiment: Tensor

    def to(self, device: torch.device) -> "Gold":
        """The same labels on a device."""
        return Gold(*(getattr(self, field.name).to(device) for field in fields(self)))


class _Run:
    """A training run's moving parts, and its state on disk."""

    def __init__(
        self, network: StanceframeNetwork, recipe: Recipe, steps_an_epoch: int, matching: States | None
    ) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.bfloat16 = fast_precision(self.device.type) == "bf16"
        self.home = network.device
        self.attention = network.encoder.config._attn_implementation
        self.network = network.to(self.device).train()
        network.encoder.set_attn_implementation("eager")  # its backward pass is several times faster on a CPU
        self.recipe = recipe
        self.steps_an_epoch = steps_an_epoch
        self.total = steps_an_epoch * recipe.epochs
        torch.manual_seed(recipe.seed)
        hidden = network.encoder.config.hidden_size
        self.matching = None if matching is None else matching.teacher
        self.likeness = None if matching is None else Likeness(matching, hidden).to(self.device)
        groups = _parameter_groups(network, recipe)
        if self.likeness is not None:
            groups.append({"params": list(self.likeness.parameters()), "lr": MATCHING_RATE, "weight_decay": 0.0})
        self.optimiser = torch.optim.AdamW(groups, fused=True)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser, lambda step: _rate(step, self.total, recipe.warmup)
        )
        self.average = _average(network, recipe.average)
        self.done = 0
        self.losses: list[float] = []
        self.summed = 0.0

    def step(self, batch: Batch, gold: Gold, texts: Sequence[str]) -> None:
        """One update of the weights."""
        batch = batch.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            states = self.network.states(batch)
            logits = self.network.read_off(states, batch)
            far = self._far(states, batch, texts)
        loss = loss_of(logits, gold.to(self.device), self.recipe) + self.recipe.states * far
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.optimiser.step()
        self.schedule.step()
        self.optimiser.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update_parameters(self.network)
        self.done += 1
        self.summed += float(loss.detach())
        if self.done % self.steps_an_epoch == 0:
            self.losses.append(self.summed / self.steps_an_epoch)
            self.summed = 0.0
            log.info("epoch %d of %d: loss %.4f", len(self.losses), self.recipe.epochs, self.losses[-1])

    def _far(self, states: Tensor, batch: Batch, texts: Sequence[str]) -> Tensor | float:
        """Distance from the teacher's states, 0 without any."""
        if self.likeness is None:
            return 0.0
        distance: Tensor = self.likeness(states, self.network.at_names(states, batch), batch, texts)
        return distance

    def save(self, path: Path) -> None:
        """Replace the state on disk in one step."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".new")
        with beside.open("wb") as file:
            torch.save(self._state(), file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)

    def _state(self) -> dict[str, Any]:
        return {
            "recipe": repr(asdict(self.recipe)),
            "total": self.total,
            "network": self.network.state_dict(),
            "matching": self.matching,
            "likeness": None if self.likeness is None else self.likeness.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "random": [torch.get_rng_state(), *torch.cuda.get_rng_state_all()],
            "done": self.done,
            "losses": self.losses,
            "summed": self.summed,
        }

    def take_up(self, path: Path) -> None:
        """Go on from the state on disk, if it is this run's."""
        state = torch.load(path, weights_only=True, map_location=self.device)
        same = state.get("matching") == self.matching and state["total"] == self.total
        if not same or state["recipe"] != repr(asdict(self.recipe)):
            log.info("%s is of another run: starting anew", path)
            return
        self.network.load_state_dict(state["network"])
        if self.likeness is not None:
            self.likeness.load_state_dict(state["likeness"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        here, *on_devices = [random.cpu() for random in state["random"]]
        torch.set_rng_state(here)
        torch.cuda.set_rng_state_all(on_devices)
        self.done, self.losses, self.summed = state["done"], state["losses"], state["summed"]
        log.info("taking up %s at step %d of %d", path, self.done, self.total)

    def finish(self) -> None:
        """Leave the averaged weights in the network, if there are any, ready for inference."""
        if self.average is not None:
            self.network.load_state_dict(self.average.module.state_dict())
        self.network.encoder.set_attn_implementation(self.attention)
        self.network.to(self.home).eval()


def optimise(
    network: StanceframeNetwork,
    encoder: Encoder,
    draw: Callable[[int], Sequence[Lesson]],
    recipe: Recipe,
    *,
    matching: States | None = None,
    state_file: Path | None = None,
    save_every: int = 200,
    quiet: bool = False,
) -> list[float]:
    """Train a network in place.

    Args:
        network: what is trained.
        encoder: makes its inputs.
        draw: the lessons of an epoch, by its number; the same number gives the same lessons, each as many.
        recipe: the settings.
        matching: a teacher's states to come close to, with the weight that the recipe says.
        state_file: where the run's state is kept; an earlier state there, of the same recipe and as many steps,
            is taken up. Whether the lessons are the same is for the caller to know.
        save_every: steps between two saved states.
        quiet: no progress bar.

    Returns:
        The mean loss of each epoch.

    Raises:
        ConfigError: an epoch has no lesson.
    """
    lessons = len(draw(0))
    if not lessons:
        raise ConfigError("an epoch draws no sentence: give the recipe's sources a greater share")
    run = _Run(network, recipe, math.ceil(lessons / recipe.batch_size), matching)
    if state_file is not None and state_file.exists():
        run.take_up(state_file)
    with tqdm(total=run.total, initial=run.done, unit="step", disable=True if quiet else None) as bar:
        while run.done < run.total:
            epoch, skip = divmod(run.done, run.steps_an_epoch)
            for batch, gold, texts in _batches(draw(epoch), encoder, recipe, epoch, skip):
                run.step(batch, gold, texts)
                bar.update()
                if state_file is not None and run.done % save_every == 0:
                    run.save(state_file)
    run.finish()
    return run.losses


def _rate(step: int, total: int, warmup: float) -> float:
    """Linear rise over the warm-up's part of all steps, then linear fall to 0."""
    rising = max(1, int(total * warmup))
    return (step + 1) / rising if step < rising else max(0.0, (total - step) / max(1, total - rising))


def _average(network: StanceframeNetwork, decay: float) -> torch.optim.swa_utils.AveragedModel | None:
    if not decay:
        return None
    blend = torch.optim.swa_utils.get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=blend)


def _parameter_groups(network: StanceframeNetwork, recipe: Recipe) -> list[dict[str, Any]]:
    """Learning rate by depth; no weight decay on biases, norms and the encoder's own embeddings."""
    layers = network.encoder.config.num_hidden_layers
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if not name.startswith("encoder."):
            factor = recipe.head_rate
        else:
            parts = name.split(".")
            depth = int(parts[parts.index("layer") + 1]) + 1 if "layer" in parts else 0
            factor = recipe.layer_decay ** (layers - depth)
        decay = 0.0 if parameter.ndim < 2 or "embedding" in name else recipe.weight_decay
        groups.setdefault((factor, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": recipe.learning_rate * factor, "weight_decay": decay}
        for (factor, decay), parameters in groups.items()
    ]


def _batches(
    lessons: Sequence[Lesson], encoder: Encoder, recipe: Recipe, epoch: int, skip: int
) -> Iterator[tuple[Batch, Gold, Sequence[str]]]:
    """The batches of an epoch in a random order, each of inputs of like length, less the first `skip`.

    With each come its texts, empty where the mentions are not marked or others than the schema's targets are asked of.
    """
    order = list(range(len(lessons)))
    chance = random.Random(f"{recipe.seed} {epoch}")
    chance.shuffle(order)
    size = recipe.batch_size
    batches: list[list[int]] = []
    for first in range(0, len(order), size * BATCHES_IN_POOL):
        pool = sorted(order[first : first + size * BATCHES_IN_POOL], key=lambda i: len(lessons[i].example.text))
        batches += [pool[i : i + size] for i in range(0, len(pool), size)]
    chance.shuffle(batches)
    unmarked = {i for i in order if chance.random() < recipe.unmarked}
    for batch in batches[skip:]:
        taken, bare = [lessons[i] for i in batch], [i in unmarked for i in batch]
        batch_of_texts = [_read_by_teacher(lesson, plain) for lesson, plain in zip(taken, bare, strict=True)]
        yield *_collate(taken, bare, encoder), batch_of_texts


def _read_by_teacher(lesson: Lesson, bare: bool) -> str:
    """The text, if a teacher would read the same input."""
    same = not bare and tuple(labels.mention for labels in lesson.example.targets) == SCHEMA_MENTIONS
    return lesson.example.text if same else ""


NOWHERE = (0, 0)
"""A span that marks no token."""


def _collate(lessons: Sequence[Lesson], unmarked: Sequence[bool], encoder: Encoder) -> tuple[Batch, Gold]:
    """Inputs and labels of a batch; a sentence longer than one input is cut, targets beyond one pass left out."""
    asked = [
        [
            Mention(labels.mention.target, NOWHERE) if bare and labels.mention.span is None else labels.mention
            for labels in lesson.example.targets[:MAX_TARGETS]
        ]
        for lesson, bare in zip(lessons, unmarked, strict=True)
    ]
    windows = encoder.first_windows([lesson.example.text for lesson in lessons], asked)
    batch = encoder.collate(windows)
    return batch, _gold(lessons, batch.name_mask.shape[1])


def _gold(lessons: Sequence[Lesson], targets: int) -> Gold:
    size = len(lessons)
    stance = np.full((size, targets), IGNORED, dtype=np.int64)
    holder = np.full((size, targets), IGNORED, dtype=np.int64)
    framing = np.full((size, len(Frame)), np.nan, dtype=np.float32)
    sentiment = np.full(size, IGNORED, dtype=np.int64)
    soft = {
        "stance": np.full((size, targets, len(Stance)), np.nan, dtype=np.float32),
        "holder": np.full((size, targets, len(Holder)), np.nan, dtype=np.float32),
        "framing": np.full((size, len(Frame)), np.nan, dtype=np.float32),
        "sentiment": np.full((size, len(Sentiment)), np.nan, dtype=np.float32),
    }
    stances, holders, sentiments = list(Stance), list(Holder), list(Sentiment)
    for row, lesson in enumerate(lessons):
        example = lesson.example
        for column, labels in enumerate(example.targets[:targets]):
            if labels.stance is not None:
                stance[row, column] = stances.index(labels.stance)
            if labels.holder is not None:
                holder[row, column] = holders.index(labels.holder)
        if example.framing is not None:
            framing[row] = [frame in example.framing for frame in Frame]
        if example.sentiment is not None:
            sentiment[row] = sentiments.index(example.sentiment)
        if lesson.teacher is not None:
            count = min(targets, len(lesson.teacher.stance))
            soft["stance"][row, :count] = lesson.teacher.stance[:count]
            soft["holder"][row, :count] = lesson.teacher.holder[:count]
            soft["framing"][row] = lesson.teacher.framing
            soft["sentiment"][row] = lesson.teacher.sentiment
    return Gold(
        stance=torch.from_numpy(stance),
        holder=torch.from_numpy(holder),
        framing=torch.from_numpy(framing),
        sentiment=torch.from_numpy(sentiment),
        **{f"teacher_{name}": torch.from_numpy(values) for name, values in soft.items()},
    )


def loss_of(logits: Logits, gold: Gold, recipe: Recipe) -> Tensor:
    """Weighted sum of the heads' losses, each a mean over what is labelled; a head without labels adds 0."""
    stance, holder, framing, sentiment = (
        part.float() for part in (logits.stance, logits.holder, logits.framing, logits.sentiment)
    )
    known = ~gold.framing.isnan()
    of_labels = (
        _cross_entropy(stance, gold.stance)
        + recipe.holder_loss * _cross_entropy(holder, gold.holder)
        + recipe.sentiment_loss * _cross_entropy(sentiment, gold.sentiment)
        + recipe.framing_loss
        * _mean(
            functional.binary_cross_entropy_with_logits(
                framing[known],
                gold.framing[known],
                pos_weight=framing.new_tensor(recipe.frame_weight),
                reduction="none",
            )
        )
    )
    if not recipe.distil:
        return of_labels
    held = gold.teacher_stance[..., :2].sum(-1)
    taught = ~gold.teacher_framing.isnan()
    of_teacher = (
        _soft_cross_entropy(stance, gold.teacher_stance)
        + recipe.holder_loss * _soft_cross_entropy(holder, gold.teacher_holder, held)
        + recipe.sentiment_loss * _soft_cross_entropy(sentiment, gold.teacher_sentiment)
        + recipe.framing_loss
        * _mean(
            functional.binary_cross_entropy_with_logits(framing[taught], gold.teacher_framing[taught], reduction="none")
        )
    )
    return (1.0 - recipe.distil) * of_labels + recipe.distil * of_teacher


def _mean(losses: Tensor) -> Tensor:
    """Mean, and 0 of nothing."""
    return losses.sum() / max(1, losses.numel())


def _cross_entropy(logits: Tensor, gold: Tensor) -> Tensor:
    losses = functional.cross_entropy(logits.flatten(0, -2), gold.flatten(), ignore_index=IGNORED, reduction="sum")
    return losses / (gold != IGNORED).sum().clamp(min=1)


def _soft_cross_entropy(logits: Tensor, teacher: Tensor, weight: Tensor | None = None) -> Tensor:
    """Cross-entropy against probabilities, over the rows that have them, weighted by `weight` where given."""
    taught = ~teacher.isnan().any(-1)
    losses = -(teacher[taught] * logits[taught].log_softmax(-1)).sum(-1)
    if weight is not None:
        losses = losses * weight[taught]
    return _mean(losses)
