"""New labels in, a candidate out, and a decision: does it take the incumbent's place?

A part of the new labels, always the same sentences, is never learned from: on it and on the frozen test the
candidate is compared with the incumbent. Without enough labels, or without a gain, nothing changes.
"""

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from stanceframe.data.checks import NearDuplicates, Rejected, screen
from stanceframe.data.corpus import SHIPPED, read_labelled
from stanceframe.data.store import AnnotationStore, Stored
from stanceframe.models.champion import Champions, home, resolve
from stanceframe.models.checkpoint import Checkpoint
from stanceframe.models.classifier import save_checkpoint
from stanceframe.models.types import LabelledSentence
from stanceframe.training.candidate import Candidate, judge, teach
from stanceframe.training.card import model_card
from stanceframe.training.config import Recipe, read_recipe
from stanceframe.training.decision import Decision
from stanceframe.training.evaluate import evaluate
from stanceframe.training.lessons import FROZEN_TEST
from stanceframe.training.lot import Lot, gather
from stanceframe.training.registry import now, promote

log = logging.getLogger(__name__)

FEWEST = 50
"""New labels under which nothing is decided."""
REPLAY = SHIPPED / "train.jsonl"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a retraining came to.

    `decision` is None where there were too few labels for one; `promoted` is the new champion's tag, if any.
    """

    incumbent: str
    stored: int
    lot: Lot
    rejected: list[Rejected]
    notes: list[str]
    decision: Decision | None = None
    promoted: str | None = None
    dry_run: bool = False

    def __str__(self) -> str:
        lines = [f"{self.stored} labels {'would be ' if self.dry_run else ''}stored, {len(self.rejected)} rejected"]
        lines += [f"  rejected {rejected.id}: {rejected.reason}" for rejected in self.rejected]
        lines += [f"  {note}" for note in (*self.notes, *self.lot.notes)]
        if self.decision is None:
            lines.append(
                f"Nothing decided: there are {self.lot.new} new labels, and {FEWEST} are needed; they wait in the "
                f"store. {self.incumbent} stays."
            )
            return "\n".join(lines)
        lines.append(f"{self.lot.new} new labels: {len(self.lot.learn)} learned, {len(self.lot.judge)} held out")
        lines += [f"  {comparison}" for comparison in (self.decision.frozen, self.decision.new)]
        lines.append("  (quality is a mean of macro-F1 in points; “at least” is the lower 95% bound)")
        lines.append(f"{self._verdict(self.decision)}: {self.decision.reason()}.")
        return "\n".join(lines)

    def _verdict(self, decision: Decision) -> str:
        if not decision.promote:
            return f"Refused, {self.incumbent} stays"
        if self.promoted is None:
            return f"It would be promoted in place of {self.incumbent} (a dry run moves nothing)"
        return f"Promoted {self.promoted} in place of {self.incumbent}"


def retrain(
    files: Sequence[Path],
    *,
    since: str | None = None,
    dry_run: bool = False,
    recipe: Recipe | None = None,
    quiet: bool = False,
) -> Outcome:
    """Store new labels, train a candidate, compare it with the incumbent, and promote it if it is better.

    A retraining that was cut can be run again: labels are stored once, and the champion changes last.

    Args:
        files: labelled sentences; without any the store's labels are used.
        since: labels stored after this time are new; else those that the champion has not been given.
        dry_run: decide, but store nothing and promote nothing.
        recipe: the settings; else the shipped recipe `retrain`.
        quiet: no progress bar.

    Raises:
        InputError: a line is no labelled sentence; the message says `path:line`.
        StoreError: the annotation store cannot be used.
        CheckpointError: the incumbent is damaged.
        RegistryError: the incumbent is not there, or another was promoted meanwhile.
    """
    recipe = recipe or read_recipe("retrain")
    incumbent = Checkpoint.open(resolve())
    champion = Champions.read().champion
    frozen = list(read_labelled(FROZEN_TEST))
    came = [sentence for file in files for sentence in read_labelled(file)]
    leaks = NearDuplicates(sentence.text for sentence in frozen)
    screened = screen(came, leaks)
    store = AnnotationStore(home() / "annotations.sqlite")
    fresh = store.unknown(screened.kept)
    if not dry_run:
        store.add(fresh)
    rows = store.current() + [Stored(sentence, now()) for sentence in fresh if dry_run]
    rows = [row for row in rows if not leaks.has(row.sentence.text)]  # a later release may have taken one
    lot = gather(rows, since or (champion.labels_until if champion else None), list(read_labelled(REPLAY)))
    outcome = Outcome(incumbent.tag, len(fresh), lot, screened.rejected, screened.notes, dry_run=dry_run)
    if lot.new < FEWEST:
        return outcome
    log.info("training on %d new labels and a replay of %d sentences", len(lot.learn), len(lot.replay))
    candidate = teach(incumbent, lot, recipe, quiet=quiet)
    decision = judge(incumbent, candidate.classifier, frozen, lot.judge)
    outcome = replace(outcome, decision=decision)
    if not decision.promote or dry_run:
        return outcome
    labels_until = max(row.stored_at for row in rows)
    return replace(outcome, promoted=_promote(incumbent, candidate, outcome, frozen, labels_until))


def _promote(
    incumbent: Checkpoint,
    candidate: Candidate,
    outcome: Outcome,
    frozen: Sequence[LabelledSentence],
    labels_until: str,
) -> str:
    """Save the candidate, put it into the registry and make it champion: its tag."""
    decision = outcome.decision
    assert decision is not None
    created = now()
    evaluations = {
        "frozen test": evaluate(frozen, candidate.classifier),
        "held-out new labels": evaluate(outcome.lot.judge, candidate.classifier),
    }
    metrics: dict[str, Any] = {
        "recipe": asdict(replace(candidate.recipe, data=(), teacher=incumbent.tag)),
        "losses": candidate.losses,
        "retraining": {
            "incumbent": incumbent.tag,
            "new_labels": outcome.lot.new,
            "learned": len(outcome.lot.learn),
            "held_out": len(outcome.lot.judge),
            "frozen_test": decision.frozen.to_json(),
            "held_out_new_labels": decision.new.to_json(),
            "reason": decision.reason(),
        },
        "history": _history(incumbent, decision),
        "evaluations": {name: evaluation.to_json() for name, evaluation in evaluations.items()},
    }
    calibration = candidate.classifier.calibration
    trained_on = [*map(dict, incumbent.trained_on), candidate.sources[0].to_json()]
    card = model_card(
        metrics["recipe"],
        trained_on,
        incumbent.base_encoder,
        calibration,
        created,
        metrics["evaluations"],
        metrics["history"],
    )
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = save_checkpoint(
            Path(folder) / "candidate",
            candidate.network,
            candidate.encoder,
            calibration,
            created=created,
            trained_on=trained_on,
            base_encoder=incumbent.base_encoder,
            metrics=metrics,
            card=card,
        )
        promotion = promote(
            str(checkpoint.path), decision.reason(), labels_until=labels_until, instead_of=incumbent.tag
        )
    return promotion.tag


def _history(incumbent: Checkpoint, decision: Decision) -> str:
    sources = ", ".join(f"{source['name']} ({source['sentences']})" for source in incumbent.trained_on)
    return (
        f"Retrained from {incumbent.tag}, whose own sources were: {sources}.\n\n- {decision.frozen}\n- {decision.new}"
    )
