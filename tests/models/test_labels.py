"""The codebook's labels, their order among the outputs, and how a label is read."""

import json
from dataclasses import fields, replace

import pytest

from stanceframe.models.errors import CheckpointError, LabelError
from stanceframe.models.labels import (
    TARGETS,
    Frame,
    Holder,
    LabelSchema,
    Sentiment,
    Stance,
    Target,
    TargetText,
    parse_label,
)

ORDER = {
    Target: ["russia", "north_korea", "united_states"],
    Stance: ["favor", "against", "neutral", "absent"],
    Holder: ["author", "russia", "north_korea", "united_states", "other"],
    Frame: ["sacred_struggle", "desperation"],
    Sentiment: ["positive", "negative", "neutral"],
}


@pytest.mark.parametrize("kind", ORDER)
def test_the_labels_are_the_codebooks_in_the_order_of_the_outputs(kind):
    assert [str(label) for label in kind] == ORDER[kind]


@pytest.mark.parametrize("kind", ORDER)
def test_every_label_is_read_from_its_word(kind):
    assert [parse_label(kind, word, "x") for word in ORDER[kind]] == list(kind)


@pytest.mark.parametrize("value", ["FAVOR", "", "pro", None, 1, ["favor"], {"label": "favor"}])
def test_another_word_is_refused_with_the_field_and_what_it_may_be(value):
    with pytest.raises(LabelError) as caught:
        parse_label(Stance, value, "stance.russia")
    assert str(caught.value) == f"stance.russia: {value!r} is none of favor, against, neutral, absent"


def test_somebody_holds_favor_and_against_only():
    assert [stance for stance in Stance if stance.is_evaluation] == [Stance.FAVOR, Stance.AGAINST]


def test_every_target_has_a_text_of_its_own():
    assert list(TARGETS) == list(Target)
    words = [word.casefold() for text in TARGETS.values() for word in {text.name, *text.aliases}]
    assert len(words) == len(set(words))
    assert all(
        isinstance(text, TargetText) and word.strip() == word for text in TARGETS.values() for word in text.aliases
    )


def test_checkpoints_of_this_codebook_stay_readable():
    assert LabelSchema().fingerprint == "d1ce86fdffda"


@pytest.mark.parametrize("field", ["stances", "holders", "frames", "sentiments"])
def test_other_labels_or_another_order_make_another_fingerprint(field):
    labels = getattr(LabelSchema(), field)
    others = [
        replace(LabelSchema(), **{field: labels[::-1]}),
        replace(LabelSchema(), **{field: labels[:-1]}),
        replace(LabelSchema(), **{field: (*labels, "new")}),
    ]
    assert len({schema.fingerprint for schema in (LabelSchema(), *others)}) == 4


def test_every_part_of_the_schema_is_in_its_json():
    stored = LabelSchema().to_json()
    assert set(stored) == {field.name for field in fields(LabelSchema)} | {"fingerprint"}


def test_the_same_schema_is_accepted_and_another_is_refused_by_version():
    stored = json.loads(json.dumps(LabelSchema().to_json()))
    assert LabelSchema.check(stored) == LabelSchema()
    other = replace(LabelSchema(), version="9.9").to_json()
    with pytest.raises(CheckpointError, match=r"codebook 9\.9.*retrain"):
        LabelSchema.check(other)
    with pytest.raises(CheckpointError):
        LabelSchema.check({})
