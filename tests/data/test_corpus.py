"""Labelled sentences in JSON lines: what is read, what is refused and how, and that nothing is lost."""

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stanceframe.data.corpus import (
    OPTIONAL_TEXT,
    RecordError,
    normalised,
    parse_labelled,
    read_json_lines,
    read_labelled,
    read_lines,
    text_id,
    to_json,
    write_labelled,
)
from stanceframe.models.errors import InputError
from stanceframe.models.labels import Frame, Holder, Sentiment, Stance, Target
from stanceframe.models.types import Framing, LabelledSentence, Prediction, Sentence, SentimentScore, TargetStance

TEXT = "Kim praised Putin."
RECORD = {
    "id": "a1",
    "text": TEXT,
    "stance": {"russia": "favor", "north_korea": "neutral", "united_states": "absent"},
    "holder": {"russia": "north_korea"},
    "framing": ["sacred_struggle"],
    "sentiment": "positive",
    "document_id": "d1",
    "publisher": "KCNA",
    "publisher_kind": "NK state media",
    "date": "2024-06-19",
    "annotator": "x",
}
SENTENCE = LabelledSentence(
    "a1",
    TEXT,
    {Target.RUSSIA: Stance.FAVOR, Target.NORTH_KOREA: Stance.NEUTRAL, Target.UNITED_STATES: Stance.ABSENT},
    {Target.RUSSIA: Holder.NORTH_KOREA},
    frozenset({Frame.SACRED_STRUGGLE}),
    Sentiment.POSITIVE,
    "d1",
    "KCNA",
    "NK state media",
    "2024-06-19",
    "x",
)


def errors_of(value):
    with pytest.raises(RecordError) as caught:
        parse_labelled(value)
    assert str(caught.value) == "; ".join(caught.value.errors)
    return caught.value.errors


# Reading a record ---------------------------------------------------------------------------------------------


def test_a_whole_record_is_read():
    assert parse_labelled(RECORD) == SENTENCE


@pytest.mark.parametrize("value", [{}, dict.fromkeys(RECORD), dict.fromkeys(("id", *OPTIONAL_TEXT), "")])
def test_what_is_missing_null_or_an_empty_description_is_not_there(value):
    sentence = parse_labelled({**value, "text": TEXT})
    assert sentence == LabelledSentence(text_id(TEXT), TEXT)
    assert sentence.framing is None


def test_a_null_label_is_unlabelled():
    assert parse_labelled({"text": TEXT, "stance": {"russia": None}}).stance == {}


def test_no_frame_is_a_label():
    assert parse_labelled({"text": TEXT, "framing": []}).framing == frozenset()


def test_an_id_defaults_to_a_hash_of_the_text():
    ids = [parse_labelled({"text": text}).id for text in (TEXT, TEXT, TEXT + " ", "Ж")]
    assert ids[0] == ids[1] == "9999203e02151d03"
    assert len(set(ids)) == 3
    assert parse_labelled({"text": TEXT, "id": ""}).id == ids[0]


def test_other_keys_are_kept():
    sentence = parse_labelled({"text": TEXT, "desk": 3, "metadata": {"url": "x", "desk": 1}, "tags": [None, {"a": 1}]})
    assert sentence.metadata == {"url": "x", "desk": 3, "tags": [None, {"a": 1}]}


ALL_WRONG = {
    "id": 7,
    "text": " \n",
    "stance": {"russia": "pro", "france": "favor", "north_korea": "neutral", "united_states": ["favor"]},
    "holder": {"russia": "Kim", "north_korea": "author", "spain": "author"},
    "framing": ["sacred_struggle", "holy_war", 1],
    "sentiment": "glad",
    "document_id": 1,
    "publisher": ["KCNA"],
    "publisher_kind": True,
    "date": 2024,
    "annotator": {},
    "metadata": "none",
    "note": "\ud800",
}


def test_every_wrong_field_is_named_at_once():
    assert [error.split(" ")[0] for error in errors_of(ALL_WRONG)] == [
        "'note':",
        "text:",
        "stance.russia:",
        "stance:",
        "stance.united_states:",
        "holder.russia:",
        "holder:",
        "holder.north_korea:",
        "framing[1]:",
        "framing[2]:",
        "sentiment:",
        "id:",
        "document_id:",
        "publisher:",
        "publisher_kind:",
        "date:",
        "annotator:",
        "metadata:",
    ]


