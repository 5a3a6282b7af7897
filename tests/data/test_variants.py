"""Sentences in which states change places."""

import re
from dataclasses import replace

import pytest

from stanceframe.data.corpus import SHIPPED, read_labelled
from stanceframe.data.variants import swap, swapped
from stanceframe.models.encoding import find_mentions
from stanceframe.models.labels import TARGETS


@pytest.fixture(scope="module")
def shipped():
    return list(read_labelled(SHIPPED / "train.jsonl"))


def variants(pattern):
    """Variants of a sentence whose number changes, until each number had its chance."""
    return {re.sub(r" \d+$", "", swap(f"{pattern} {number}")) for number in range(200)}


def test_what_is_said_stays_and_the_names_change():
    assert variants("Ukraine thanked Russia") >= {
        "Russia thanked Ukraine",
        "North Korea thanked the United States",
        "America thanked Russia",
    }


def test_a_variant_is_never_the_sentence_and_names_a_target(shipped):
    changed = [(sentence.text, swap(sentence.text)) for sentence in shipped]
    assert sum(variant is not None for _, variant in changed) > 0.8 * len(changed)
    for text, variant in changed:
        assert variant != text
        assert variant is None or any(find_mentions(variant, target) for target in TARGETS.values())


def test_the_same_text_always_gives_the_same_variant(shipped):
    assert [swap(s.text) for s in shipped[:50]] == [swap(s.text) for s in shipped[:50]]


def test_a_state_becomes_the_same_state_all_through():
    for variant in variants("Ukrainian and Russian, Russian and Ukrainian"):
        first, second, third, fourth = re.split(" and |, ", variant)
        assert (first, second) == (fourth, third)
        assert first != second


@pytest.mark.parametrize(
    ("text", "variant"),
    [
        ("He left Moscow", "He left Pyongyang"),
        ("He left the Kremlin", "He left Pyongyang"),
        ("The Kremlin denied it", "The White House denied it"),
        ("Russia denied it", "The United States denied it"),
        ("They met Russian pilots", "They met American pilots"),
        ("They met a Russian pilot", "They met an American pilot"),
        ("They met the Russian pilot", "They met the North Korean pilot"),
        ("They met US pilots", "They met North Korean pilots"),
        ("They met the US pilots", "They met the North Korean pilots"),
        ("They told the US and left", "They told Russia and left"),
        ("They told the U.S. about it", "They told North Korea about it"),
        ("The Biden camp denied it", "The Putin camp denied it"),
        ("An anti-American crowd", "An anti-Russian crowd"),
        ("An anti-Russia crowd", "An anti-United States crowd"),
        ("They are Russians", "They are Americans"),
    ],
)
def test_names_change_by_part_of_speech(text, variant):
    assert variant in variants(text)


@pytest.mark.parametrize("text", ["It rained.", "", "The Washington Post said so.", "Latin American states met."])
def test_a_sentence_that_names_no_state_has_no_variant(text):
    assert swap(text) is None


def test_a_variant_keeps_its_document_and_no_label(shipped):
    first = replace(shipped[0], text="Russia thanked Ukraine.", document_id="doc", publisher_kind="press")
    (variant,) = swapped([first, replace(first, text="It rained.")])
    assert variant.text == swap(first.text)
    assert (variant.document, variant.publisher_kind, variant.is_labelled) == ("doc", "press", False)
    assert variant.id != first.id
    (alone,) = swapped([replace(first, document_id=None, publisher=None)])
    assert alone.document == first.id
