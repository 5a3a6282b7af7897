"""The shipped checkpoint on hand-written cases: no family falls under the level that was reached.

`cases/open.jsonl` is what development looks at. `cases/closed.jsonl` has as many more and stays closed until
the end: nothing reads it, so that it can say how far the open ones were learned by heart.
"""

from pathlib import Path

import pytest

from stanceframe.models.checkpoint import SHIPPED, read_json
from stanceframe.models.classifier import StanceClassifier
from stanceframe.training.behaviour import judge_behaviour, read_cases

OPEN = Path(__file__).parent / "cases" / "open.jsonl"
LEVELS = {
    "alias": 1.0,
    "attribution": 1.0,
    "bare_act": 0.77,
    "case": 1.0,
    "coordination": 1.0,
    "defended": 0.5,
    "denial": 1.0,
    "desperation": 0.92,
    "epithets": 1.0,
    "harmless_names": 1.0,
    "hypothetical": 0.75,
    "negation": 0.76,
    "passive": 1.0,
    "quotes": 0.91,
    "relationship": 1.0,
    "sacred_struggle": 0.92,
    "sentiment": 1.0,
    "target_ablation": 0.95,
    "target_swap": 0.85,
    "whitespace": 1.0,
}


@pytest.fixture(scope="module")
def rates(shipped: StanceClassifier) -> dict[str, float]:
    return {name: value for name, (value, _, _) in judge_behaviour(list(read_cases(OPEN)), shipped).figures.items()}


@pytest.mark.parametrize("family", LEVELS)
def test_a_family_keeps_its_level(rates: dict[str, float], family: str) -> None:
    assert rates[f"passed_{family}"] >= LEVELS[family]


def test_every_family_has_a_level() -> None:
    assert {case.family for case in read_cases(OPEN)} == set(LEVELS)


def test_the_card_says_how_often_each_family_passes(rates: dict[str, float]) -> None:
    told = read_json(SHIPPED / "metrics.json")["evaluations"]["behaviour"]
    assert {name: told[name]["value"] for name in rates} == pytest.approx(rates, abs=1e-6)
