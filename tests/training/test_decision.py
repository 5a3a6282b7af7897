"""The figure that decides, and the decision."""

from dataclasses import replace

import numpy as np
import pytest

from stanceframe.models.labels import Sentiment, Stance, Target
from stanceframe.models.types import LabelledSentence
from stanceframe.training.decision import Comparison, Decision, compare_paired, quality
from stanceframe.training.evaluate import gold
from stanceframe.training.metrics import UNLABELLED, Labels


def labels(stance, framing, sentiment):
    return Labels(np.array(stance), np.zeros_like(stance), np.array(framing), np.array(sentiment))


def test_quality_is_the_mean_over_the_heads_that_have_gold():
    truth = labels([[0, 1, 2], [0, 1, 2]], [[1, UNLABELLED], [0, UNLABELLED]], [UNLABELLED, UNLABELLED])
    said = labels([[0, 1, 2], [0, 1, 1]], [[1, 0], [1, 0]], [0, 1])
    stance = (1 + 4 / 5 + 2 / 3) / 3
    frame = (2 / 3 + 0) / 2
    assert quality(truth, said) == pytest.approx((stance + frame) / 2)
    assert quality(truth, truth) == 1.0


def test_without_gold_there_is_no_quality():
    nothing = labels([[UNLABELLED] * 3], [[UNLABELLED] * 2], [UNLABELLED])
    assert np.isnan(quality(nothing, labels([[0, 0, 0]], [[0, 0]], [0])))


SENTENCES = [
    LabelledSentence(f"s{i}", "Text.", stance={Target.RUSSIA: list(Stance)[i % 4]}, sentiment=list(Sentiment)[i % 3])
    for i in range(120)
]
RIGHT = replace(gold(SENTENCES), framing=np.zeros((120, 2), dtype=np.int64))


def wrong_in(part):
    stance = RIGHT.stance.copy()
    stance[: round(120 * part), 0] = (stance[: round(120 * part), 0] + 1) % 4
    return replace(RIGHT, stance=stance)


def test_a_candidate_that_says_the_same_gains_and_loses_nothing():
    same = compare_paired("toy", SENTENCES, wrong_in(0.3), wrong_in(0.3))
    assert (same.difference, same.low) == (0.0, 0.0)
    assert Decision(frozen=same, new=same).keeps_skills
    assert not Decision(frozen=same, new=same).promote


def test_the_lower_bound_is_below_the_difference_and_knows_its_sign():
    better = compare_paired("toy", SENTENCES, wrong_in(0.5), wrong_in(0.1))
    worse = compare_paired("toy", SENTENCES, wrong_in(0.1), wrong_in(0.5))
    assert 0 < better.low < better.difference
    assert worse.low < worse.difference < 0
    assert better == compare_paired("toy", SENTENCES, wrong_in(0.5), wrong_in(0.1)), "the draws are seeded"


@pytest.mark.parametrize(
    ("frozen_low", "new_low", "promoted"),
    [(-0.01, 0.001, True), (0.0, 0.2, True), (-0.0101, 0.2, False), (0.0, 0.0, False), (np.nan, 0.2, False)],
)
def test_both_bounds_must_hold(frozen_low, new_low, promoted):
    decision = Decision(
        Comparison("frozen test", 100, 0.7, 0.7, frozen_low), Comparison("held-out new labels", 50, 0.5, 0.7, new_low)
    )
    assert decision.promote is promoted


def test_the_reason_gives_the_figures():
    good = Comparison("new", 50, 0.5, 0.7, 0.123)
    lossy = Comparison("frozen", 100, 0.7, 0.68, -0.034)
    assert "12.3 points or more" in Decision(good, good).reason()
    assert "may lose 3.4 points on the frozen test, where 1 is the most allowed" in Decision(lossy, good).reason()
    assert "-3.4 points, and must be above 0" in Decision(good, lossy).reason()
