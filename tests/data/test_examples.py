"""Other people's sets, and ours, as examples to learn from."""

import json

import pytest

from stanceframe.data.corpus import SHIPPED, write_labelled
from stanceframe.data.examples import (
    READERS,
    Example,
    TargetLabels,
    from_labelled,
    read_dse,
    read_newsmtsc,
    read_stanceframe,
)
from stanceframe.models.errors import InputError
from stanceframe.models.labels import TARGETS, Frame, Holder, Sentiment, Stance, Target, TargetText
from stanceframe.models.types import LabelledSentence, Mention

SENTENCE = LabelledSentence(
    "a1",
    "Kim praised Putin.",
    {Target.NORTH_KOREA: Stance.NEUTRAL, Target.RUSSIA: Stance.FAVOR},
    {Target.RUSSIA: Holder.NORTH_KOREA},
    frozenset({Frame.SACRED_STRUGGLE}),
    Sentiment.POSITIVE,
    "d1",
)


def write(path, *lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def marked(example, number=0):
    """The text at a target's span."""
    start, end = example.targets[number].mention.span
    return example.text[start:end]


# Ours ---------------------------------------------------------------------------------------------------------


def test_a_labelled_sentence_asks_for_the_three_targets_in_their_order():
    assert from_labelled(SENTENCE) == Example(
        id="a1",
        text="Kim praised Putin.",
        targets=[
            TargetLabels(Mention(TARGETS[Target.RUSSIA]), Stance.FAVOR, Holder.NORTH_KOREA),
            TargetLabels(Mention(TARGETS[Target.NORTH_KOREA]), Stance.NEUTRAL),
            TargetLabels(Mention(TARGETS[Target.UNITED_STATES])),
        ],
        framing=frozenset({Frame.SACRED_STRUGGLE}),
        sentiment=Sentiment.POSITIVE,
        document_id="d1",
    )


def test_a_sentence_without_a_document_is_one_of_its_own(tmp_path):
    path = tmp_path / "labels.jsonl"
    write_labelled(path, [LabelledSentence("a", "One."), LabelledSentence("b", "Two.", document_id="d")])
    assert [example.document_id for example in read_stanceframe(path)] == ["a", "d"]


def test_there_is_a_reader_for_every_format():
    assert {"stanceframe", "newsmtsc", "dse"} <= set(READERS)


# NewsMTSC -----------------------------------------------------------------------------------------------------

FLAT = {"sentence": "Smith hailed Mr. Jones.", "mention": "Mr. Jones", "from": 13, "to": 22, "polarity": 1}
RELEASED = {
    "primary_gid": "allsides_1_a",
    "sentence_normalized": "Smith hailed Jones.",
    "targets": [
        {"Input.gid": "x", "from": 0, "to": 5, "mention": "Smith", "polarity": 4.0},
        {"Input.gid": "y", "from": 13, "to": 18, "mention": "Jones", "polarity": 6.0, "further_mentions": []},
    ],
}


def test_the_flat_form_has_one_mention_with_its_span(tmp_path):
    path = write(tmp_path / "test.jsonl", json.dumps(FLAT), json.dumps({**FLAT, "polarity": -1}))
    first, second = read_newsmtsc(path)
    assert first == Example(
        id="test-1",
        text="Smith hailed Mr. Jones.",
        targets=[TargetLabels(Mention(TargetText("Mr. Jones"), (13, 22)), Stance.FAVOR)],
        document_id="test-1",
    )
    assert marked(first) == "Mr. Jones"
    assert (second.id, second.targets[0].stance) == ("test-2", Stance.AGAINST)


def test_the_release_has_every_target_of_a_sentence(tmp_path):
    (example,) = read_newsmtsc(write(tmp_path / "train.jsonl", json.dumps(RELEASED)))
    assert (example.id, example.document_id, example.text) == ("allsides_1_a", "allsides_1_a", "Smith hailed Jones.")
    assert [labels.stance for labels in example.targets] == [Stance.NEUTRAL, Stance.FAVOR]
    assert [marked(example, number) for number in range(2)] == ["Smith", "Jones"]
    assert (example.framing, example.sentiment) == (None, None)


@pytest.mark.parametrize(
    ("polarity", "stance"),
    [
        (-1, "against"),
        (0, "neutral"),
        (1, "favor"),
        (2.0, "against"),
        (4.0, "neutral"),
        (6.0, "favor"),
        ("6.0", None),
        (3, None),
    ],
)
def test_polarities(tmp_path, polarity, stance):
    path = write(tmp_path / "test.jsonl", json.dumps({**FLAT, "polarity": polarity}))
    if stance is None:
        with pytest.raises(InputError, match=rf"^{path}:1: no NewsMTSC line"):
            list(read_newsmtsc(path))
    else:
        (example,) = read_newsmtsc(path)
        assert example.targets[0].stance == stance


@pytest.mark.parametrize(
    "value",
    [
        *({key: FLAT[key] for key in FLAT if key != gone} for gone in FLAT),
        {**FLAT, "to": 21},
        {**FLAT, "from": 14, "to": 23},
        {**FLAT, "from": -9, "to": -1},
        {**FLAT, "to": 100},
        {**FLAT, "from": None},
        {**FLAT, "mention": ""},
        {**FLAT, "sentence": None},
        {**RELEASED, "targets": [{}]},
        {**RELEASED, "targets": None},
        [FLAT],
        "text",
        None,
    ],
)
def test_a_line_that_is_no_newsmtsc_is_named(tmp_path, value):
    path = write(tmp_path / "test.jsonl", json.dumps(FLAT), json.dumps(value))
    rows = read_newsmtsc(path)
    assert next(rows).id == "test-1"
    with pytest.raises(InputError, match=rf"^{path}:2: no NewsMTSC line .*: it needs sentence, mention, from, to"):
        next(rows)


# DSE ----------------------------------------------------------------------------------------------------------

ONE_WAY = "[Seoul] blamed [Moscow] for it.\tSeoul\tMoscow\t"


@pytest.mark.parametrize(
    ("label", "toward", "stance", "holder"),
    [
        ("1", "Moscow", Stance.FAVOR, Holder.OTHER),
        ("2", "Seoul", Stance.FAVOR, Holder.RUSSIA),
        ("3", "Moscow", Stance.AGAINST, Holder.OTHER),
        ("4", "Seoul", Stance.AGAINST, Holder.RUSSIA),
    ],
)
def test_a_direction_gives_a_stance_and_its_holder(tmp_path, label, toward, stance, holder):
    (example,) = read_dse(write(tmp_path / "dse.txt", ONE_WAY + label))
    (labels,) = example.targets
    assert example.text == "Seoul blamed Moscow for it."
    assert (labels.mention.target, labels.stance, labels.holder) == (TargetText(toward), stance, holder)
    assert marked(example) == toward
    assert example.id == example.document_id == "dse-1"


def test_that_nothing_holds_between_two_is_no_label(tmp_path):
    assert list(read_dse(write(tmp_path / "dse.txt", ONE_WAY + "0"))) == []


def test_spans_count_without_the_brackets_and_other_brackets_go_too(tmp_path):
    line = "[It] said [Kim] met [Putin], [Kim] said\tPutin\tKim\t3"
    (example,) = read_dse(write(tmp_path / "dse.txt", line))
    assert example.text == "It said Kim met Putin, Kim said"
    assert marked(example) == "Kim"
    assert example.targets[0].mention.span == (8, 11)


def test_a_pair_that_is_not_marked_twice_is_left_out(tmp_path):
    lines = ["[Kim] met [Kim]\tKim\tKim\t1", "[Kim] met [Putin]\tKim\tLavrov\t1", ONE_WAY + "1"]
    assert [example.id for example in read_dse(write(tmp_path / "dse.txt", *lines))] == ["dse-3"]


@pytest.mark.parametrize(
    ("source", "holder"),
    [
        ("US", Holder.UNITED_STATES),
        ("the US Navy", Holder.UNITED_STATES),
        ("Trump", Holder.UNITED_STATES),
        ("Russian", Holder.RUSSIA),
        ("Kim Jong Un", Holder.NORTH_KOREA),
        ("NATO", Holder.OTHER),
        ("us", Holder.OTHER),
        ("McTrump", Holder.OTHER),
        ("National Association for the Advancement", Holder.OTHER),
    ],
)
def test_a_source_is_the_codebooks_holder(tmp_path, source, holder):
    (example,) = read_dse(write(tmp_path / "dse.txt", f"[{source}] blamed [Seoul].\t{source}\tSeoul\t3"))
    assert example.targets[0].holder == holder


@pytest.mark.parametrize(
    "line",
    [
        "no tabs",
        "Seoul blamed Moscow\tSeoul\tMoscow\t3",
        "[Seoul] blamed Moscow\tSeoul\tMoscow\t3",
        ONE_WAY + "5",
        ONE_WAY + "3\tx",
        ONE_WAY,
    ],
)
def test_a_line_that_is_no_dse_is_named(tmp_path, line):
    path = write(tmp_path / "dse.txt", ONE_WAY + "1", line)
    with pytest.raises(InputError, match=rf"^{path}:2: no DSE line"):
        list(read_dse(path))


# The real sets, where they are --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name", "examples", "targets"),
    [
        ("newsmtsc", "newsmtsc/devtest_mt.jsonl", 721, 1476),
        ("newsmtsc", "newsmtsc/rw.test.jsonl", None, 803),
        ("stanceframe", "news/dev.jsonl", 723, 3 * 723),
    ],
)
def test_the_real_sets_have_the_published_sizes(shared, kind, name, examples, targets):
    read = list(READERS[kind](shared / "data" / name))
    assert examples in (None, len(read))
    assert sum(len(example.targets) for example in read) == targets


def test_the_shipped_codebook_is_the_one_that_labels_are_made_by(shared):
    assert (SHIPPED / "codebook.md").read_bytes() == (shared / "codebook.md").read_bytes()


def test_every_span_of_dse_is_its_mention(shared):
    read = list(read_dse(shared / "data" / "dse_park2021" / "test.txt"))
    assert len(read) > 500
    assert all(marked(example) == example.targets[0].mention.target.name for example in read)
