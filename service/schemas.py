"""Bodies of requests and answers: what is accepted, and what `/docs.json` shows."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool

from stanceframe.models.labels import Frame, Holder, Sentiment, Stance, Target


def _is_text(value: str) -> str:
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("holds half a surrogate pair, which is no Unicode text")
    return value


def _is_not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("is blank: there is nothing to label")
    return value


Text = Annotated[str, AfterValidator(_is_text)]
SentenceText = Annotated[Text, AfterValidator(_is_not_blank)]
Probability = Annotated[float, Field(ge=0, le=1)]
AskedForEvidence = Annotated[
    StrictBool, Field(description="Also say which words moved each favor, against and frame most: slower")
]


class Body(BaseModel):
    """A request's body: an unknown field is an error, since it would change nothing."""

    model_config = ConfigDict(extra="forbid")


class PredictRequest(Body):
    """Sentences, labelled one by one."""

    sentences: list[SentenceText] = Field(examples=[["Kim said that his people stand with Russia."]])
    evidence: AskedForEvidence = False


class Document(Body):
    """A document's plain text; what else is known of it is for the caller's own use."""

    id: Text | None = None
    text: Text
    publisher: Text | None = None
    date: Text | None = None


class AnalyzeRequest(Body):
    """Documents, cut into sentences and labelled."""

    documents: list[Document]
    evidence: AskedForEvidence = False


class StanceAnswer(BaseModel):
    """Stance toward one target: the most probable value; `abstained` where that is too unsure to count on."""

    label: Stance
    confidence: Probability
    abstained: bool
    holder: Holder | None
    probabilities: dict[Stance, Probability]


class FramingAnswer(BaseModel):
    """The frames whose probability reaches the checkpoint's threshold."""

    labels: list[Frame]
    probabilities: dict[Frame, Probability]


class SentimentAnswer(BaseModel):
    """The tone of the whole sentence."""

    label: Sentiment
    confidence: Probability
    probabilities: dict[Sentiment, Probability]


class EvidenceAnswer(BaseModel):
    """A word without which the probability of what is said of a target or frame would fall by `weight`."""

    target_or_frame: Target | Frame = Field(alias="for")
    start: int
    end: int
    weight: float


class ScoredSentence(BaseModel):
    """A sentence with everything that is said of it; `start` and `end` count code points of the document.

    `evidence` is there only where it was asked for.
    """

    document_id: str | None
    sentence_index: int
    start: int
    end: int
    text: str
    kind: Annotated[str, Field(pattern="^(sentence|furniture)$")]
    stance: dict[Target, StanceAnswer]
    framing: FramingAnswer
    sentiment: SentimentAnswer
    truncated: bool
    model: str
    evidence: list[EvidenceAnswer] = []


class Estimate(BaseModel):
    """A value and its 95% interval, which includes the classifier's own error.

    Its ends are percentiles of 1,000 draws of the document's sentences, with replacement, and of the label of each
    from its probabilities.
    """

    value: float
    low: float
    high: float


class StanceSummary(BaseModel):
    """Sentences by their stance toward one target; `net` is (favor - against) / mentioned."""

    mentioned: int
    counts: dict[Stance, int]
    by_holder: dict[Holder, dict[Stance, int]]
    net: Estimate | None


class Summary(BaseModel):
    """One document's sentences, page furniture left out; `framing` is the share that carries a frame."""

    sentences: int
    stance: dict[Target, StanceSummary]
    framing: dict[Frame, Estimate | None]


class AnalyzedDocument(BaseModel):
    """A document's sentences, page furniture included, and their summary."""

    id: str | None
    sentences: list[ScoredSentence]
    summary: Summary


class Answer(BaseModel):
    """What every answer says; `warnings` is there only where there is something to warn of."""

    model: str
    warnings: list[str] = []


class PredictAnswer(Answer):
    """As many sentences as came in, in their order."""

    sentences: list[ScoredSentence]


class AnalyzeAnswer(Answer):
    """As many documents as came in, in their order."""

    documents: list[AnalyzedDocument]


class ModelAnswer(BaseModel):
    """The served checkpoint and what one request may hold."""

    tag: str
    hash: str
    created: str
    base_encoder: str
    codebook: str
    thresholds: dict[str, dict[str, float]]
    metrics: dict[str, Any]
    trained_on: list[dict[str, Any]]
    limits: dict[str, int]


PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "description": "Each field of a refused body, and what is wrong with it",
            "items": {
                "type": "object",
                "required": ["field", "detail"],
                "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
"""Schema of an error, after RFC 9457."""
