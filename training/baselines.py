"""What the network has to beat. Fitted each time on the training data, never stored."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion
from tokenizers import Tokenizer

from stanceframe.models.calibration import softmax
from stanceframe.models.encoding import find_mentions
from stanceframe.models.errors import InputError
from stanceframe.models.labels import TARGETS, Frame, Holder, Sentiment, Stance, Target
from stanceframe.models.types import Framing, LabelledSentence, Prediction, Sentence, SentimentScore, TargetStance
from stanceframe.training.encoders import NLI_LENGTH, NLI_MODEL, find_nli


def _prediction(
    sentence: Sentence,
    stance: dict[Target, dict[Stance, float]],
    holder: dict[Target, Holder],
    framing: dict[Frame, float],
    sentiment: dict[Sentiment, float],
    model: str,
) -> Prediction:
    """A prediction from probabilities: the most probable label, frames from one half."""
    labels = {target: max(of, key=of.__getitem__) for target, of in stance.items()}
    tone = max(sentiment, key=sentiment.__getitem__)
    return Prediction(
        sentence=sentence,
        stance={
            target: TargetStance(
                label=label,
                confidence=stance[target][label],
                abstained=False,
                holder=holder[target] if label.is_evaluation else None,
                probabilities=stance[target],
            )
            for target, label in labels.items()
        },
        framing=Framing(tuple(frame for frame in Frame if framing[frame] >= 0.5), framing),
        sentiment=SentimentScore(tone, sentiment[tone], sentiment),
        truncated=False,
        model=model,
    )


@dataclass(frozen=True, slots=True)
class _Column:
    """One thing to learn: the labelled rows' indices and their labels."""

    rows: list[int]
    labels: list[str]


def _columns(sentences: Sequence[LabelledSentence]) -> dict[str, _Column]:
    """Every head of the schema as a column of labels."""
    columns: dict[str, list[str | None]] = {}
    for target in Target:
        columns[f"stance {target}"] = [s.stance.get(target) for s in sentences]
        columns[f"holder {target}"] = [s.holder.get(target) for s in sentences]
    for frame in Frame:
        columns[f"framing {frame}"] = [None if s.framing is None else str(frame in s.framing) for s in sentences]
    columns["sentiment"] = [s.sentiment for s in sentences]
    return {
        name: _Column(
            [i for i, label in enumerate(labels) if label is not None],
            [str(label) for label in labels if label is not None],
        )
        for name, labels in columns.items()
    }


class MajorityBaseline:
    """The commonest label of each head, with its share as confidence."""

    tag = "baseline:majority"

    def __init__(self, sentences: Sequence[LabelledSentence]) -> None:
        self._shares = {name: _shares(column.labels) for name, column in _columns(sentences).items()}

    def predict(self, sentences: Sequence[Sentence]) -> list[Prediction]:
        """The same prediction for every sentence."""
        return [_from_columns(sentence, self._shares, self.tag) for sentence in sentences]


def _shares(labels: Sequence[str]) -> dict[str, float]:
    counts = Counter(labels)
    return {label: count / len(labels) for label, count in counts.items()}


def _from_columns(sentence: Sentence, probabilities: dict[str, dict[str, float]], model: str) -> Prediction:
    def over(kind: type[StrEnum], column: str) -> dict[StrEnum, float]:
        found = probabilities.get(column) or {str(next(iter(kind))): 1.0}
        return {label: found.get(str(label), 0.0) for label in kind}

    holders = {target: over(Holder, f"holder {target}") for target in Target}
    return _prediction(
        sentence,
        {target: over(Stance, f"stance {target}") for target in Target},  # type: ignore[misc]
        {target: max(of, key=of.__getitem__) for target, of in holders.items()},  # type: ignore[misc]
        {frame: probabilities.get(f"framing {frame}", {}).get("True", 0.0) for frame in Frame},
        over(Sentiment, "sentiment"),  # type: ignore[arg-type]
        model,
    )


