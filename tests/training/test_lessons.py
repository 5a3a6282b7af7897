"""What a run may learn from, and what it draws of that in an epoch."""

import json
import logging
from collections import Counter
from dataclasses import replace

import pytest

from stanceframe.data.apart import read_labels
from stanceframe.data.corpus import read_labelled, write_labelled
from stanceframe.data.examples import from_labelled
from stanceframe.data.variants import swap
from stanceframe.models.checkpoint import sha256
from stanceframe.models.errors import ConfigError, InputError
from stanceframe.models.labels import Holder, Sentiment, Stance, Target
from stanceframe.training.config import RECIPES, DataSource, read_recipe
from stanceframe.training.lessons import FROZEN_TEST, Source, apart, drawing, read_sentences, read_sources


@pytest.fixture(scope="module")
def frozen():
    """A sentence of the frozen test, long enough to be changed in a word."""
    return max(read_labelled(FROZEN_TEST), key=lambda sentence: len(sentence.text.split()))


def source(toy, share, name="toy"):
    return Source(name, "stanceframe", share, "0", [from_labelled(sentence) for sentence in toy])


def test_of_the_frozen_test_there_are_no_variants_either(frozen, tmp_path):
    named = replace(frozen, id="named", text="Russia thanked North Korea .")
    frozen_named = next(s for s in read_labelled(FROZEN_TEST) if swap(s.text) is not None)
    write_labelled(tmp_path / "leaky.jsonl", [frozen_named, named])
    source = DataSource(str(tmp_path / "leaky.jsonl"), taught=True, swapped=True)
    assert [s.text for s in read_sentences(source)] == [swap(named.text)]


def test_sentences_of_the_frozen_test_are_dropped_wherever_they_stand(recipe, toy, frozen, tmp_path):
    loud = replace(frozen, id="loud", text=frozen.text.upper().replace(" ", "  "))
    nearly = replace(frozen, id="nearly", text=frozen.text + " Indeed.")
    write_labelled(tmp_path / "leaky.jsonl", [frozen, toy[0], loud, nearly])
    read = read_sources(recipe, [tmp_path / "leaky.jsonl"])
    assert [example.id for example in read[1].examples] == [toy[0].id]
    assert len(read[0].examples) == len(toy)


def test_a_source_says_what_it_was(recipe, toy, toy_file):
    marked = replace(recipe, data=(replace(recipe.data[0], share=2.5, calibrates=True),))
    (read,) = read_sources(marked)
    assert read.calibrates
    assert read.to_json() == {
        "name": str(toy_file),
        "sentences": len(toy),
        "share": 2.5,
        "sha256": sha256(toy_file),
    }


def test_a_file_that_the_recipe_has_already_is_not_read_twice(recipe, toy_file):
    marked = replace(recipe, data=(replace(recipe.data[0], share=0.5),))
    (read,) = read_sources(marked, [toy_file.parent / ".." / toy_file.parent.name / toy_file.name])
    assert read.share == 0.5


def test_an_optional_source_that_is_not_there_is_left_out_with_one_line(recipe, tmp_path, caplog):
    absent = DataSource(str(tmp_path / "absent.jsonl"), optional=True)
    with caplog.at_level(logging.INFO):
        read = read_sources(replace(recipe, data=(absent, *recipe.data)))
    assert len(read) == 1
    assert [record.getMessage() for record in caplog.records] == [f"{absent.path} is not there: left out"]


def test_a_source_that_is_needed_and_not_there_is_an_error(recipe, tmp_path):
    absent = DataSource(str(tmp_path / "absent.jsonl"))
    with pytest.raises(ConfigError, match=r"absent\.jsonl: no such file, and the recipe needs it"):
        read_sources(replace(recipe, data=(absent,)))