@pytest.mark.parametrize("field", [key for key in ALL_WRONG if key != "text"])
def test_one_wrong_field_is_named_alone(field):
    errors = errors_of({"text": TEXT, "stance": {"north_korea": "neutral"}, field: ALL_WRONG[field]})
    assert all(field in error for error in errors)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ({"stance": {"russia": "pro"}}, "stance.russia: 'pro' is none of favor, against, neutral, absent"),
        ({"stance": {"france": "favor"}}, "stance: 'france' is none of russia, north_korea, united_states"),
        (
            {"holder": {"russia": "Kim"}},
            "holder.russia: 'Kim' is none of author, russia, north_korea, united_states, other",
        ),
        ({"framing": ["war"]}, "framing[0]: 'war' is none of sacred_struggle, desperation"),
        ({"framing": "desperation"}, "framing: a list of frames; [] where none holds"),
        ({"sentiment": "sad"}, "sentiment: 'sad' is none of positive, negative, neutral"),
        ({"stance": []}, "stance: a JSON object from target to label, not list"),
        ({"holder": "author"}, "holder: a JSON object from target to label, not str"),
        ({"date": 2024}, "date: a string, not int"),
        ({"metadata": [1]}, "metadata: a JSON object, not list"),
        ({"text": None}, "text: required, a string that is not empty"),
        ({"text": ["a"]}, "text: required, a string that is not empty"),
        ({"text": "a\ud800"}, "'text': half of a surrogate pair is no character"),
        ({"\udfff": 1}, "'\\udfff': half of a surrogate pair is no character"),
        ({"metadata": {"deep": ["\udc00"]}}, "'metadata': half of a surrogate pair is no character"),
    ],
)
def test_an_error_says_what_may_stand_there(value, error):
    assert errors_of({"text": TEXT, **value}) == [error]


@pytest.mark.parametrize("value", [None, [], "text", 1])
def test_what_is_no_object_is_refused(value):
    assert errors_of(value) == [f"a labelled sentence is a JSON object, not {type(value).__name__}"]


@pytest.mark.parametrize("stance", ["neutral", "absent"])
def test_nobody_holds_what_is_no_evaluation(stance):
    (error,) = errors_of({"text": TEXT, "stance": {"russia": stance}, "holder": {"russia": "author"}})
    assert error.startswith(f"holder.russia: nobody holds {stance}")


def test_a_holder_without_a_stance_is_kept():
    assert parse_labelled({"text": TEXT, "holder": {"russia": "author"}}).holder == {Target.RUSSIA: Holder.AUTHOR}


# A scored sentence that a person corrected --------------------------------------------------------------------


def scored():
    """A scored sentence as `score` and the service give it."""
    favor = TargetStance(Stance.FAVOR, 0.9, False, Holder.OTHER, dict.fromkeys(Stance, 0.25))
    absent = TargetStance(Stance.ABSENT, 0.9, True, None, dict.fromkeys(Stance, 0.25))
    prediction = Prediction(
        Sentence(TEXT, "d1", 2, 30),
        {Target.RUSSIA: favor, Target.NORTH_KOREA: absent, Target.UNITED_STATES: absent},
        Framing((Frame.DESPERATION,), dict.fromkeys(Frame, 0.5)),
        SentimentScore(Sentiment.NEGATIVE, 0.6, dict.fromkeys(Sentiment, 0.3)),
        False,
        "stanceframe:0123456789ab",
    )
    return json.loads(json.dumps(prediction.to_json()))


def test_a_scored_sentence_is_a_labelled_one():
    sentence = parse_labelled(scored())
    assert sentence == LabelledSentence(
        text_id(TEXT),
        TEXT,
        {Target.RUSSIA: Stance.FAVOR, Target.NORTH_KOREA: Stance.ABSENT, Target.UNITED_STATES: Stance.ABSENT},
        {Target.RUSSIA: Holder.OTHER},
        frozenset({Frame.DESPERATION}),
        Sentiment.NEGATIVE,
        "d1",
        metadata={
            "sentence_index": 2,
            "start": 30,
            "end": 48,
            "kind": "sentence",
            "truncated": False,
            "model": "stanceframe:0123456789ab",
        },
    )


