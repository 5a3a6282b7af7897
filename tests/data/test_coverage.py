"""The coverage table: counted by hand."""

import pytest

from stanceframe.data.corpus import parse_labelled
from stanceframe.data.coverage import coverage
from stanceframe.models.errors import InputError


def sentence(number, group, stance, holder=None, framing=(), **metadata):
    return parse_labelled(
        {
            "id": f"s{number}",
            "text": f"Sentence {number}.",
            "stance": {"russia": stance},
            "holder": {"russia": holder} if holder else {},
            "framing": list(framing),
            "document_id": group,
            "metadata": metadata,
        }
    )


@pytest.fixture
def counted():
    return coverage(
        [
            sentence(1, "a", "favor", "north_korea", ["sacred_struggle"], register="wire", year=2024, event="parade"),
            sentence(2, "a", "favor", "north_korea", register="wire", year=2024, event="parade"),
            sentence(3, "b", "neutral", register="headline", style="Russian state", year=2016, event="vote"),
            sentence(4, "c", "neutral", register="headline", year=1999),
        ]
    )


def test_a_sentence_counts_in_the_cell_of_its_stance_and_holder(counted):
    rows = counted.tables["register"]
    assert rows["russia favor (north_korea)"] == {"wire": 2}
    assert rows["russia neutral"] == {"headline": 2}
    assert rows["russia favor (author)"].total() == 0


def test_a_near_miss_lacks_the_frame_that_its_contrast_group_has(counted):
    assert counted.tables["register"]["sacred_struggle"] == {"wire": 1}
    assert counted.tables["register"]["sacred_struggle, near miss"] == {"wire": 1}
    assert counted.tables["register"]["desperation, near miss"].total() == 0


def test_years_fall_into_bands_and_what_is_not_said_is_other(counted):
    assert counted.tables["years"]["russia neutral"] == {"2010-2017": 1, "other": 1}
    assert counted.tables["style"]["russia neutral"] == {"Russian state": 1, "other": 1}


def test_the_whole_is_counted(counted):
    assert (counted.sentences, counted.contrasted, counted.events) == (4, 2, 2)
    assert counted.to_markdown().startswith("4 sentences, 2 of them in contrast groups, of 2 events.\n")
    assert "| russia favor (north_korea) | 0 | 2 | 2 |" in counted.to_markdown()


def test_thin_cells_are_those_under_the_number(counted):
    thin = list(counted.thin(2))
    assert ("years", "russia neutral", "2010-2017", 1) in thin
    assert not any(row == "russia neutral" and facet == "register" and count == 2 for facet, row, _, count in thin)
    assert ("register", "russia neutral", "wire", 0) in thin


def test_nothing_to_count_is_an_error():
    with pytest.raises(InputError, match="no labelled sentences"):
        coverage([])


def test_what_is_not_told_is_counted_as_such():
    odd = [
        parse_labelled({"id": "a", "text": "A.", "stance": {"russia": "favor"}, "framing": ["desperation"]}),
        parse_labelled({"id": "b", "text": "B.", "stance": {"russia": "neutral"}, "year": "2024", "event": ["x"]}),
    ]
    counted = coverage(odd)
    assert counted.contrasted == 0 and counted.events == 1
    assert counted.tables["years"]["russia neutral"] == {"2024-2026": 1}
    assert counted.tables["years"]["russia favor (unlabelled)"] == {"other": 1}
    assert counted.tables["years"]["desperation, near miss"].total() == 0