def test_nothing_to_learn_from_is_an_error(recipe, tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(ConfigError, match="name a file with --data"):
        read_sources(replace(recipe, data=(DataSource(str(tmp_path / "empty.jsonl")),)))


def test_a_line_that_cannot_be_read_is_named(recipe, tmp_path):
    (tmp_path / "bad.jsonl").write_text('{"text": "Fine."}\n{"text": "Not.", "sentiment": "sad"}\n')
    with pytest.raises(InputError, match=r"bad\.jsonl:2: sentiment"):
        read_sources(recipe, [tmp_path / "bad.jsonl"])


def test_a_share_of_two_and_a_half_draws_each_example_twice_and_half_of_them_once_more(toy):
    draw = drawing([source(toy, 2.5)], seed=0)
    for epoch in range(3):
        counts = Counter(lesson.example.id for lesson in draw(epoch))
        assert sorted(counts.values()) == [2] * (len(toy) - len(toy) // 2) + [3] * (len(toy) // 2)


def test_a_share_under_one_draws_other_examples_in_each_epoch_and_with_each_seed(toy):
    def ids(seed, epoch):
        return [lesson.example.id for lesson in drawing([source(toy, 0.25)], seed)(epoch)]

    assert len(set(ids(0, 0))) == round(0.25 * len(toy))
    assert ids(0, 0) == ids(0, 0)
    assert set(ids(0, 0)) != set(ids(0, 1))
    assert set(ids(0, 0)) != set(ids(1, 0))


def test_sources_do_not_draw_alike(toy):
    lessons = drawing([source(toy, 0.5), source(toy, 0.5)], seed=0)(0)
    half = len(lessons) // 2
    assert {x.example.id for x in lessons[:half]} != {x.example.id for x in lessons[half:]}


def test_without_leaves_no_sentence_of_a_document_and_no_copy_of_a_text(toy):
    copy = replace(toy[0], id="copy", document_id="elsewhere", text=toy[0].text.upper())
    rest = source([*toy, copy], 1.0).without([from_labelled(toy[0])])
    gone = {sentence.id for sentence in toy if sentence.document_id == toy[0].document_id} | {"copy"}
    assert {example.id for example in rest.examples} == {sentence.id for sentence in toy} - gone


def kept_apart(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


def test_labels_kept_apart_go_before_the_files_own(recipe, toy, toy_file, tmp_path):
    first, second = toy[0], toy[1]
    labels = kept_apart(
        tmp_path / "labels.jsonl",
        {"id": first.id, "stance": {"russia": "against"}, "holder": {"russia": "other"}, "framing": []},
        {"id": "of no sentence", "sentiment": "positive"},
    )
    (read,) = read_sources(replace(recipe, data=(replace(recipe.data[0], labels=labels),)))
    now = read.examples[0]
    assert (now.targets[0].stance, now.targets[0].holder) == (Stance.AGAINST, Holder.OTHER)
    assert now.framing == frozenset()
    assert now.sentiment == first.sentiment
    assert read.examples[1] == from_labelled(second)
    assert read.to_json()["sha256"] == f"{sha256(toy_file)}+{sha256(tmp_path / 'labels.jsonl')}"


def test_only_the_labelled_sentences_of_a_source_are_learned_from(recipe, toy, tmp_path):
    bare = [replace(s, stance={}, holder={}, framing=None, sentiment=None) for s in toy[:3]]
    write_labelled(tmp_path / "bare.jsonl", bare)
    labels = kept_apart(tmp_path / "labels.jsonl", {"id": bare[1].id, "sentiment": "negative"})
    source = DataSource(str(tmp_path / "bare.jsonl"), labels=labels)
    (read,) = read_sources(replace(recipe, data=(source,)))
    assert [(e.id, e.sentiment) for e in read.examples] == [(bare[1].id, Sentiment.NEGATIVE)]


def test_a_sentence_known_only_by_publisher_and_date_is_left_out_with_its_document(toy):
    judged = from_labelled(replace(toy[0], publisher="KCNA", date="2024-06-19", document_id="kcna.kp/article"))
    bare = replace(toy[1], publisher="KCNA", document_id=None)
    dated = from_labelled(replace(bare, id="dated", date="2024-06-19"))
    other = from_labelled(replace(bare, id="other", date="2024-06-20", text="Another sentence."))
    rest = Source("pool", "stanceframe", 1.0, "0", [dated, other]).without([judged])
    assert [example.id for example in rest.examples] == ["other"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"sentiment": "positive"}', "need the id"),
        ('{"id": "a", "text": "Moscow spoke."}', "carry no text"),
        ('{"id": "a", "sentiment": "glad"}', "'glad' is none of"),
        ('{"id": "b", "sentiment": "positive"}', "came before"),
    ],
)
def test_wrong_labels_kept_apart_are_named_by_their_line(tmp_path, line, said):
    path = tmp_path / "labels.jsonl"
    path.write_text('{"id": "b", "framing": []}\n' + line + "\n")
    with pytest.raises(InputError, match=said) as raised:
        read_labels(path)
    assert str(raised.value).startswith(f"{path}:2: ")


def test_a_sentence_with_a_document_is_left_out_where_the_judged_one_knows_only_its_issue(toy):
    judged = from_labelled(replace(toy[0], publisher="KCNA", date="2024-06-19", document_id=None))
    same = from_labelled(replace(toy[1], id="same", publisher="KCNA", date="2024-06-19", document_id="kcna.kp/1"))
    other = from_labelled(replace(toy[2], id="other", publisher="KCNA", date="2024-06-20", document_id="kcna.kp/2"))
    assert apart([judged], [same, other]) == [False, True]


def test_documents_of_one_issue_are_apart_where_both_are_known(toy):
    one, two = (
        from_labelled(replace(s, publisher="KCNA", date="2024-06-19", document_id=f"kcna.kp/{i}"))
        for i, s in enumerate(toy[:2])
    )
    assert apart([one], [two]) == [True]


def test_a_holder_kept_apart_fits_the_stance_that_it_meets(recipe, toy, toy_file, tmp_path):
    neutral = next(s for s in toy if s.stance[Target.RUSSIA] is Stance.ABSENT)
    labels = kept_apart(tmp_path / "labels.jsonl", {"id": neutral.id, "holder": {"russia": "author"}})
    with pytest.raises(InputError, match=f"labels kept apart of {neutral.id}: holder.russia: nobody holds absent"):
        read_sources(replace(recipe, data=(replace(recipe.data[0], labels=labels),)))


def test_labels_kept_apart_that_meet_no_sentence_are_told(recipe, tmp_path, caplog):
    labels = kept_apart(tmp_path / "labels.jsonl", {"id": "nowhere", "sentiment": "negative"})
    read_sources(replace(recipe, data=(replace(recipe.data[0], labels=labels),)))
    assert "1 of 1 labels kept apart have no sentence here, such as nowhere" in caplog.text


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_labels_that_a_shipped_recipe_names_are_installed_with_it(path):
    files = [source.labels_file for source in read_recipe(path.stem).data if source.labels_file]
    assert all(read_labels(file) for file in files)
    assert files or path.stem == "retrain"


def test_a_file_that_is_named_and_has_no_label_is_an_error(recipe, toy, tmp_path):
    write_labelled(tmp_path / "bare.jsonl", [replace(toy[0], stance={}, holder={}, framing=None, sentiment=None)])
    with pytest.raises(InputError, match="none of its sentences has a label"):
        read_sources(recipe, [tmp_path / "bare.jsonl"])
