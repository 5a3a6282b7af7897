"""The annotation store: what is current, what was, and since when."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest

from stanceframe.data.store import AnnotationStore
from stanceframe.models.errors import StoreError
from stanceframe.models.labels import Frame, Holder, Sentiment, Stance, Target
from stanceframe.models.types import LabelledSentence

SENTENCE = LabelledSentence(
    "a1",
    "Kim praised Putin.",
    stance={Target.RUSSIA: Stance.FAVOR},
    holder={Target.RUSSIA: Holder.NORTH_KOREA},
    framing=frozenset({Frame.SACRED_STRUGGLE}),
    sentiment=Sentiment.POSITIVE,
    annotator="x",
    metadata={"desk": 3},
)


@pytest.fixture
def store(tmp_path):
    return AnnotationStore(tmp_path / "new" / "annotations.sqlite")


def test_a_store_without_a_file_is_empty_and_makes_none(store):
    assert store.current() == []
    assert store.unknown([SENTENCE]) == [SENTENCE]
    assert not store.path.exists()


def test_what_goes_in_comes_out_whole_and_in_order(store):
    other = replace(SENTENCE, id="a0", framing=None, stance={}, holder={}, annotator=None)
    assert store.add([SENTENCE, other]) == 2
    assert [row.sentence for row in store.current()] == [SENTENCE, other]


def test_the_same_id_and_annotator_replaces_what_is_current_and_keeps_the_history(store):
    changed = replace(SENTENCE, sentiment=Sentiment.NEUTRAL)
    other = replace(SENTENCE, annotator="y")
    store.add([SENTENCE])
    store.add([changed, other])
    assert [row.sentence for row in store.current()] == [changed, other]
    assert [row.sentence for row in store.history("a1")] == [SENTENCE, changed, other]


def test_the_same_labels_again_change_nothing(store):
    store.add([SENTENCE])
    before = store.current()
    assert store.unknown([SENTENCE]) == []
    assert store.add([SENTENCE]) == 0
    assert store.current() == before
    assert len(store.history("a1")) == 1


def test_since_gives_what_came_later_without_loss(store):
    times = []
    for number in range(20):
        store.add([replace(SENTENCE, id=f"b{number}")])
        times.append(store.current()[-1].stored_at)
    assert times == sorted(set(times))
    assert [row.sentence.id for row in store.current(since=times[16])] == ["b17", "b18", "b19"]


def test_times_rise_also_where_the_clock_went_back(store):
    store.add([SENTENCE])
    future = "2999-01-01T00:00:00.000000+00:00"
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("UPDATE annotations SET stored_at = ?", (future,))
    store.add([replace(SENTENCE, id="a2")])
    assert [row.sentence.id for row in store.current(since=future)] == ["a2"]


def test_a_call_that_fails_stores_nothing(store):
    def broken():
        yield SENTENCE
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.add(broken())
    assert store.current() == []


def test_several_writers_may_be_at_work_at_once(store):
    def write(numbers):
        for number in numbers:
            AnnotationStore(store.path).add([replace(SENTENCE, id=f"c{number}")])

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, [range(i, 60, 3) for i in range(3)]))
    rows = store.current()
    assert {row.sentence.id for row in rows} == {f"c{number}" for number in range(60)}
    assert len({row.stored_at for row in rows}) == 60


def test_a_file_of_another_kind_is_refused_by_name(store):
    store.path.parent.mkdir()
    store.path.write_text("no database" * 100)
    with pytest.raises(StoreError, match=r"annotations\.sqlite: the annotation store cannot be used"):
        store.add([SENTENCE])


def test_a_newer_store_is_refused(store):
    store.add([SENTENCE])
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer stanceframe"):
        store.current()