def test_a_correction_is_read_and_a_holder_that_it_leaves_over_is_dropped():
    row = scored()
    row["stance"]["russia"]["label"] = "neutral"
    row["stance"]["north_korea"]["label"] = "against"
    row["framing"]["labels"] = []
    row["sentiment"]["label"] = "neutral"
    sentence = parse_labelled(row)
    assert sentence.stance[Target.RUSSIA] == Stance.NEUTRAL
    assert sentence.stance[Target.NORTH_KOREA] == Stance.AGAINST
    assert sentence.holder == {}
    assert (sentence.framing, sentence.sentiment) == (frozenset(), Sentiment.NEUTRAL)


def test_a_correction_may_be_written_the_short_way():
    row = scored()
    row["stance"]["north_korea"] = "against"
    row["holder"] = {"north_korea": "united_states"}
    row["framing"], row["sentiment"] = ["sacred_struggle"], "positive"
    sentence = parse_labelled(row)
    assert sentence.stance[Target.NORTH_KOREA] == Stance.AGAINST
    assert sentence.holder == {Target.RUSSIA: Holder.OTHER, Target.NORTH_KOREA: Holder.UNITED_STATES}
    assert (sentence.framing, sentence.sentiment) == (frozenset({Frame.SACRED_STRUGGLE}), Sentiment.POSITIVE)


def test_a_wrong_correction_is_named():
    row = scored()
    row["stance"]["russia"] = {"label": "pro", "holder": "author"}
    row["stance"]["north_korea"] = {"label": "against", "holder": "Kim"}
    row["framing"]["labels"], row["sentiment"]["label"] = ["war"], "sad"
    row["holder"] = 3
    named = [error.split(" ")[0] for error in errors_of(row)]
    assert named == ["stance.russia:", "holder:", "framing[0]:", "sentiment:"]


# Files --------------------------------------------------------------------------------------------------------


def test_a_file_is_read_with_blank_lines_windows_ends_and_a_byte_order_mark(tmp_path):
    path = tmp_path / "labels.jsonl"
    line = json.dumps(RECORD, ensure_ascii=False).encode()
    path.write_bytes(b"\xef\xbb\xbf" + line + b"\r\n \r\n\n" + line)
    assert list(read_labelled(path)) == [SENTENCE, SENTENCE]
    assert [number for number, _ in read_json_lines(path)] == [1, 4]


def test_line_separators_within_a_text_end_no_line(tmp_path):
    path = tmp_path / "labels.jsonl"
    text = "one\u2028two\u0085three\x0bfour"
    write_labelled(path, [LabelledSentence("a", text)])
    assert [sentence.text for sentence in read_labelled(path)] == [text]


def test_a_compressed_file_is_read(tmp_path):
    path = tmp_path / "labels.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(RECORD).encode()))
    assert list(read_labelled(path)) == [SENTENCE]


GOOD = json.dumps(RECORD).encode()


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"{", "no JSON: .* at column 2"),
        (b"{}", "text: required"),
        (b"[]", "a labelled sentence is a JSON object, not list"),
        (b'{"text": "\xff"}', "byte 0xff is no UTF-8"),
        (b'{"text": "\xed\xa0\x80"}', "byte 0xed is no UTF-8"),
        (b"[" * 100_000, "JSON that cannot be read"),
        (b"1" * 10_000, "JSON that cannot be read"),
        (b'{"text": "x", "stance": {"russia": "pro"}}', "stance.russia: 'pro' is none of"),
    ],
    ids=range(8),
)
@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
@pytest.mark.parametrize("before", [0, 3])
def test_an_error_names_its_line_and_what_stands_before_is_read(tmp_path, line, error, ending, before):
    path = tmp_path / f"labels.{ending}"
    content = b"\n".join([*[GOOD] * before, line, *[GOOD] * 50])
    path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    read = []
    with pytest.raises(InputError, match=rf"^{path}:{before + 1}: .*{error}"):
        read.extend(read_labelled(path))
    rows = read_labelled(path)
    assert [next(rows) for _ in range(before)] == [SENTENCE] * before


