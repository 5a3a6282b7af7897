"""Agreement, against Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", part A, worked by hand."""

from dataclasses import replace

import pytest

from stanceframe.data.agreement import agreement
from stanceframe.models.errors import InputError
from stanceframe.models.labels import Sentiment
from stanceframe.models.types import LabelledSentence


def readings(annotator: str, labels: str) -> list[LabelledSentence]:
    tones = {"+": Sentiment.POSITIVE, "-": Sentiment.NEGATIVE, "0": Sentiment.NEUTRAL}
    return [
        LabelledSentence(id=str(i), text=f"s{i}", sentiment=tones.get(label), annotator=annotator)
        for i, label in enumerate(labels)
    ]


def test_two_annotators_by_hand() -> None:
    # Ten units, two values, as in the two-observer example of the paper: alpha = 0.095.
    first, second = readings("a", "+-+++-++++"), readings("b", "+++--+-+-+")
    n, ones = 20, sum("+-+++-++++".count(c) + "+++--+-+-+".count(c) for c in "+")
    differing = sum(a != b for a, b in zip("+-+++-++++", "+++--+-+-+", strict=True))
    expected = 1 - (2 * differing / n) / (2 * ones * (n - ones) / (n * (n - 1)))
    alpha, count = agreement([*first, *second])["sentiment"]
    assert alpha == pytest.approx(expected)
    assert count == 10


def test_full_agreement_is_one_and_one_value_is_undefined() -> None:
    assert agreement([*readings("a", "+-0"), *readings("b", "+-0")])["sentiment"] == (1.0, 3)
    assert agreement([*readings("a", "+++"), *readings("b", "+++")])["sentiment"] == (None, 3)


def test_a_label_that_one_annotator_left_out_does_not_count() -> None:
    alpha, count = agreement([*readings("a", "+-0+"), *readings("b", "+-0.")])["sentiment"]
    assert alpha == pytest.approx(1.0)
    assert count == 3


def test_a_value_that_only_one_annotator_gave_makes_no_alpha() -> None:
    assert agreement([*readings("a", "++-"), *readings("b", "++.")])["sentiment"] == (None, 2)


def test_one_annotator_alone_is_an_error() -> None:
    with pytest.raises(InputError, match="two annotators"):
        agreement(readings("a", "+-0"))


def test_an_id_that_stands_for_two_texts_is_an_error() -> None:
    one = LabelledSentence("a", "Kim met Putin.", sentiment=Sentiment.NEUTRAL, annotator="x")
    with pytest.raises(InputError, match="a: two texts have this id"):
        agreement([one, replace(one, text="Putin met Kim.", annotator="y")])
