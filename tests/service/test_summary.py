import pytest

from stanceframe.models.labels import Frame, Holder, Sentiment, Stance, Target
from stanceframe.models.types import Framing, Prediction, Sentence, SentimentScore, TargetStance
from stanceframe.service.summary import summarise


def scored(label, confidence=1.0, *, holder=None, framed=False, frame_probability=0.0, kind="sentence"):
    """A sentence whose stance toward Russia is `label`, the rest of its probability on `neutral`."""
    probabilities = dict.fromkeys(Stance, 0.0) | {Stance.NEUTRAL: 1.0 - confidence}
    probabilities[label] += confidence
    absent = dict.fromkeys(Stance, 0.0) | {Stance.ABSENT: 1.0}
    stance = {target: TargetStance(Stance.ABSENT, 1.0, False, None, absent) for target in Target}
    stance[Target.RUSSIA] = TargetStance(label, confidence, False, holder, probabilities)
    labels = (Frame.DESPERATION,) if framed else ()
    framing = Framing(labels, {Frame.SACRED_STRUGGLE: 0.0, Frame.DESPERATION: frame_probability})
    tone = SentimentScore(Sentiment.NEUTRAL, 1.0, {tone: float(tone is Sentiment.NEUTRAL) for tone in Sentiment})
    return Prediction(Sentence("x", kind=kind), stance, framing, tone, False, "model")


def test_counts_holders_and_net():
    summary = summarise(
        [
            scored(Stance.FAVOR, holder=Holder.NORTH_KOREA),
            scored(Stance.FAVOR, holder=Holder.NORTH_KOREA),
            scored(Stance.AGAINST, holder=Holder.UNITED_STATES),
            scored(Stance.NEUTRAL),
            scored(Stance.ABSENT),
        ]
    )
    russia = summary["stance"][Target.RUSSIA]
    assert summary["sentences"] == 5
    assert russia["mentioned"] == 4
    assert russia["counts"] == {"favor": 2, "against": 1, "neutral": 1, "absent": 1}
    assert russia["by_holder"]["north_korea"] == {"favor": 2, "against": 0}
    assert russia["by_holder"]["united_states"] == {"favor": 0, "against": 1}
    assert russia["by_holder"]["author"] == {"favor": 0, "against": 0}
    assert russia["net"]["value"] == pytest.approx(0.25)


def test_nothing_mentioned_is_null():
    summary = summarise([scored(Stance.ABSENT)])
    assert summary["stance"][Target.RUSSIA]["net"] is None
    assert summarise([])["framing"] == {"sacred_struggle": None, "desperation": None}


def test_furniture_is_left_out():
    summary = summarise([scored(Stance.FAVOR), scored(Stance.AGAINST, framed=True, kind="furniture")])
    assert summary["sentences"] == 1
    assert summary["stance"][Target.RUSSIA]["counts"]["against"] == 0
    assert summary["framing"]["desperation"]["value"] == 0


def test_sure_and_equal_sentences_leave_no_doubt():
    net = summarise([scored(Stance.FAVOR)] * 20)["stance"][Target.RUSSIA]["net"]
    assert net == {"value": 1.0, "low": 1.0, "high": 1.0}


def test_the_classifiers_error_widens_the_interval():
    def width(confidence):
        net = summarise([scored(Stance.FAVOR, confidence)] * 100)["stance"][Target.RUSSIA]["net"]
        return net["high"] - net["low"]

    assert width(1.0) == 0
    # The mean of 100 draws that are 1 with probability 0.6, else 0, is above 0.6 - 1.96 × sqrt(0.6 × 0.4 / 100)
    # in 97.5% of all cases; the value itself is 1.
    assert width(0.6) == pytest.approx(1 - 0.504, abs=0.03)


def test_the_choice_of_sentences_widens_the_interval():
    sentences = [scored(Stance.FAVOR), scored(Stance.AGAINST)] * 50
    net = summarise(sentences)["stance"][Target.RUSSIA]["net"]
    assert net["value"] == 0
    assert net["high"] == pytest.approx(0.196, abs=0.04)  # 1.96 × sqrt(1 / 100)
    assert net["low"] == pytest.approx(-0.196, abs=0.04)


def test_the_interval_holds_the_value_and_is_the_same_each_time():
    sentences = [scored(Stance.FAVOR, 0.51, framed=True, frame_probability=0.5)] * 40
    first, second = summarise(sentences), summarise(sentences)
    assert first == second
    for estimate in (first["stance"][Target.RUSSIA]["net"], first["framing"]["desperation"]):
        assert estimate["low"] <= estimate["value"] <= estimate["high"]
        assert estimate["low"] < estimate["high"]


def test_framing_is_a_share_of_the_sentences():
    sentences = [scored(Stance.ABSENT, framed=True, frame_probability=1.0)] + [scored(Stance.ABSENT)] * 3
    share = summarise(sentences)["framing"]["desperation"]
    assert share["value"] == 0.25
    assert 0 <= share["low"] < 0.25 < share["high"] <= 1