class TfidfBaseline:
    """Logistic regression for each head on TF-IDF of words (1 to 2) and characters (2 to 5, within words).

    Raises:
        InputError: there are too few sentences to fit on.
    """

    tag = "baseline:tfidf"

    def __init__(self, sentences: Sequence[LabelledSentence]) -> None:
        self._features = FeatureUnion(
            [
                ("words", TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)),
                (
                    "characters",
                    TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=3, sublinear_tf=True),
                ),
            ]
        )
        try:
            rows = self._features.fit_transform([s.text for s in sentences])
        except ValueError as error:
            raise InputError(f"{self.tag}: {len(sentences)} sentences are too few to fit on: {error}") from None
        self._models: dict[str, LogisticRegression | dict[str, float]] = {}
        for name, column in _columns(sentences).items():
            if len(set(column.labels)) < 2:
                self._models[name] = _shares(column.labels)
                continue
            model = LogisticRegression(C=10.0, class_weight="balanced", max_iter=2000)
            self._models[name] = model.fit(rows[column.rows], column.labels)

    def predict(self, sentences: Sequence[Sentence]) -> list[Prediction]:
        """One prediction a sentence."""
        rows = self._features.transform([s.text for s in sentences])
        tables: dict[str, list[dict[str, float]]] = {}
        for name, model in self._models.items():
            if isinstance(model, dict):
                tables[name] = [model] * len(sentences)
            else:
                names = [str(label) for label in model.classes_]
                tables[name] = [dict(zip(names, row, strict=True)) for row in model.predict_proba(rows).tolist()]
        return [
            _from_columns(sentence, {name: table[i] for name, table in tables.items()}, self.tag)
            for i, sentence in enumerate(sentences)
        ]


HYPOTHESES = {
    Stance.FAVOR: "The text supports or praises {name}.",
    Stance.AGAINST: "The text criticises, accuses or threatens {name}.",
    Stance.NEUTRAL: "The text mentions {name} without judging it.",
}
FRAME_HYPOTHESES = {
    Frame.SACRED_STRUGGLE: "Russia or North Korea is said to fight a just and historic struggle.",
    Frame.DESPERATION: "Russia or North Korea is said to act out of weakness, need or isolation.",
}
TONE_HYPOTHESES = {
    Sentiment.POSITIVE: "The tone of the text is positive.",
    Sentiment.NEGATIVE: "The tone of the text is negative.",
    Sentiment.NEUTRAL: "The tone of the text is neutral.",
}


class ZeroShotBaseline:
    """An NLI cross-encoder that was never shown our labels: one hypothesis a label (Yin et al., EMNLP 2019).

    A target is absent where no alias of it stands in the sentence; the holder is always the author.

    Raises:
        InputError: ONNX Runtime is not installed.
        EncoderNotFoundError: the model cannot be had.
    """

    tag = "baseline:zero-shot"

    def __init__(self) -> None:
        try:
            import onnxruntime  # noqa: PLC0415 - an extra
        except ImportError:
            raise InputError("baseline:zero-shot needs ONNX Runtime: pip install 'stanceframe[zero-shot]'") from None
        folder = find_nli()
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(NLI_LENGTH)
        self._tokenizer.enable_padding(length=NLI_LENGTH)
        self._session = onnxruntime.InferenceSession(str(folder / NLI_MODEL), providers=["CPUExecutionProvider"])

    def predict(self, sentences: Sequence[Sentence]) -> list[Prediction]:
        """One prediction a sentence."""
        return [self._one(sentence) for sentence in sentences]

    def _one(self, sentence: Sentence) -> Prediction:
        text = sentence.text
        stance = {}
        for target in Target:
            if find_mentions(text, TARGETS[target]):
                name = TARGETS[target].name
                scores = _shares_of(self._entailment(text, [h.format(name=name) for h in HYPOTHESES.values()]))
                stance[target] = {**dict(zip(HYPOTHESES, scores, strict=True)), Stance.ABSENT: 0.0}
            else:
                stance[target] = {label: float(label is Stance.ABSENT) for label in Stance}
        tone = _shares_of(self._entailment(text, list(TONE_HYPOTHESES.values())))
        frames = self._entailment(text, list(FRAME_HYPOTHESES.values()))
        return _prediction(
            sentence,
            stance,
            dict.fromkeys(Target, Holder.AUTHOR),
            dict(zip(FRAME_HYPOTHESES, frames, strict=True)),
            dict(zip(TONE_HYPOTHESES, tone, strict=True)),
            self.tag,
        )

    def _entailment(self, text: str, hypotheses: Sequence[str]) -> list[float]:
        """Probability that the text entails each hypothesis."""
        pairs = self._tokenizer.encode_batch([(text, hypothesis) for hypothesis in hypotheses])
        inputs = {
            "input_ids": np.array([pair.ids for pair in pairs], dtype=np.int64),
            "attention_mask": np.array([pair.attention_mask for pair in pairs], dtype=np.int64),
        }
        logits = np.asarray(self._session.run(None, inputs)[0], dtype=np.float64)
        return [float(p) for p in softmax(logits)[:, 0]]


def _shares_of(values: Sequence[float]) -> list[float]:
    total = sum(values) or 1.0
    return [value / total for value in values]
