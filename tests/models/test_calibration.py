"""Temperatures and Platt scaling: that known parameters are found again, and kept whole in JSON."""

import json
from dataclasses import replace

import numpy as np
import pytest

from stanceframe.models.calibration import Calibration, Platt, fit_platt, fit_temperature, sigmoid, softmax
from stanceframe.models.errors import CheckpointError
from stanceframe.models.labels import Frame, Target

CALIBRATION = Calibration(
    stance={Target.RUSSIA: 1.5, Target.NORTH_KOREA: 0.5, Target.UNITED_STATES: 4.0},
    framing={Frame.SACRED_STRUGGLE: Platt(0.7, -1.25), Frame.DESPERATION: Platt(1.1, 0.3)},
    sentiment=0.9,
    frame_threshold={Frame.SACRED_STRUGGLE: 0.41, Frame.DESPERATION: 0.37},
    abstain_below={Target.RUSSIA: 0.5, Target.NORTH_KOREA: 0.6, Target.UNITED_STATES: 0.7},
    fitted_on="1,000 sentences",
)


def test_softmax_and_sigmoid_by_hand():
    assert softmax(np.log([[1.0, 3.0], [2.0, 2.0]])) == pytest.approx(np.array([[0.25, 0.75], [0.5, 0.5]]))
    assert sigmoid(np.log(np.array([1.0, 3.0, 1 / 3]))) == pytest.approx(np.array([0.5, 0.75, 0.25]))


def test_huge_logits_are_still_probabilities():
    assert softmax(np.array([1e6, 0.0, -1e6])).tolist() == [1.0, 0.0, 0.0]
    assert sigmoid(np.array([-1e6, 1e6])) == pytest.approx([0.0, 1.0])


def test_a_temperature_changes_no_most_probable_label():
    logits = np.random.default_rng(0).normal(size=(100, 4))
    for temperature in (0.25, 5.0):
        assert (softmax(logits / temperature).argmax(-1) == logits.argmax(-1)).all()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_recovered(temperature):
    chance = np.random.default_rng(1)
    logits = chance.normal(scale=2.0, size=(20_000, 4)) * temperature
    gold = (softmax(logits / temperature).cumsum(-1) < chance.random((20_000, 1))).sum(-1).clip(max=3)
    assert fit_temperature(logits, gold) == pytest.approx(temperature, rel=0.05)


def test_a_temperature_stays_within_its_bounds():
    logits = np.array([[4.0, 0.0], [0.0, 4.0]] * 50)
    right = np.array([0, 1] * 50)
    assert fit_temperature(logits, right) == pytest.approx(0.25, rel=0.01)
    assert fit_temperature(logits, 1 - right) == pytest.approx(5.0, rel=0.01)


@pytest.mark.parametrize("platt", [Platt(1.0, 0.0), Platt(0.5, -1.0), Platt(2.0, 1.5)])
def test_known_platt_parameters_are_recovered(platt):
    chance = np.random.default_rng(2)
    logits = chance.normal(scale=2.0, size=20_000)
    gold = chance.random(20_000) < platt.probability(logits)
    found = fit_platt(logits, gold)
    assert (found.slope, found.intercept) == (
        pytest.approx(platt.slope, abs=0.1),
        pytest.approx(platt.intercept, abs=0.1),
    )


def test_a_frame_that_never_holds_gives_no_runaway_parameters():
    found = fit_platt(np.linspace(-3, 3, 50), np.zeros(50, dtype=bool))
    assert found.slope >= 0.1
    assert -10 <= found.intercept < 0


def test_another_target_gets_the_mean_temperature():
    assert CALIBRATION.other_target == pytest.approx(2.0)


@pytest.mark.parametrize("calibration", [Calibration(), CALIBRATION])
def test_json_keeps_everything(calibration):
    assert Calibration.from_json(json.loads(json.dumps(calibration.to_json()))) == calibration


@pytest.mark.parametrize("part", ["temperature", "framing", "frame_threshold", "abstain_below", "fitted_on"])
def test_a_missing_part_is_refused(part):
    stored = CALIBRATION.to_json()
    del stored[part]
    with pytest.raises(CheckpointError, match=rf"calibration\.json is damaged: .*{part}"):
        Calibration.from_json(stored)


def test_what_is_no_number_is_refused():
    stored = replace(CALIBRATION, sentiment="warm").to_json()
    with pytest.raises(CheckpointError, match="warm"):
        Calibration.from_json(stored)
