"""The scored sentence of the contract."""

import json

from stanceframe.models.labels import Frame, Holder, Sentiment, Stance, Target
from stanceframe.models.types import Framing, Prediction, Sentence, SentimentScore, TargetStance

RUSSIA = TargetStance(
    label=Stance.FAVOR,
    confidence=0.93,
    abstained=False,
    holder=Holder.NORTH_KOREA,
    probabilities={Stance.FAVOR: 0.93, Stance.AGAINST: 0.01, Stance.NEUTRAL: 0.05, Stance.ABSENT: 0.01},
)
UNSURE = TargetStance(
    label=Stance.ABSENT,
    confidence=0.4,
    abstained=True,
    holder=None,
    probabilities={Stance.FAVOR: 0.2, Stance.AGAINST: 0.1, Stance.NEUTRAL: 0.3, Stance.ABSENT: 0.4},
)
PREDICTION = Prediction(
    sentence=Sentence("Kim 👏 Putin.", "d1", 3, 40),
    stance={Target.RUSSIA: RUSSIA, Target.NORTH_KOREA: UNSURE, Target.UNITED_STATES: UNSURE},
    framing=Framing((Frame.SACRED_STRUGGLE,), {Frame.SACRED_STRUGGLE: 0.88, Frame.DESPERATION: 0.02}),
    sentiment=SentimentScore(
        Sentiment.POSITIVE, 0.81, {Sentiment.POSITIVE: 0.81, Sentiment.NEGATIVE: 0.04, Sentiment.NEUTRAL: 0.15}
    ),
    truncated=False,
    model="stanceframe:0123456789ab",
)
UNSURE_JSON = {
    "label": "absent",
    "confidence": 0.4,
    "abstained": True,
    "holder": None,
    "probabilities": {"favor": 0.2, "against": 0.1, "neutral": 0.3, "absent": 0.4},
}


def test_offsets_count_code_points():
    document = "Seoul 🇰🇷: Kim 👏 Putin."
    sentence = Sentence("Kim 👏 Putin.", start=document.index("Kim"))
    assert document[sentence.start : sentence.end] == sentence.text


def test_a_prediction_as_json_is_the_scored_sentence_of_the_contract():
    assert json.loads(json.dumps(PREDICTION.to_json())) == {
        "document_id": "d1",
        "sentence_index": 3,
        "start": 40,
        "end": 52,
        "text": "Kim 👏 Putin.",
        "kind": "sentence",
        "stance": {
            "russia": {
                "label": "favor",
                "confidence": 0.93,
                "abstained": False,
                "holder": "north_korea",
                "probabilities": {"favor": 0.93, "against": 0.01, "neutral": 0.05, "absent": 0.01},
            },
            "north_korea": UNSURE_JSON,
            "united_states": UNSURE_JSON,
        },
        "framing": {
            "labels": ["sacred_struggle"],
            "probabilities": {"sacred_struggle": 0.88, "desperation": 0.02},
        },
        "sentiment": {
            "label": "positive",
            "confidence": 0.81,
            "probabilities": {"positive": 0.81, "negative": 0.04, "neutral": 0.15},
        },
        "truncated": False,
        "model": "stanceframe:0123456789ab",
    }
