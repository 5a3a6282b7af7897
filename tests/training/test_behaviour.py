"""Behaviour cases: what counts, what passes, and what is refused."""

import json

import pytest

from stanceframe.models.errors import InputError
from stanceframe.models.labels import Frame, Holder, Sentiment, Stance, Target
from stanceframe.models.types import Framing, Prediction, Sentence, SentimentScore, TargetStance
from stanceframe.training.behaviour import judge_behaviour, passed, read_cases


class Parrot:
    """Says "against, held by other, with desperation" of Russia in a text that has "bad", and nothing of any other."""

    tag = "parrot"

    def predict(self, sentences):
        return [self._one(sentence) for sentence in sentences]

    def _one(self, sentence):
        bad = "bad" in sentence.text
        nothing = TargetStance(Stance.ABSENT, 1.0, False, None, {})
        russia = TargetStance(Stance.AGAINST if bad else Stance.NEUTRAL, 1.0, False, Holder.OTHER if bad else None, {})
        tone = Sentiment.NEGATIVE if bad else Sentiment.NEUTRAL
        return Prediction(
            sentence=Sentence(sentence.text),
            stance={target: russia if target is Target.RUSSIA else nothing for target in Target},
            framing=Framing((Frame.DESPERATION,) if bad else (), {}),
            sentiment=SentimentScore(tone, 1.0, {}),
            truncated=False,
            model=self.tag,
        )


AGAINST, NEUTRAL = {"russia": "against"}, {"russia": "neutral"}
BAD = {"russia": "against", "holder.russia": "other", "framing": ["desperation"], "sentiment": "negative"}


@pytest.fixture
def written(tmp_path):
    def write(*cases):
        path = tmp_path / "cases.jsonl"
        path.write_text("".join(json.dumps({"id": "a", "family": "f", **case}) + "\n" for case in cases))
        return path

    return write


@pytest.mark.parametrize(
    ("case", "result"),
    [
        ({"text": "bad", "expect": BAD}, True),
        ({"text": "good", "expect": {"russia": "neutral", "north_korea": "absent", "framing": []}}, True),
        ({"text": "good", "expect": {"russia": "favor"}}, False),
        ({"text": "bad", "expect": {"holder.russia": "author"}}, False),
        ({"text": "bad", "expect": {"framing": []}}, False),
        ({"text": "bad", "expect": BAD, "changed": "so bad", "expect_changed": BAD}, True),
        ({"text": "bad", "expect": BAD, "changed": "BAD", "expect_changed": BAD}, False),
        ({"text": "BAD", "expect": BAD, "changed": "bad", "expect_changed": BAD}, None),
        ({"text": "bad", "expect": AGAINST, "changed": "fine", "expect_changed": NEUTRAL}, True),
        ({"text": "bad", "expect": AGAINST, "changed": "bad", "expect_changed": NEUTRAL}, False),
        ({"text": "BAD", "expect": AGAINST, "changed": "ok", "expect_changed": NEUTRAL}, False),
    ],
)  # fmt: skip
def test_a_case_passes_where_all_that_it_expects_is_said(written, case, result):
    assert passed(list(read_cases(written(case))), Parrot()) == [result]


def test_a_familys_rate_is_over_the_cases_that_count(written):
    right = {"text": "bad", "expect": BAD}
    wrong = {"text": "bad", "expect": {"russia": "favor"}}
    uncounted = {"text": "BAD", "expect": BAD, "changed": "bad", "expect_changed": BAD}
    cases = list(read_cases(written(right, right, right, wrong, uncounted, {**uncounted, "family": "g"})))
    judged = judge_behaviour(cases, Parrot())
    rate, low, high = judged.figures["passed_f"]
    assert rate == 0.75
    assert (low, high) == pytest.approx((0.3006, 0.9544), abs=1e-4), "Wilson's interval of 3 in 4"
    assert judged.missing == ["g"] and "passed_g" not in judged.figures
    assert judged.to_json()["unit"] == "cases"
    assert judged.failed == ["a", "a", "a"], "the wrong one, and the two that do not count"
    assert "without a case that counts, and left out: g" in judged.to_table()


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ({"expect": BAD}, "text: required, a string"),
        ({"text": None, "expect": BAD}, "text: required, a string"),
        ({"text": " ", "expect": BAD}, "text: required, a string"),
        ({"text": "a"}, "expect: required, a JSON object"),
        ({"text": "a", "expect": {}}, "expect: required, a JSON object"),
        ({"text": "a", "expect": ["russia"]}, "expect: required, a JSON object"),
        ({"text": "a", "expect": BAD, "expect_changed": BAD}, "changed: required, a string"),
        ({"text": "a", "expect": {"china": "favor"}}, "'china' is none of russia"),
        ({"text": "a", "expect": {"russia": "hostile"}}, "russia: 'hostile' is none of favor"),
        ({"text": "a", "expect": {"framing": ["holy"]}}, "framing: a list of sacred_struggle"),
        ({"text": "a", "expect": {"framing": [["desperation"]]}}, "framing: a list of sacred_struggle"),
        ({"text": "a", "expect": {"russia": ["favor"]}}, "russia: .'favor'. is none of"),
        ({"text": "a", "expect": {"russia": "neutral"}, "changed": "b", "expect_changed": {"russia": "neutral"}},
         "an invariance case needs a stance"),
    ],
)  # fmt: skip
def test_what_is_no_case_is_named_by_its_line(written, case, said):
    path = written(case)
    with pytest.raises(InputError, match=said) as raised:
        list(read_cases(path))
    assert str(raised.value).startswith(f"{path}:1: ")


def test_nothing_to_judge_by_is_an_error():
    with pytest.raises(InputError, match="no cases"):
        judge_behaviour([], Parrot())