def test_a_file_that_is_not_there_is_named(tmp_path):
    for path in (tmp_path / "nothing.jsonl", tmp_path / "nothing.jsonl.gz", tmp_path):
        with pytest.raises(InputError, match=f"^{path}: cannot be read: "):
            list(read_lines(path))


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: data[:30] + b"\0" * 40 + data[70:]])
def test_a_damaged_archive_is_named(tmp_path, damage):
    path = tmp_path / "labels.jsonl.gz"
    path.write_bytes(damage(gzip.compress("".join(f'{{"text": "{n}"}}\n' for n in range(50)).encode())))
    read = []
    with pytest.raises(InputError) as caught:
        read.extend(read_lines(path))
    place = f"{path}:{len(read) + 1}" if read else str(path)
    assert str(caught.value).startswith(f"{place}: cannot be read: ")


def test_what_is_no_archive_is_named(tmp_path):
    path = tmp_path / "labels.jsonl.gz"
    path.write_text("{}")
    with pytest.raises(InputError, match=f"^{path}: cannot be read: .*gzip"):
        list(read_lines(path))


def test_a_written_file_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "new" / "labels.jsonl"
    write_labelled(path, [SENTENCE, SENTENCE])
    write_labelled(path, [SENTENCE])
    assert [json.loads(line) for line in path.read_text().splitlines()] == [RECORD]


def test_other_scripts_are_written_as_they_are(tmp_path):
    path = tmp_path / "labels.jsonl"
    write_labelled(path, [LabelledSentence("a", "Ким 😀")])
    assert "Ким 😀" in path.read_text(encoding="utf-8")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda v: st.lists(v) | st.dictionaries(st.text(), v),
    max_leaves=5,
)
stances = st.dictionaries(st.sampled_from(Target), st.sampled_from(Stance))


@st.composite
def sentences(draw):
    stance = draw(stances)
    holders = [target for target in Target if target not in stance or stance[target].is_evaluation]
    some_text = st.none() | st.text(min_size=1)
    return LabelledSentence(
        id=draw(st.text(min_size=1)),
        text=draw(st.text(min_size=1).filter(str.strip)),
        stance=stance,
        holder=draw(st.dictionaries(st.sampled_from(holders), st.sampled_from(Holder))) if holders else {},
        framing=draw(st.none() | st.frozensets(st.sampled_from(Frame))),
        sentiment=draw(st.none() | st.sampled_from(Sentiment)),
        metadata=draw(st.dictionaries(st.text(), values, max_size=3)),
        **{field: draw(some_text) for field in OPTIONAL_TEXT},
    )


@settings(deadline=None)
@given(st.lists(sentences(), max_size=3))
def test_what_is_written_is_read_again(tmp_path_factory, given_sentences):
    path = tmp_path_factory.mktemp("round") / "labels.jsonl"
    write_labelled(path, given_sentences)
    assert list(read_labelled(path)) == given_sentences


def test_unlabelled_parts_are_left_out_of_json():
    assert to_json(LabelledSentence("a", TEXT)) == {"id": "a", "text": TEXT, "stance": {}, "holder": {}}


# Texts --------------------------------------------------------------------------------------------------------


def test_case_space_and_marks_make_no_other_text():
    assert normalised(" “Kim”  praised\tPUTIN… ") == normalised("'kim' praised putin.") == "kim praised putin"
    assert normalised("STRASSE") == normalised("straße")
    assert normalised("Kim praised Lavrov.") != normalised(TEXT)
    assert normalised("…") == ""


def test_any_text_has_an_id():
    assert len({text_id(text) for text in ("", "a", "\ud800", "\ud801")}) == 4


def test_raw_sets_name_their_date_otherwise():
    assert parse_labelled({"text": "Moscow spoke.", "date_if_known": "2024-06-19"}).date == "2024-06-19"
    assert parse_labelled({"text": "Moscow spoke.", "date_if_known": ""}).date is None
