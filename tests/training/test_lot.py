"""What is learned, what judges, and what is replayed."""

import pytest

from stanceframe.data.store import Stored
from stanceframe.models.labels import Sentiment, Stance, Target
from stanceframe.models.types import LabelledSentence
from stanceframe.training.lot import HELD_OUT, gather

EARLY, LATE = "2025-01-01", "2025-02-01"
WORDS = ["alder", "birch", "cedar", "dogwood", "elm", "fir", "ginkgo", "hazel", "ivy", "juniper"]


def rows(numbers, stored_at=EARLY):
    texts = (f"{WORDS[n % 10]} {WORDS[n // 10 % 10]} {n} {n + 1000} {n + 2000}" for n in numbers)
    return [Stored(LabelledSentence(text, text, sentiment=Sentiment.NEUTRAL), stored_at) for text in texts]


def ids(sentences):
    return {sentence.id for sentence in sentences}


def test_about_the_right_part_is_held_out_and_nothing_is_lost():
    lot = gather(rows(range(1000)), None, [])
    assert lot.new == 1000
    assert len(lot.judge) == pytest.approx(1000 * HELD_OUT, rel=0.15)
    assert not ids(lot.learn) & ids(lot.judge)


def test_a_sentence_once_held_out_is_always_held_out():
    first, all_of_them = gather(rows(range(100)), None, []), gather(rows(range(300)), None, [])
    assert ids(first.judge) <= ids(all_of_them.judge)
    assert ids(first.learn) <= ids(all_of_them.learn)


def test_what_the_champion_was_given_is_replayed_but_never_what_was_held_out():
    lot = gather([*rows(range(100)), *rows(range(100, 200), LATE)], EARLY, [])
    before = gather(rows(range(100)), None, [])
    assert lot.new == 100
    assert ids(lot.replay) == ids(before.learn)
    assert not ids(before.judge) & (ids(lot.learn) | ids(lot.judge) | ids(lot.replay))


def test_a_sentence_that_is_labelled_anew_is_new():
    (old,) = rows([1])
    changed = Stored(LabelledSentence(old.sentence.id, old.sentence.text, sentiment=Sentiment.POSITIVE), LATE)
    lot = gather([old, changed], EARLY, [])
    assert [s.sentiment for s in (*lot.learn, *lot.judge)] == [Sentiment.POSITIVE]
    assert lot.replay == []


def test_the_corpus_is_replayed_less_what_is_labelled_anew():
    (new,) = rows([1])
    corpus = [
        LabelledSentence("old", new.sentence.text.upper(), sentiment=Sentiment.NEGATIVE),
        LabelledSentence("other", "Something else.", stance={Target.RUSSIA: Stance.FAVOR}),
    ]
    lot = gather([new], None, corpus)
    assert ids(lot.replay) == {"other"}
    assert any("old" in note for note in lot.notes)


def test_what_nearly_stands_among_the_held_out_is_not_learned():
    lot = gather(rows(range(50)), None, [])
    judged = lot.judge[0].text
    near = Stored(LabelledSentence("near", f"{judged} {judged}", sentiment=Sentiment.NEUTRAL), EARLY)
    again = gather([*rows(range(50)), near], None, [])
    assert "near" not in ids(again.learn)
