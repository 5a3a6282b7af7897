"""Evidence: which words it names, where they stand, and that they count."""

import random

import numpy as np
import pytest

from stanceframe.data.corpus import read_labelled
from stanceframe.models.classifier import SCHEMA_MENTIONS
from stanceframe.models.evidence import MOST, Explaining, without
from stanceframe.models.labels import Frame, Stance, Target
from stanceframe.models.types import Sentence
from stanceframe.training.lessons import FROZEN_TEST


@pytest.mark.parametrize(
    ("text", "words", "left"),
    [
        ("Kim praised Putin.", [(4, 11)], "Kim Putin."),
        ("Kim praised Putin.", [(0, 3)], "praised Putin."),
        ("Kim praised Putin.", [(0, 3), (12, 17)], "praised ."),
        ("a  b\tc", [], "a b c"),
    ],
)
def test_a_text_without_some_words_has_no_holes(text, words, left):
    assert without(text, words) == left


def test_evidence_stands_where_it_says_in_the_document(shipped):
    text = "The White House condemned Russia for the launch."
    (prediction,) = Explaining(shipped).predict([Sentence(text, document_id="d", start=100)])
    words = {text[e.start - 100 : e.end - 100] for e in prediction.evidence if e.label is Target.RUSSIA}
    assert "condemned" in words
    assert len(words) <= MOST and "Russia" not in words
    weights = [e.weight for e in prediction.evidence if e.label is Target.RUSSIA]
    assert weights == sorted(weights, reverse=True)


def test_a_words_weight_is_what_the_probability_loses_without_it(shipped):
    text = "Seoul condemned North Korea for the launch."
    (prediction,) = Explaining(shipped).predict([Sentence(text)])
    heaviest = next(e for e in prediction.evidence if e.label is Target.NORTH_KOREA)
    rest = without(text, [(heaviest.start, heaviest.end)])
    after = shipped.score([rest], [SCHEMA_MENTIONS])[0].stance[1, list(Stance).index(Stance.AGAINST)]
    assert heaviest.weight == pytest.approx(prediction.stance[Target.NORTH_KOREA].confidence - after, abs=1e-4)


def test_nothing_is_explained_where_nobody_evaluates_and_no_frame_holds(shipped):
    (prediction,) = Explaining(shipped).predict([Sentence("Lavrov arrived in Pyongyang on Tuesday.")])
    assert prediction.evidence == ()
    assert shipped.predict([prediction.sentence])[0].evidence is None


def test_the_labels_are_those_without_evidence(shipped):
    text = "“Russia has risen to a holy fight for its sovereignty,” Kim told his host."
    (explained,), (plain,) = Explaining(shipped).predict([Sentence(text)]), shipped.predict([Sentence(text)])
    assert explained.stance == plain.stance and explained.framing == plain.framing
    assert {e.label for e in explained.evidence} == {Target.RUSSIA, Frame.SACRED_STRUGGLE}


def test_the_words_it_names_count_for_more_than_random_ones(shipped):
    """Over sentences of the frozen test: without the words named, a label loses more than without as many others."""
    chance = random.Random(0)
    sentences = chance.sample([s for s in read_labelled(FROZEN_TEST) if 8 < len(s.text.split()) < 25], 60)
    named, others = [], []
    for prediction in Explaining(shipped).predict([Sentence(s.text) for s in sentences]):
        text = prediction.sentence.text
        for label in {e.label for e in prediction.evidence}:
            words = sorted((e.start, e.end) for e in prediction.evidence if e.label is label)
            spans = [(m, m + len(w)) for w in set(text.split()) for m in [text.find(w)]]
            pool = sorted({span for span in spans if span[0] >= 0} - set(words))
            random_words = sorted(chance.sample(pool, min(len(words), len(pool))))
            before = _probability(prediction, label, None)
            for lost, removed in ((named, words), (others, random_words)):
                after = shipped.score([without(text, removed)], [SCHEMA_MENTIONS])[0]
                lost.append(before - _probability(prediction, label, after))
    assert len(named) > 30
    assert np.mean(named) > 2 * np.mean(others)


def _probability(prediction, label, scores):
    if isinstance(label, Target):
        stance = prediction.stance[label]
        column = list(Stance).index(stance.label)
        return stance.confidence if scores is None else scores.stance[list(Target).index(label), column]
    return prediction.framing.probabilities[label] if scores is None else scores.framing[list(Frame).index(label)]


def test_a_very_long_sentence_is_not_explained(shipped):
    text = "The White House condemned Russia for the launch, " + "and again " * 100 + "today."
    (prediction,) = Explaining(shipped).predict([Sentence(text)])
    assert prediction.stance[Target.RUSSIA].label is Stance.AGAINST
    assert prediction.evidence == ()
