"""The model card of a checkpoint, made from the run that made it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stanceframe.models.calibration import Calibration
from stanceframe.models.checkpoint import Checkpoint, read_json, write_json, write_text
from stanceframe.models.labels import Frame, LabelSchema, Target
from stanceframe.training.evaluate import SHOWN_IN_SLICES, Evaluation

_CARD = """\
# Stanceframe checkpoint

Labels each English sentence of a news text with the stance that it conveys toward Russia, North Korea and the
United States (favor, against, neutral, absent), who holds that stance, two framings of the Russia–North Korea
alignment ("sacred struggle", "desperation") and the sentence's sentiment. Labels follow codebook {codebook}.

- Made: {created}, by the recipe `{recipe}` (seed {seed})
- Base encoder: {encoder}
- Teacher: {teacher}
- Precision of the weights: half

## Trained on

| source | sentences | share an epoch |
| --- | --- | --- |
{sources}

The sentences of the frozen test in `data/sentences/test.jsonl` were left out wherever they stood.

## Calibration

Fitted on {fitted_on}.

| decision | probability needed |
| --- | --- |
{thresholds}

## Measured

{measured}

## Not for

Judging a person, an outlet or an employee without a human who reads the text; law enforcement; any decision about
an individual. A label says what one sentence conveys, read alone: not whether it is true, and not what its author
believes. The sentences of the shipped corpus were labelled by language models that read by the codebook, not by a
person. All are English.
"""


def model_card(
    recipe: Mapping[str, Any],
    trained_on: Sequence[Mapping[str, Any]],
    base_encoder: str,
    calibration: Calibration,
    created: str,
    measured: str = "Nothing yet: run `stanceframe evaluate FILE --model DIR --record NAME`.",
) -> str:
    """The card as Markdown.

    Args:
        recipe: `name` and `seed` at least; `teacher` says who taught, if anybody did.
        trained_on: of each source `name`, `sentences` and `share`.
        base_encoder: its name.
        calibration: whose thresholds are told.
        created: when.
        measured: the part on what was measured.
    """
    thresholds = [f"| frame {frame} holds | {calibration.frame_threshold[frame]:.2f} |" for frame in Frame]
    thresholds += [
        f"| stance toward {target} is answered | {calibration.abstain_below[target]:.2f} |" for target in Target
    ]
    return _CARD.format(
        codebook=LabelSchema().version,
        created=created,
        recipe=recipe["name"],
        seed=recipe["seed"],
        encoder=base_encoder,
        teacher=recipe.get("teacher") or "none, it learned from labels alone",
        sources="\n".join(f"| {s['name']} | {s['sentences']} | {s['share']:g} |" for s in trained_on),
        fitted_on=calibration.fitted_on,
        thresholds="\n".join(thresholds),
        measured=measured,
    )


def record(path: Path, name: str, evaluation: Evaluation) -> Checkpoint:
    """Store what was measured of a checkpoint in its metrics and its card; what it answers stays the same.

    Raises:
        CheckpointError: the folder is no checkpoint, or is damaged.
    """
    checkpoint = Checkpoint.open(path)
    evaluations = {**checkpoint.metrics.get("evaluations", {}), name: evaluation.to_json()}
    metrics = {**checkpoint.metrics, "evaluations": evaluations}
    card = model_card(
        metrics["recipe"],
        checkpoint.trained_on,
        checkpoint.base_encoder,
        Calibration.from_json(read_json(path / "calibration.json")),
        checkpoint.created,
        "\n\n".join(_measured(name, figures) for name, figures in evaluations.items()),
    )
    write_json(path / "metrics.json", metrics)
    write_text(path / "README.md", card)
    trained_on = [dict(source) for source in checkpoint.trained_on]
    return Checkpoint.seal(
        path, created=checkpoint.created, trained_on=trained_on, base_encoder=checkpoint.base_encoder
    )


_INTERVAL = {
    "sentences": "95% from 1,000 resamples of documents",
    "mentions": "95% from 1,000 resamples of sentences",
    "cases": "95% by Wilson's score",
}


def _measured(name: str, figures: Mapping[str, Any]) -> str:
    """One set's figures as a table, and the main ones by kind of publisher."""
    rows = [
        f"| {figure} | {of['value']:.3f} | {of['low']:.3f} to {of['high']:.3f} |"
        for figure, of in figures.items()
        if isinstance(of, Mapping) and of.get("value") is not None
    ]
    unit = figures.get("unit", "sentences")
    lines = [f"On `{name}` ({figures['n']} {unit}; {_INTERVAL[unit]}):", ""]
    lines += ["| figure | value | 95% interval |", "| --- | --- | --- |", *rows]
    slices = figures["slices"]["publisher_kind"]
    if slices:
        lines += ["", f"| publisher kind | n | {' | '.join(SHOWN_IN_SLICES)} |"]
        lines += ["| --- " * (len(SHOWN_IN_SLICES) + 2) + "|"]
        for kind, of in slices.items():
            cells = ("–" if of[key]["value"] is None else f"{of[key]['value']:.3f}" for key in SHOWN_IN_SLICES)
            lines.append(f"| {kind} | {of['n']} | {' | '.join(cells)} |")
    return "\n".join(lines)
