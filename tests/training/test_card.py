"""The model card says what is weak, by the figures."""

import pytest

from stanceframe.models.calibration import Calibration
from stanceframe.training.card import UNMEASURED, model_card


def figure(value):
    return {"value": value, "low": value, "high": value}


def card(**evaluations):
    return model_card({"name": "toy", "seed": 0}, [], "tiny", Calibration(), "today", evaluations)


@pytest.fixture
def dev():
    kinds = {"agency": (150, 0.70), "paper": (150, 0.75), "leaflet": (99, 0.1)}
    slices = {kind: {"n": n, **{f: figure(value) for f in FIGURES}} for kind, (n, value) in kinds.items()}
    return {
        "n": 400,
        "stance_macro_f1": figure(0.8),
        "f1_favor": figure(0.6),
        "f1_neutral": figure(0.9),
        "ece_russia": figure(0.01),
        "f1_desperation": figure(None),
        "slices": {"publisher_kind": slices},
    }


FIGURES = (
    "stance_macro_f1",
    "stance_macro_f1_mentioned",
    "f1_sacred_struggle",
    "f1_desperation",
    "holder_accuracy",
    "sentiment_macro_f1",
)


def test_weak_figures_and_kinds_far_behind_are_named(dev):
    fails = card(dev=dev).partition("## Where it fails")[2].partition("\n## ")[0]
    assert [line for line in fails.splitlines() if line.startswith("- ")] == [
        "- On `dev`: f1_favor 0.60.",
        "- On `dev`, agency: stance_macro_f1 0.70, against 0.80 of all.",
    ]


def test_a_checkpoint_of_which_nothing_was_measured_says_so():
    assert card().count(UNMEASURED) == 2


def test_cases_are_told_with_their_own_unit_and_interval():
    told = card(behaviour={"n": 9, "unit": "cases", "passed_negation": figure(0.5), "slices": {"publisher_kind": {}}})
    assert "On `behaviour` (9 cases; 95% by Wilson's score):" in told
    assert "- On `behaviour`: passed_negation 0.50." in told


def test_who_taught_is_told():
    assert "- Teacher: none" in card()
    taught = model_card({"name": "toy", "seed": 0, "teacher": "big:1"}, [], "tiny", Calibration(), "today")
    assert "- Teacher: big:1" in taught
