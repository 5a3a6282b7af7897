"""Behaviour: hand-written cases in families, each passed or not.

The three kinds are those of CheckList (Ribeiro et al., ACL 2020, "Beyond Accuracy"). A case of one sentence tests
a minimum of functionality. A pair whose answers must be the same tests invariance, and counts only where the
answer for the first is right. A pair whose answers must differ is directional, and passes where both are right.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from stanceframe.data.corpus import read_json_lines
from stanceframe.models.errors import InputError
from stanceframe.models.labels import Frame, Holder, Sentiment, Stance, Target
from stanceframe.models.types import Classifier, Prediction, Sentence
from stanceframe.training.evaluate import Evaluation

HOLDER = "holder."
PLAIN = (Stance.NEUTRAL, Stance.ABSENT)
_VALUES: Mapping[str, Sequence[str]] = {
    **{target: list(Stance) for target in Target},
    **{f"{HOLDER}{target}": list(Holder) for target in Target},
    "sentiment": list(Sentiment),
}

Answer = Mapping[str, Any]
"""By `TARGET`, `holder.TARGET` and `sentiment` a label, by `framing` a sorted list of frames."""


@dataclass(frozen=True, slots=True)
class Case:
    """Texts and what must be said of each: of one, or of one and the same with a change."""

    id: str
    family: str
    texts: Sequence[str]
    expected: Sequence[Answer]

    @property
    def is_invariance(self) -> bool:
        """Whether the change must not move the answer."""
        return len(self.texts) == 2 and self.expected[0] == self.expected[1]


def read_cases(path: Path) -> Iterator[Case]:
    """Cases of a JSONL file: `id`, `family`, `text`, `expect`, and of a pair `changed` and `expect_changed`.

    Raises:
        InputError: a line is no case, or an invariance case whose answer is plain (nobody evaluates, no frame
            holds): that would be passed by saying nothing. The message says `path:line`.
    """
    for number, value in read_json_lines(path):
        try:
            case = _case(value)
        except ValueError as error:
            raise InputError(f"{path}:{number}: no case: {error}") from None
        yield case


def _case(value: object) -> Case:
    if not isinstance(value, Mapping):
        raise ValueError(f"a case is a JSON object, not {type(value).__name__}")
    texts, expected = [_text(value, "text")], [_answer(value.get("expect"), "expect")]
    if "changed" in value or "expect_changed" in value:
        texts.append(_text(value, "changed"))
        expected.append(_answer(value.get("expect_changed"), "expect_changed"))
    case = Case(_text(value, "id"), _text(value, "family"), texts, expected)
    told = any(v not in PLAIN for k, v in expected[0].items() if k in set(Target)) or expected[0].get("framing")
    if case.is_invariance and not told:
        raise ValueError("an invariance case needs a stance that somebody holds, or a frame")
    return case


def _text(value: Mapping[str, Any], field: str) -> str:
    text = value.get(field)
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{field}: required, a string that is not empty")
    return text


def _answer(value: object, field: str) -> Answer:
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"{field}: required, a JSON object of what must be said")
    for key, label in value.items():
        if key == "framing":
            if not isinstance(label, list) or any(frame not in list(Frame) for frame in label):
                raise ValueError(f"framing: a list of {', '.join(Frame)}")
        elif key not in _VALUES:
            raise ValueError(f"{key!r} is none of {', '.join(_VALUES)}, framing")
        elif label not in list(_VALUES[key]):
            raise ValueError(f"{key}: {label!r} is none of {', '.join(_VALUES[key])}")
    return {key: sorted(set(label)) if key == "framing" else label for key, label in value.items()}


def said(prediction: Prediction) -> dict[str, Any]:
    """A prediction by the keys of an answer."""
    return {
        **{target: stance.label for target, stance in prediction.stance.items()},
        **{f"{HOLDER}{target}": stance.holder for target, stance in prediction.stance.items()},
        "framing": sorted(prediction.framing.labels),
        "sentiment": prediction.sentiment.label,
    }


def passed(cases: Sequence[Case], classifier: Classifier) -> list[bool | None]:
    """Whether each case is passed; None for an invariance case that does not count."""
    answers = iter(classifier.predict([Sentence(text) for case in cases for text in case.texts]))
    right = [[_agrees(said(next(answers)), expected) for expected in case.expected] for case in cases]
    return [None if case.is_invariance and not hits[0] else all(hits) for case, hits in zip(cases, right, strict=True)]


def _agrees(answer: Answer, expected: Answer) -> bool:
    return all(answer[key] == label for key, label in expected.items())


def judge_behaviour(cases: Sequence[Case], classifier: Classifier) -> Evaluation:
    """Each family's pass rate, with a 95% interval by Wilson's score, and the ids of what failed.

    A pair that must not differ and whose first answer is wrong does not count, and is among what failed all the same.

    Raises:
        InputError: there are no cases.
    """
    if not cases:
        raise InputError("there are no cases to judge by")
    families: dict[str, list[bool]] = defaultdict(list)
    failed = []
    for case, result in zip(cases, passed(cases, classifier), strict=True):
        if not result:
            failed.append(case.id)
        if result is not None:
            families[case.family].append(result)
    missing = sorted({case.family for case in cases} - set(families))
    figures = {f"passed_{family}": _rate(results) for family, results in sorted(families.items())}
    return Evaluation(classifier.tag, len(cases), figures, {}, missing, unit="cases", failed=failed)


def _rate(results: Sequence[bool]) -> tuple[float, float, float]:
    interval = binomtest(sum(results), len(results)).proportion_ci(method="wilson")
    return sum(results) / len(results), float(interval.low), float(interval.high)
