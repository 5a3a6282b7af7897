"""The calibration, on simulated scores whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from stanceframe.data.examples import Example, TargetLabels
from stanceframe.models.calibration import Calibration, softmax
from stanceframe.models.classifier import Scores
from stanceframe.models.labels import TARGETS, Frame, Sentiment, Stance, Target
from stanceframe.models.types import Mention
from stanceframe.training.calibrate import FEWEST, calibrate, controlled_threshold


def simulated(count, sharpness=1.0, seed=0):
    """Examples whose labels follow the scores' probabilities, the scores' logits then multiplied by `sharpness`."""
    chance = np.random.default_rng(seed)

    def draw(shape):
        logits = chance.normal(0, 2, shape)
        return logits, (chance.random(shape[:-1])[..., None] > softmax(logits).cumsum(-1)).sum(-1).clip(
            0, shape[-1] - 1
        )

    stance_logits, stances = draw((count, 3, 4))
    tone_logits, tones = draw((count, 3))
    frame_logits = chance.normal(0, 2, (count, 2))
    holds = chance.random((count, 2)) < 1 / (1 + np.exp(-frame_logits))
    examples = [
        Example(
            id=str(i),
            text="",
            targets=[TargetLabels(Mention(TARGETS[t]), list(Stance)[stances[i, c]]) for c, t in enumerate(Target)],
            framing=frozenset(frame for c, frame in enumerate(Frame) if holds[i, c]),
            sentiment=list(Sentiment)[tones[i]],
        )
        for i in range(count)
    ]
    scores = [
        Scores(
            stance=softmax(sharpness * stance_logits[i]),
            holder=np.full((3, 5), 0.2),
            framing=1 / (1 + np.exp(-sharpness * frame_logits[i])),
            sentiment=softmax(sharpness * tone_logits[i]),
            truncated=False,
        )
        for i in range(count)
    ]
    return examples, scores


def bare(example):
    """The same example without any label."""
    targets = [replace(labels, stance=None) for labels in example.targets]
    return replace(example, targets=targets, framing=None, sentiment=None)


def test_answers_over_the_threshold_err_in_at_most_a_tenth_with_ninety_percent_certainty():
    # An answer of confidence c is right with probability c: answers from t up err in (1 - t) / 2, so t must be 0.8.
    chance = np.random.default_rng(0)
    thresholds = []
    for _ in range(400):
        confidence = chance.uniform(0.25, 1.0, 1000)
        thresholds.append(controlled_threshold(confidence, chance.random(1000) < confidence))
    too_low = np.mean(np.array(thresholds) < 0.8 - 1e-9)
    assert 0 < too_low <= 0.10 + 3 * np.sqrt(0.1 * 0.9 / 400)
    assert np.median(thresholds) < 0.95, "and it still answers"


def test_the_extremes_of_the_threshold():
    confidence = np.linspace(0.3, 0.98, 500)
    assert controlled_threshold(confidence, np.ones(500, dtype=bool)) == 0.25
    assert controlled_threshold(confidence, np.zeros(500, dtype=bool)) == 1.0
    assert controlled_threshold(confidence[: FEWEST - 1], np.ones(FEWEST - 1, dtype=bool)) == 1.0


def test_two_errors_among_the_surest_do_not_silence_the_rest():
    confidence = np.linspace(0.5, 1.0, 1000)
    right = np.ones(1000, dtype=bool)
    right[-2:] = False
    assert controlled_threshold(confidence, right) == 0.25


def test_the_threshold_is_not_lowered_past_a_failure():
    # Sure answers are wrong, unsure ones right: the strictest threshold that can be tested fails, so none is given.
    confidence = np.concatenate([np.full(100, 0.95), np.full(5000, 0.5)])
    assert controlled_threshold(confidence, confidence < 0.9) == 1.0


@pytest.mark.parametrize("sharpness", [0.6, 1.0, 2.0])
def test_temperatures_undo_what_sharpened_the_scores(sharpness):
    examples, scores = simulated(2000, sharpness)
    calibration = calibrate(examples, scores, "a simulation")
    assert [calibration.stance[target] for target in Target] == pytest.approx([sharpness] * 3, rel=0.12)
    assert calibration.sentiment == pytest.approx(sharpness, rel=0.12)
    assert [calibration.framing[frame].slope for frame in Frame] == pytest.approx([1 / sharpness] * 2, rel=0.15)
    assert calibration.fitted_on == "a simulation"


def test_an_offset_of_a_frame_is_mended():
    examples, scores = simulated(2000)
    shifted = [
        replace(score, framing=1 / (1 + np.exp(-np.log(score.framing / (1 - score.framing)) - 1.5))) for score in scores
    ]
    platt = calibrate(examples, shifted, "").framing[Frame.DESPERATION]
    assert platt.probability(np.array([1.5]))[0] == pytest.approx(0.5, abs=0.06)


def test_a_frames_threshold_gives_about_the_best_f1():
    examples, scores = simulated(2000)
    calibration = calibrate(examples, scores, "")
    for column, frame in enumerate(Frame):
        holds = np.array([frame in example.framing for example in examples])
        logits = np.array([np.log(score.framing[column] / (1 - score.framing[column])) for score in scores])
        probability = calibration.framing[frame].probability(logits)

        def f1(threshold, probability=probability, holds=holds):
            said = probability >= threshold
            return 2 * (said & holds).sum() / (said.sum() + holds.sum())

        best = max(f1(threshold) for threshold in np.linspace(0.05, 0.95, 91))
        assert f1(calibration.frame_threshold[frame]) > best - 0.01
        assert calibration.frame_threshold[frame] < 0.5, "the best F1 lies under one half"


def test_a_frame_that_is_told_apart_with_room_to_spare_gets_the_middle():
    examples, scores = simulated(200)
    sure = [
        replace(score, framing=np.array([0.999 if frame in example.framing else 0.001 for frame in Frame]))
        for example, score in zip(examples, scores, strict=True)
    ]
    assert calibrate(examples, sure, "").frame_threshold[Frame.DESPERATION] == pytest.approx(0.5, abs=0.02)


def test_unlabelled_examples_change_nothing():
    examples, scores = simulated(300)
    more, theirs = simulated(200, sharpness=5.0, seed=1)
    fitted = calibrate(examples, scores, "")
    assert calibrate([*examples, *map(bare, more)], [*scores, *theirs], "") == fitted
    assert fitted != Calibration(fitted_on="")


def test_a_head_with_few_labels_is_left_as_it_is():
    examples, scores = simulated(300, sharpness=3.0)
    few = [*examples[: FEWEST - 1], *map(bare, examples[FEWEST - 1 :])]
    assert calibrate(few, scores, "few") == Calibration(fitted_on="few")
    assert calibrate([], [], "nothing") == Calibration()


def test_a_target_that_is_seldom_mentioned_is_never_abstained_on():
    examples, scores = simulated(300)
    for example in examples:
        example.targets[0] = replace(example.targets[0], stance=Stance.ABSENT)
    calibration = calibrate(examples, scores, "")
    assert calibration.abstain_below[Target.RUSSIA] == 0.0
    assert calibration.abstain_below[Target.NORTH_KOREA] > 0.25
