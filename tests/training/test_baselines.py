"""What the network has to beat, on a set that can be learned."""

import sys
from dataclasses import replace

import pytest

from stanceframe.models.checkpoint import cache_folder
from stanceframe.models.errors import InputError
from stanceframe.models.labels import Frame, Sentiment, Stance, Target
from stanceframe.models.types import LabelledSentence, Sentence
from stanceframe.training.baselines import MajorityBaseline, TfidfBaseline, ZeroShotBaseline
from stanceframe.training.encoders import NLI_MODEL
from stanceframe.training.evaluate import evaluate


def test_the_majority_says_the_commonest_label_of_each_head_with_its_share():
    stances = [Stance.FAVOR, Stance.FAVOR, Stance.AGAINST, None]
    sentences = [
        LabelledSentence(
            str(i),
            str(i),
            stance={} if stance is None else {Target.RUSSIA: stance},
            framing=frozenset({Frame.DESPERATION} if i < 3 else ()),
            sentiment=[Sentiment.NEGATIVE, Sentiment.NEGATIVE, Sentiment.NEGATIVE, Sentiment.POSITIVE][i],
        )
        for i, stance in enumerate(stances)
    ]
    one, other = MajorityBaseline(sentences).predict([Sentence("a"), Sentence("b")])
    assert one.sentence.text == "a" and replace(one, sentence=other.sentence) == other
    assert one.stance[Target.RUSSIA].label == Stance.FAVOR
    assert one.stance[Target.RUSSIA].confidence == pytest.approx(2 / 3)
    assert one.framing.labels == (Frame.DESPERATION,) and one.framing.probabilities[Frame.DESPERATION] == 0.75
    assert one.framing.probabilities[Frame.SACRED_STRUGGLE] == 0
    assert (one.sentiment.label, one.sentiment.confidence) == (Sentiment.NEGATIVE, 0.75)


def test_the_holder_is_the_commonest_and_only_there_where_somebody_evaluates(toy):
    for prediction in MajorityBaseline(toy).predict([Sentence("a")]):
        assert all(s.label is Stance.ABSENT and s.holder is None for s in prediction.stance.values())
    favors = [replace(s, stance=dict.fromkeys(Target, Stance.FAVOR)) for s in toy]
    for prediction in MajorityBaseline(favors).predict([Sentence("a")]):
        assert all(s.holder is not None for s in prediction.stance.values())


def test_tfidf_learns_what_stands_in_the_words(toy):
    split = len(toy) // 3
    judged = evaluate(toy[:split], TfidfBaseline(toy[split:])).figures
    majority = evaluate(toy[:split], MajorityBaseline(toy[split:])).figures
    assert judged["sentiment_macro_f1"][0] > 0.95
    assert judged["f1_sacred_struggle"][0] > 0.95 and judged["f1_desperation"][0] > 0.95
    for figure in ("stance_macro_f1", "stance_macro_f1_mentioned", "sentiment_macro_f1"):
        assert judged[figure][0] > majority[figure][0] + 0.2


def test_probabilities_are_probabilities_and_the_label_is_the_most_probable(toy):
    for baseline in (MajorityBaseline(toy), TfidfBaseline(toy)):
        for prediction in baseline.predict([Sentence(s.text) for s in toy[:5]]):
            for said in (*prediction.stance.values(), prediction.sentiment):
                assert sum(said.probabilities.values()) == pytest.approx(1.0)
                assert said.confidence == max(said.probabilities.values()) == said.probabilities[said.label]
            assert prediction.model == baseline.tag


def test_a_head_with_one_label_or_none_is_no_obstacle(toy):
    bare = [replace(s, stance={Target.RUSSIA: Stance.NEUTRAL}, holder={}, framing=None) for s in toy]
    (prediction,) = TfidfBaseline(bare).predict([Sentence("kim met putin")])
    assert prediction.stance[Target.RUSSIA].label == Stance.NEUTRAL
    assert prediction.framing.labels == ()


@pytest.mark.parametrize("count", [0, 1])
def test_too_little_to_fit_on_is_the_callers_mistake(toy, count):
    with pytest.raises(InputError, match=f"baseline:tfidf: {count} sentences are too few"):
        TfidfBaseline(toy[:count])


def test_without_its_runtime_the_zero_shot_baseline_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"pip install 'stanceframe\[zero-shot\]'"):
        ZeroShotBaseline()


def test_the_zero_shot_baseline_reads_plain_cases():
    pytest.importorskip("onnxruntime")
    if not (cache_folder() / "nli" / NLI_MODEL).is_file():
        pytest.skip("the zero-shot model is not in the cache")
    praise, blame, nobody = ZeroShotBaseline().predict(
        [
            Sentence("The writer praised Russia and expressed full support for Russia."),
            Sentence("The writer accused Russia of terrible crimes and threatened Russia with sanctions."),
            Sentence("The weather was fine."),
        ]
    )
    # It hardly hears the "without" in the hypothesis for neutral, so praise is only compared with blame.
    said = praise.stance[Target.RUSSIA].probabilities
    assert said[Stance.FAVOR] > 10 * said[Stance.AGAINST] and praise.sentiment.label == Sentiment.POSITIVE
    assert blame.stance[Target.RUSSIA].label == Stance.AGAINST and blame.sentiment.label == Sentiment.NEGATIVE
    assert all(stance.label == Stance.ABSENT for stance in nobody.stance.values())
    assert praise.stance[Target.NORTH_KOREA].label == Stance.ABSENT
