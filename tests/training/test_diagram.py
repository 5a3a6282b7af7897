"""Reliability diagrams: what is drawn, and what is refused."""

import re

import pytest

from stanceframe.models.errors import ConfigError
from stanceframe.training.diagram import draw_reliability
from stanceframe.training.metrics import Bin

HEADS = {"russia": [Bin(10, 0.6, 0.5), Bin(10, 0.9, 0.8)], "desperation": [Bin(20, 0.99, 1.0)]}


def test_each_head_has_its_diagram_and_its_error(tmp_path):
    draw_reliability(HEADS, tmp_path / "heads.svg")
    drawn = (tmp_path / "heads.svg").read_text()
    assert set(re.findall(r"<!-- (\w+ \(error [\d.]+\)) -->", drawn)) == {
        "russia (error 0.100)",
        "desperation (error 0.010)",
    }


@pytest.mark.parametrize("ending", ["svg", "SVG", "png", "pdf"])
def test_the_same_numbers_give_the_same_picture(tmp_path, ending):
    for name in ("a", "b"):
        draw_reliability(HEADS, tmp_path / f"{name}.{ending}")
    assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("heads.text", r"heads\.text: its ending says how"),
        ("heads", "its ending"),
        ("no/heads.svg", "there is no folder"),
    ],
)
def test_a_place_where_nothing_can_be_drawn_is_refused(tmp_path, place, said):
    with pytest.raises(ConfigError, match=said):
        draw_reliability(HEADS, tmp_path / place)


@pytest.mark.parametrize("heads", [{}, {"russia": []}])
def test_nothing_to_draw_is_refused(tmp_path, heads):
    with pytest.raises(ConfigError, match="no decisions to draw"):
        draw_reliability(heads, tmp_path / "heads.svg")
