"""The model card of a checkpoint, made from the run that made it."""

from collections.abc import Sequence

from stanceframe.models.calibration import Calibration
from stanceframe.models.labels import Frame, LabelSchema, Target
from stanceframe.training.config import Recipe
from stanceframe.training.lessons import Source

_CARD = """\
# Stanceframe checkpoint

Labels each English sentence of a news text with the stance that it conveys toward Russia, North Korea and the
United States (favor, against, neutral, absent), who holds that stance, two framings of the Russia–North Korea
alignment ("sacred struggle", "desperation") and the sentence's sentiment. Labels follow codebook {codebook}.

- Made: {created}, by the recipe `{recipe}` (seed {seed})
- Base encoder: {encoder}
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
    recipe: Recipe,
    sources: Sequence[Source],
    calibration: Calibration,
    created: str,
    measured: str = "Nothing yet: run `stanceframe evaluate`.",
) -> str:
    """The card as Markdown."""
    thresholds = [f"| frame {frame} holds | {calibration.frame_threshold[frame]:.2f} |" for frame in Frame]
    thresholds += [
        f"| stance toward {target} is answered | {calibration.abstain_below[target]:.2f} |" for target in Target
    ]
    return _CARD.format(
        codebook=LabelSchema().version,
        created=created,
        recipe=recipe.name,
        seed=recipe.seed,
        encoder=recipe.encoder,
        sources="\n".join(f"| {source.name} | {len(source.examples)} | {source.share:g} |" for source in sources),
        fitted_on=calibration.fitted_on,
        thresholds="\n".join(thresholds),
        measured=measured,
    )
