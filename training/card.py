"""The model card of a checkpoint, made from the run that made it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
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

## Where it fails

{fails}

It was made for English news about these three states, sentence by sentence: what only the article makes clear is not
seen, a bare "he said" or "the President" may be read wrongly, and other languages are labelled without any promise.

## How the labels were made

The shipped sentences were written and labelled by language models that read by the codebook, two blind readers each,
settled where they differ (see the datasheet, `data/sentences/README.md`). Our labels of real text are one reading
each by a language model, but for the development set and the corrected labels, which have more. No person has labelled
either: agreement says that the labels are consistent, not that people would agree. NewsMTSC (Hamborg and Donnay, EACL
2021) and DSE (Park, Pan and Joo, EMNLP 2021) were labelled by people, with labels of their own.

## Not for

Judging a person, an outlet or an employee without a human who reads the text; law enforcement; any decision about
an individual. A label says what one sentence conveys, read alone: not whether it is true, and not what its author
believes.
"""


UNMEASURED = "Nothing is known yet: run `stanceframe evaluate FILE --model DIR --record NAME`."
WEAK = 0.75
"""Figures under it are named among the weaknesses."""
FEWEST = 100
"""Kinds of publishers with fewer sentences are too few to be called weak."""
BEHIND = 0.08


def model_card(
    recipe: Mapping[str, Any],
    trained_on: Sequence[Mapping[str, Any]],
    base_encoder: str,
    calibration: Calibration,
    created: str,
    evaluations: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    history: str = "",
) -> str:
    """The card as Markdown.

    Args:
        recipe: `name` and `seed` at least; `teacher` says who taught, if anybody did.
        trained_on: of each source `name`, `sentences` and `share`.
        base_encoder: its name.
        calibration: whose thresholds are told.
        created: when.
        evaluations: what was measured, by the name of the set.
        history: what is to be told of how it came about, before what was measured.
    """
    thresholds = [f"| frame {frame} holds | {calibration.frame_threshold[frame]:.2f} |" for frame in Frame]
    thresholds += [
        f"| stance toward {target} is answered | {calibration.abstain_below[target]:.2f} |" for target in Target
    ]
    tables = [_measured(name, figures) for name, figures in evaluations.items()]
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
        measured="\n\n".join(filter(None, [history, *tables])) or UNMEASURED,
        fails="\n".join(f"- {weakness}" for weakness in _weaknesses(evaluations)) or UNMEASURED,
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
        evaluations,
        metrics.get("history", ""),
    )
    write_json(path / "metrics.json", metrics)
    write_text(path / "README.md", card)
    trained_on = [dict(source) for source in checkpoint.trained_on]
    return Checkpoint.seal(
        path, created=checkpoint.created, trained_on=trained_on, base_encoder=checkpoint.base_encoder
    )


def _weaknesses(evaluations: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What the figures say against a checkpoint: weak classes and families, and kinds of publishers far behind."""
    for name, figures in evaluations.items():
        values = {
            key: of["value"] for key, of in figures.items() if isinstance(of, Mapping) and of.get("value") is not None
        }
        weak = [f"{key} {value:.2f}" for key, value in values.items() if key.startswith(JUDGED) and value < WEAK]
        if weak:
            yield f"On `{name}`: {', '.join(weak)}."
        for kind, of in figures["slices"].get("publisher_kind", {}).items():
            value, whole = of[MAIN]["value"], values.get(MAIN)
            if of["n"] >= FEWEST and value is not None and whole is not None and value < whole - BEHIND:
                yield f"On `{name}`, {kind}: {MAIN} {value:.2f}, against {whole:.2f} of all."


JUDGED = ("f1_", "passed_", "macro_f1")
MAIN = "stance_macro_f1"
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
