"""Figures against values derived by hand, and against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from stanceframe.models.labels import Frame, Stance, Target
from stanceframe.training.metrics import (
    ABSENT,
    AGAINST,
    FAVOR,
    NEUTRAL,
    UNLABELLED,
    Labels,
    Predicted,
    bootstrap_groups,
    expected_calibration_error,
    f1_by_class,
    measure,
    missing_classes,
    reliability_bins,
)

CHANCE = np.random.default_rng(0)


def labels(stance, holder=None, framing=None, sentiment=None):
    """Labels of some sentences; what is not given is unlabelled."""
    stance = np.array(stance)
    return Labels(
        stance,
        np.full_like(stance, UNLABELLED) if holder is None else np.array(holder),
        np.full((len(stance), 2), UNLABELLED) if framing is None else np.array(framing),
        np.full(len(stance), UNLABELLED) if sentiment is None else np.array(sentiment),
    )


def said(what, confidence=None, answered=None, framing=None):
    """Predictions with some labels, all of them sure and answered unless told otherwise."""
    shape = what.stance.shape
    return Predicted(
        what,
        np.ones(shape) if confidence is None else np.array(confidence),
        np.ones(shape, dtype=bool) if answered is None else np.array(answered),
        np.zeros((shape[0], 2)) if framing is None else np.array(framing),
    )


def test_f1_by_hand():
    gold = np.array([0, 0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 1, 1, 2, 2])
    assert f1_by_class(gold, predicted, 3).tolist() == [2 * 2 / (3 + 2), 2 * 1 / (2 + 2), 2 * 1 / (1 + 2)]


def test_a_class_without_gold_has_no_f1_and_one_never_predicted_has_none_to_show():
    assert np.isnan(f1_by_class(np.array([0, 0]), np.array([0, 1]), 2)[1])
    assert f1_by_class(np.array([0, 1]), np.array([0, 0]), 2)[1] == 0


def test_unlabelled_rows_count_for_nothing():
    gold, predicted = np.array([0, 1, UNLABELLED, UNLABELLED]), np.array([0, 0, 1, 0])
    assert np.array_equal(f1_by_class(gold, predicted, 2), f1_by_class(gold[:2], predicted[:2], 2))


def test_figures_are_those_of_scikit_learn():
    stance, framing, sentiment = (CHANCE.integers(-1, n, size) for n, size in ((4, (90, 3)), (2, (90, 2)), (3, 90)))
    guess = labels(*(CHANCE.integers(0, n, s) for n, s in ((4, (90, 3)), (5, (90, 3)), (2, (90, 2)), (3, 90))))
    figures = measure(labels(stance, framing=framing, sentiment=sentiment), said(guess))
    gold, mine = stance.ravel(), guess.stance.ravel()
    known, mentioned = gold != UNLABELLED, np.isin(gold, (FAVOR, AGAINST, NEUTRAL))
    assert figures["stance_macro_f1"] == pytest.approx(f1_score(gold[known], mine[known], average="macro"))
    by_class = f1_score(gold[known], mine[known], average=None)
    assert [figures[f"f1_{stance}"] for stance in Stance] == pytest.approx(by_class.tolist())
    of_mentioned = f1_score(gold[mentioned], mine[mentioned], labels=[FAVOR, AGAINST, NEUTRAL], average="macro")
    assert figures["stance_macro_f1_mentioned"] == pytest.approx(of_mentioned)
    for column, target in enumerate(Target):
        of, by = stance[:, column], guess.stance[:, column]
        there = of != UNLABELLED
        expected = f1_score(of[there], by[there], labels=[FAVOR, AGAINST], average="macro")
        assert figures[f"f_avg_{target}"] == pytest.approx(expected)
    for column, frame in enumerate(Frame):
        there = framing[:, column] != UNLABELLED
        expected = f1_score(framing[there, column], guess.framing[there, column])
        assert figures[f"f1_{frame}"] == pytest.approx(expected)
    there = sentiment != UNLABELLED
    expected = f1_score(sentiment[there], guess.sentiment[there], average="macro")
    assert figures["sentiment_macro_f1"] == pytest.approx(expected)


def test_a_class_without_gold_is_left_out_of_the_macro_and_named():
    gold = labels([[FAVOR, ABSENT, ABSENT], [FAVOR, ABSENT, UNLABELLED]], sentiment=[0, 1], framing=[[1, 0], [0, 0]])
    guess = labels([[FAVOR, AGAINST, ABSENT], [NEUTRAL, ABSENT, ABSENT]], sentiment=[0, 2], framing=[[1, 1], [0, 0]])
    figures = measure(gold, said(guess))
    assert figures["stance_macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert np.isnan(figures["f1_against"]) and np.isnan(figures["f1_neutral"])
    assert figures["sentiment_macro_f1"] == pytest.approx((1 + 0) / 2)
    assert np.isnan(figures["f1_desperation"])
    missing = missing_classes(gold)
    assert missing[:2] == ["stance.against", "stance.neutral"]
    assert {"sentiment.neutral", "framing.desperation", "holder.author", "holder.other"} <= set(missing)
    assert "framing.sacred_struggle" not in missing and "stance.favor" not in missing


def test_a_miss_as_absent_counts_against_the_mentioned():
    gold = labels([[FAVOR, AGAINST, NEUTRAL]])
    figures = measure(gold, said(labels([[FAVOR, AGAINST, ABSENT]])))
    assert figures["stance_macro_f1_mentioned"] == pytest.approx(2 / 3)
    extra = measure(labels([[FAVOR, AGAINST, ABSENT]]), said(labels([[FAVOR, AGAINST, NEUTRAL]])))
    assert extra["stance_macro_f1_mentioned"] == 1, "what gold calls absent is not looked at"
    assert extra["stance_macro_f1"] < 1


def test_the_holder_is_judged_where_gold_and_prediction_agree_on_an_evaluation():
    gold = labels(
        [[FAVOR, AGAINST, FAVOR], [FAVOR, NEUTRAL, AGAINST]],
        holder=[[0, 1, 2], [UNLABELLED, UNLABELLED, 3]],
    )
    guess = labels([[FAVOR, AGAINST, AGAINST], [FAVOR, NEUTRAL, AGAINST]], holder=[[0, 2, 2], [0, UNLABELLED, 3]])
    assert measure(gold, said(guess))["holder_accuracy"] == pytest.approx(2 / 3)
    assert np.isnan(measure(labels([[NEUTRAL] * 3]), said(guess.rows(np.array([0]))))["holder_accuracy"])


def test_answers_are_counted_on_mentioned_pairs():
    gold = labels([[FAVOR, AGAINST, ABSENT], [NEUTRAL, FAVOR, UNLABELLED]])
    guess = labels([[FAVOR, FAVOR, FAVOR], [NEUTRAL, FAVOR, FAVOR]])
    answered = [[True, True, True], [True, False, True]]
    figures = measure(gold, said(guess, answered=answered))
    assert figures["answered_share"] == pytest.approx(3 / 4)
    assert figures["answered_accuracy"] == pytest.approx(2 / 3)
    assert np.isnan(measure(gold, said(guess, answered=np.zeros((2, 3), dtype=bool)))["answered_accuracy"])


def test_calibration_error_by_hand():
    confidence = np.array([0.9, 0.6, 0.8, 0.7])
    right = np.array([True, True, False, False])
    # In order 0.6 right, 0.7 wrong, 0.8 wrong, 0.9 right; two bins hold two each.
    by_hand = (abs(0.65 - 0.5) * 2 + abs(0.85 - 0.5) * 2) / 4
    assert expected_calibration_error(reliability_bins(confidence, right, bins=2)) == pytest.approx(by_hand)
    assert expected_calibration_error(reliability_bins(confidence, right)) == pytest.approx((0.4 + 0.7 + 0.8 + 0.1) / 4)
    assert np.isnan(expected_calibration_error(reliability_bins(np.array([]), np.array([], dtype=bool))))


def test_bins_have_equal_mass():
    confidence = np.concatenate([np.full(90, 0.99), np.full(10, 0.5)])
    right = np.concatenate([np.ones(90, dtype=bool), np.zeros(10, dtype=bool)])
    assert expected_calibration_error(reliability_bins(confidence, right)) == pytest.approx(0.9 * 0.01 + 0.1 * 0.5)


def test_calibration_is_that_of_the_top_label_and_skips_the_unlabelled():
    gold = labels([[FAVOR, FAVOR, UNLABELLED]] * 2, framing=[[1, 0], [1, UNLABELLED]])
    guess = labels([[FAVOR, AGAINST, FAVOR]] * 2, framing=[[1, 0], [0, 1]])
    figures = measure(gold, said(guess, confidence=[[0.8, 0.6, 0.5]] * 2, framing=[[0.9, 0.2], [0.4, 0.9]]))
    assert figures["ece_russia"] == pytest.approx(0.2)
    assert figures["ece_north_korea"] == pytest.approx(0.6)
    assert np.isnan(figures["ece_united_states"])
    assert figures["ece_sacred_struggle"] == pytest.approx((0.1 + 0.6) / 2)
    assert figures["ece_desperation"] == pytest.approx(0.2)


def test_a_bootstrap_draws_whole_documents():
    groups = np.array([0, 1, 0, 2, 2, 2])
    draws = bootstrap_groups(groups, 200, seed=1)
    assert len(draws) == 200
    for rows in draws:
        counts = np.bincount(rows, minlength=6)
        assert counts[0] == counts[2] and counts[3] == counts[4] == counts[5]
        assert counts[0] + counts[1] + counts[3] == 3, "as many documents as there are"
    assert any(np.bincount(rows, minlength=6)[1] == 2 for rows in draws), "with replacement"


def test_a_bootstrap_is_seeded():
    groups = np.arange(20)
    one, same, other = (bootstrap_groups(groups, 5, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
