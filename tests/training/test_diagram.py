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


def test_the_same_numbers_give_the_same_picture(tmp_path):
    for name in ("a.svg", "b.svg"):
        draw_reliability(HEADS, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_an_ending_of_no_format_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"heads\.text"):
        draw_reliability(HEADS, tmp_path / "heads.text")


def test_nothing_to_draw_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no decisions to draw"):
        draw_reliability({}, tmp_path / "heads.svg")
