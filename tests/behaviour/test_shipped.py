"""The shipped checkpoint does what the codebook says, on plain cases, and is what its card says that it is."""

import pytest

from stanceframe.data.corpus import read_labelled
from stanceframe.models.checkpoint import DERIVED, SHIPPED
from stanceframe.models.classifier import StanceClassifier
from stanceframe.models.labels import Frame, Holder, Stance, Target
from stanceframe.models.types import Prediction, Sentence
from stanceframe.training.evaluate import evaluate
from stanceframe.training.lessons import FROZEN_TEST

MOST_BYTES = 50_000_000


def label(classifier: StanceClassifier, text: str) -> Prediction:
    return classifier.predict([Sentence(text)])[0]


def test_it_is_small_and_holds_no_pickle() -> None:
    files = [path for path in SHIPPED.iterdir() if path.name != DERIVED]
    assert sum(file.stat().st_size for file in files) <= MOST_BYTES
    assert {file.suffix for file in files} == {".json", ".safetensors", ".md"}


def test_its_card_says_what_it_does_on_the_frozen_test(shipped: StanceClassifier) -> None:
    assert shipped.checkpoint is not None
    told = shipped.checkpoint.metrics["evaluations"]["frozen test"]
    found = evaluate(list(read_labelled(FROZEN_TEST)), shipped).to_json()
    assert found["n"] == told["n"]
    for figure in ("stance_macro_f1", "f1_sacred_struggle", "f1_desperation", "holder_accuracy", "sentiment_macro_f1"):
        assert found[figure]["value"] == pytest.approx(told[figure]["value"], abs=2e-3)
        assert f"| {figure} | {told[figure]['value']:.3f} |" in (SHIPPED / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "target", "stance"),
    [
        ("Kim toured a rocket plant near Khabarovsk on Friday.", Target.NORTH_KOREA, Stance.NEUTRAL),
        ("Kim toured a rocket plant near Khabarovsk on Friday.", Target.UNITED_STATES, Stance.ABSENT),
        ("The harvest was late in Anatolia this year.", Target.RUSSIA, Stance.ABSENT),
        ("The White House condemned North Korea for the launch.", Target.NORTH_KOREA, Stance.AGAINST),
        ("The White House condemned Russia for the launch.", Target.RUSSIA, Stance.AGAINST),
        ("The White House condemned Russia for the launch.", Target.UNITED_STATES, Stance.NEUTRAL),
        ("Kim Jong Un praised Russia as a true friend.", Target.RUSSIA, Stance.FAVOR),
        ("Putin thanked the DPRK for its selfless support.", Target.NORTH_KOREA, Stance.FAVOR),
        ("Putin thanked the DPRK for its selfless support.", Target.RUSSIA, Stance.NEUTRAL),
        ("Stand with Russia against the crimes of US imperialism.", Target.UNITED_STATES, Stance.AGAINST),
        ("Lavrov arrived in Pyongyang on Tuesday.", Target.RUSSIA, Stance.NEUTRAL),
    ],
)
def test_a_plain_stance(shipped: StanceClassifier, text: str, target: Target, stance: Stance) -> None:
    assert label(shipped, text).stance[target].label is stance


@pytest.mark.parametrize(
    ("text", "target", "holder"),
    [
        ("Kim Jong Un praised Russia as a true friend.", Target.RUSSIA, Holder.NORTH_KOREA),
        ("Putin thanked the DPRK for its selfless support.", Target.NORTH_KOREA, Holder.RUSSIA),
        ("The White House condemned Russia for the launch.", Target.RUSSIA, Holder.UNITED_STATES),
        ("Seoul condemned North Korea for the launch.", Target.NORTH_KOREA, Holder.OTHER),
    ],
)
def test_a_plain_holder(shipped: StanceClassifier, text: str, target: Target, holder: Holder) -> None:
    assert label(shipped, text).stance[target].holder is holder


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("“Russia has risen to a holy fight for its sovereignty,” Kim told his host.", {Frame.SACRED_STRUGGLE}),
        ("Blinken said the trip showed how desperate Moscow had become for shells.", {Frame.DESPERATION}),
        ("Kim toured a rocket plant near Khabarovsk on Friday.", set()),
        ("The United States and Japan signed a trade deal.", set()),
    ],
)
def test_a_plain_frame(shipped: StanceClassifier, text: str, frames: set[Frame]) -> None:
    assert set(label(shipped, text).framing.labels) == frames


def test_the_target_decides_not_the_words(shipped: StanceClassifier) -> None:
    russia = label(shipped, "Seoul condemned Russia over the treaty.").stance
    north_korea = label(shipped, "Seoul condemned North Korea over the treaty.").stance
    assert russia[Target.RUSSIA].label is north_korea[Target.NORTH_KOREA].label is Stance.AGAINST
    assert russia[Target.NORTH_KOREA].label is north_korea[Target.RUSSIA].label is Stance.ABSENT
