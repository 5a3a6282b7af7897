"""What goes into the classifier and what comes out of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

from stanceframe.models.labels import Frame, Holder, Sentiment, Stance, Target, TargetText

EngineName = Literal["auto", "openvino-bf16", "openvino-fp32", "torch-bf16", "torch-fp32"]
"""What runs the network, and in which precision. `auto` is torch on a GPU, else OpenVINO, else torch, in bfloat16
where the machine is faster with it."""
ENGINES: Sequence[EngineName] = get_args(EngineName)
Span = tuple[int, int]
"""Character offsets [start, end), in Unicode code points."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and its place in a document: `document_text[start:end] == text`."""

    text: str
    document_id: str | None = None
    sentence_index: int = 0
    start: int = 0
    kind: Literal["sentence", "furniture"] = "sentence"

    @property
    def end(self) -> int:
        """Offset behind the last character."""
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class LabelledSentence:
    """A sentence with the labels of one annotator; what is None or missing is unlabelled, not absent.

    `framing` is the set of frames that hold (empty: none does). `metadata` keeps every key that the
    format does not know.
    """

    id: str
    text: str
    stance: Mapping[Target, Stance] = field(default_factory=dict)
    holder: Mapping[Target, Holder] = field(default_factory=dict)
    framing: frozenset[Frame] | None = None
    sentiment: Sentiment | None = None
    document_id: str | None = None
    publisher: str | None = None
    publisher_kind: str | None = None
    date: str | None = None
    annotator: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def issue(self) -> str | None:
        """Publisher and date, which stand for the document where a sentence's own is unknown."""
        return f"{self.publisher}, {self.date}" if self.publisher and self.date else None

    @property
    def document(self) -> str:
        """What groups sentences: the document, else publisher and date, else the sentence alone."""
        return self.document_id or self.issue or self.id

    @property
    def is_labelled(self) -> bool:
        """Whether anything at all is labelled."""
        labels = (self.stance, self.holder, self.sentiment)
        return any(labels) or self.framing is not None


@dataclass(frozen=True, slots=True)
class Mention:
    """A target to be judged in one sentence; `span` says where it stands, if that is known."""

    target: TargetText
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class TargetStance:
    """Stance toward one target.

    `label` is the most probable value and `confidence` its calibrated probability; `abstained` says that
    the confidence is under the checkpoint's threshold. `holder` is None unless somebody holds the stance.
    """

    label: Stance
    confidence: float
    abstained: bool
    holder: Holder | None
    probabilities: Mapping[Stance, float]


@dataclass(frozen=True, slots=True)
class Framing:
    """The frames whose probability reaches the checkpoint's threshold, and all probabilities."""

    labels: tuple[Frame, ...]
    probabilities: Mapping[Frame, float]


@dataclass(frozen=True, slots=True)
class SentimentScore:
    """The most probable tone, and all probabilities."""

    label: Sentiment
    confidence: float
    probabilities: Mapping[Sentiment, float]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A word that moved a label: the probability of what is said of `label` falls by `weight` without it.

    `start` and `end` are character offsets in the document's text.
    """

    label: Target | Frame
    start: int
    end: int
    weight: float

    def to_json(self) -> dict[str, Any]:
        """The contract's object."""
        return {"for": self.label, "start": self.start, "end": self.end, "weight": self.weight}


@dataclass(frozen=True, slots=True)
class Prediction:
    """Everything that is said of one sentence; `model` is the tag of the checkpoint that said it.

    `evidence` is None where it was not asked for.
    """

    sentence: Sentence
    stance: Mapping[Target, TargetStance]
    framing: Framing
    sentiment: SentimentScore
    truncated: bool
    model: str
    evidence: tuple[Evidence, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """The scored sentence of the contract: the same object in HTTP answers and in `score`'s rows."""
        return {
            "document_id": self.sentence.document_id,
            "sentence_index": self.sentence.sentence_index,
            "start": self.sentence.start,
            "end": self.sentence.end,
            "text": self.sentence.text,
            "kind": self.sentence.kind,
            "stance": {
                target: {
                    "label": stance.label,
                    "confidence": stance.confidence,
                    "abstained": stance.abstained,
                    "holder": stance.holder,
                    "probabilities": dict(stance.probabilities),
                }
                for target, stance in self.stance.items()
            },
            "framing": {
                "labels": list(self.framing.labels),
                "probabilities": dict(self.framing.probabilities),
            },
            "sentiment": {
                "label": self.sentiment.label,
                "confidence": self.sentiment.confidence,
                "probabilities": dict(self.sentiment.probabilities),
            },
            "truncated": self.truncated,
            "model": self.model,
            **({} if self.evidence is None else {"evidence": [word.to_json() for word in self.evidence]}),
        }


class Classifier(Protocol):
    """Whatever labels sentences: one prediction a sentence, in their order, whatever the batching."""

    @property
    def tag(self) -> str:
        """Name and hash of what predicts."""
        ...

    def predict(self, sentences: Sequence[Sentence]) -> list[Prediction]:
        """Label every sentence. Never raises over one sentence."""
        ...
