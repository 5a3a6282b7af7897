"""The gate for new labels."""

import itertools

import pytest

from stanceframe.data.checks import NearDuplicates, screen, settle, superseded
from stanceframe.models.labels import Frame, Holder, Sentiment, Stance, Target
from stanceframe.models.types import LabelledSentence

RUSSIA = Target.RUSSIA


def labelled(identity: str, text: str, russia: Stance | None = None, annotator: str | None = None, **more):
    stance = {} if russia is None else {RUSSIA: russia}
    return LabelledSentence(identity, text, stance=stance, annotator=annotator, **more)


TEN_WORDS = "one two three four five six seven eight nine ten"


def test_near_duplicates_are_those_with_nine_tenths_of_their_words_in_common():
    known = NearDuplicates([TEN_WORDS])
    assert known.has("TEN nine, eight seven six five four three two; one!")
    assert known.has(TEN_WORDS.removesuffix(" ten"))  # 9 of 10
    assert known.has(f"{TEN_WORDS} eleven")  # 10 of 11
    assert not known.has(TEN_WORDS.replace("ten", "eleven"))  # 9 of 11
    assert not known.has("")


def test_near_duplicates_agree_with_comparing_all_pairs():
    words = ["alpha", "be", "gamma", "de", "epsilon", "zeta", "it", "theta", "iota", "kappa", "lambda", "mu"]
    texts = [" ".join(words[i:j]) for i, j in itertools.combinations(range(len(words) + 1), 2)]
    for one, other in itertools.product(texts, texts[::3]):
        a, b = set(one.split()), set(other.split())
        assert NearDuplicates([other]).has(one) == (10 * len(a & b) >= 9 * len(a | b))


def test_sentences_of_the_frozen_test_are_rejected_with_the_reason():
    came = [labelled("a", TEN_WORDS.upper(), Stance.FAVOR), labelled("b", "Something else.", Stance.FAVOR)]
    checked = screen(came, NearDuplicates([TEN_WORDS]))
    assert [s.id for s in checked.kept] == ["b"]
    assert [(r.id, "frozen test" in r.reason) for r in checked.rejected] == [("a", True)]


def test_a_sentence_without_a_label_is_rejected():
    checked = screen([labelled("a", "Bare."), labelled("b", "Not bare.", framing=frozenset())], NearDuplicates([]))
    assert [s.id for s in checked.kept] == ["b"], "that no frame holds is a label"
    assert [(r.id, r.reason) for r in checked.rejected] == [("a", "it has no label")]


def test_an_id_that_stands_for_two_texts_is_rejected():
    favor = Stance.FAVOR
    came = [labelled("a", "First.", favor), labelled("a", "Second.", favor), labelled("a", "Third.", favor, "x")]
    checked = screen(came, NearDuplicates([]))
    assert [s.text for s in checked.kept] == ["First.", "Third."]
    assert "unique" in checked.rejected[0].reason


def test_duplicates_are_merged_and_counted():
    checked = screen(
        [labelled("a", "Same text.", Stance.FAVOR), labelled("b", "same text", Stance.FAVOR)], NearDuplicates([])
    )
    assert [s.id for s in checked.kept] == ["b"]
    assert checked.notes == ["1 duplicates merged"]


def test_the_last_of_an_annotators_labels_wins_and_is_reported():
    checked = screen(
        [labelled("a", "Text.", Stance.FAVOR, "x"), labelled("b", "Text.", Stance.AGAINST, "x")], NearDuplicates([])
    )
    assert [s.stance for s in checked.kept] == [{RUSSIA: Stance.AGAINST}]
    assert checked.notes == ["labelled in two ways by the same annotator, the last wins: b"]


def test_annotators_are_kept_apart_until_they_are_settled():
    votes = [labelled("a", "Text.", Stance.FAVOR, "x"), labelled("a", "Text.", Stance.AGAINST, "y")]
    assert screen(votes, NearDuplicates([])).kept == votes


def test_the_majority_decides_each_label():
    votes = [
        labelled("a", "Text.", Stance.FAVOR, "x", holder={RUSSIA: Holder.AUTHOR}, framing=frozenset()),
        labelled("a", "Text.", Stance.FAVOR, "y", holder={RUSSIA: Holder.OTHER}, framing=frozenset(Frame)),
        labelled("a", "Text.", Stance.AGAINST, "z", holder={RUSSIA: Holder.OTHER}, framing=frozenset()),
    ]
    (settled,) = settle(votes).kept
    assert settled.stance == {RUSSIA: Stance.FAVOR}
    assert settled.framing == frozenset()
    assert settled.holder == {}, "the holders of the winning stance are tied"


def test_a_tie_is_left_out_and_reported_and_the_rest_stays():
    votes = [
        labelled("a", "Text.", Stance.FAVOR, "x", sentiment=Sentiment.NEGATIVE),
        labelled("a", "Text.", Stance.AGAINST, "y", sentiment=Sentiment.NEGATIVE),
    ]
    checked = settle(votes)
    assert [(s.stance, s.sentiment) for s in checked.kept] == [({}, Sentiment.NEGATIVE)]
    assert checked.notes == ["annotators tied, and the label left out: a (stance.russia)"]


def test_a_sentence_with_nothing_but_ties_is_rejected():
    checked = settle([labelled("a", "Text.", Stance.FAVOR, "x"), labelled("a", "Text.", Stance.AGAINST, "y")])
    assert checked.kept == []
    assert [(r.id, r.reason) for r in checked.rejected] == [("a", "its annotators are tied")]


def test_a_later_label_of_the_same_annotator_takes_the_place_of_the_earlier():
    checked = settle([labelled("a", "Text.", Stance.FAVOR, "x"), labelled("b", "text", Stance.AGAINST, "x")])
    assert [s.stance for s in checked.kept] == [{RUSSIA: Stance.AGAINST}]


@pytest.mark.parametrize(("stance", "notes"), [(Stance.FAVOR, 0), (Stance.AGAINST, 1), (None, 0)])
def test_new_labels_take_the_place_of_the_corpus_and_a_contradiction_is_reported(stance, notes):
    corpus = [labelled("old", "The text.", Stance.FAVOR), labelled("other", "Another.")]
    checked = superseded([labelled("new", "the text", stance, sentiment=Sentiment.NEUTRAL)], corpus)
    assert [s.id for s in checked.kept] == ["other"]
    assert len(checked.notes) == notes
    assert all("old" in note for note in checked.notes)
