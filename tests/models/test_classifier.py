"""The laws of `predict`: order, independence of the batching, windows, and that no text makes it fail."""

import random
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stanceframe.models.calibration import Calibration, Platt, sigmoid, softmax
from stanceframe.models.checkpoint import SHIPPED
from stanceframe.models.classifier import (
    SCHEMA_MENTIONS,
    Scores,
    StanceClassifier,
    batches_by_length,
    decide,
    recalibrated,
)
from stanceframe.models.engines import TorchEngine
from stanceframe.models.labels import Frame, Holder, Sentiment, Stance, Target, TargetText
from stanceframe.models.network import Logits
from stanceframe.models.types import Mention, Sentence

WORDS = (
    "Russia Moscow Putin Pyongyang Washington US praised condemned met war sacred desperate shells friendship the of"
)
LENGTHS = [0, 1, 2, 3, 5, 8, 8, 8, 13, 21, 34, 55, 89, 144, 300]
CALIBRATION = Calibration(
    stance={Target.RUSSIA: 2.0, Target.NORTH_KOREA: 0.5, Target.UNITED_STATES: 3.5},
    framing={Frame.SACRED_STRUGGLE: Platt(0.5, -1.0), Frame.DESPERATION: Platt(2.0, 0.5)},
    sentiment=1.5,
)


def words(count, seed=0):
    return " ".join(random.Random(f"{seed} {count}").choices(WORDS.split(), k=count))


TEXTS = [words(count, seed) for seed in range(2) for count in LENGTHS]


@pytest.fixture
def tiny(tiny):
    """The tiny classifier with opinions: as they start, heads give every label nearly the same probability."""
    network = tiny.engine.network
    for part in (network.stance, network.holder, network.framing, network.sentiment, network.pool, network.slots):
        for weight in part.parameters():
            weight.data *= 10
    return tiny


def numbers(scores):
    """All probabilities of one sentence in a row."""
    return np.concatenate([scores.stance.ravel(), scores.holder.ravel(), scores.framing, scores.sentiment])


def score(classifier, texts, mentions=SCHEMA_MENTIONS):
    return classifier.score(texts, [mentions] * len(texts))


def difference(one, other):
    return max(np.abs(numbers(a) - numbers(b)).max() for a, b in zip(one, other, strict=True))


class Scripted:
    """An engine that says what it is told of an input with so many tokens."""

    tokens = 1024

    def __init__(self, said):
        self.said = said

    def run(self, batch):
        rows = [self.said[int(count)] for count in batch.attention_mask.sum(-1)]
        parts = ("stance", "holder", "framing", "sentiment")
        return Logits(*(torch.tensor(np.stack([row[part] for row in rows]), dtype=torch.float32) for part in parts))


def logits(stance, holder=(0.2,) * 5, framing=(0.5, 0.5), sentiment=(0.4, 0.3, 0.3)):
    """Logits of one input with one target, from probabilities."""
    framing = np.array(framing)
    return {
        "stance": np.log([stance]),
        "holder": np.log([holder]),
        "framing": np.log(framing) - np.log(1 - framing),
        "sentiment": np.log(sentiment),
    }


def scripted(tiny, said, calibration=None):
    return StanceClassifier(Scripted(said), tiny.encoder, calibration or tiny.calibration)


# Order and batching -------------------------------------------------------------------------------------------


def test_there_is_a_prediction_for_every_sentence_in_their_order(tiny):
    sentences = [Sentence(text, f"d{i}", i, 7 * i) for i, text in enumerate(TEXTS)]
    random.Random(0).shuffle(sentences)
    predictions = tiny.predict(sentences)
    assert [prediction.sentence for prediction in predictions] == sentences
    assert {prediction.model for prediction in predictions} == {tiny.tag}
    for sentence, prediction in zip(sentences, predictions, strict=True):
        (alone,) = tiny.predict([sentence])
        assert label_of(alone) == label_of(prediction)


def label_of(prediction):
    stance = [(said.label, said.holder, said.abstained) for said in prediction.stance.values()]
    return stance, prediction.framing.labels, prediction.sentiment.label, prediction.truncated


def test_no_sentences_no_predictions(tiny):
    assert tiny.predict([]) == []
    assert tiny.score([], []) == []


def test_sentences_differ_so_that_a_mix_up_would_show(tiny):
    said = [numbers(scores) for scores in score(tiny, TEXTS)]
    least = min(np.abs(a - b).max() for i, a in enumerate(said) for b in said[:i] if TEXTS[i] not in TEXTS[:i])
    assert least > 1e-4


def test_the_batching_changes_nothing(tiny):
    together = score(tiny, TEXTS)
    assert difference(together, [score(tiny, [text])[0] for text in TEXTS]) < 1e-5
    assert difference(together, score(tiny, TEXTS[::-1])[::-1]) < 1e-5
    pairs = [scores for i in range(0, len(TEXTS), 2) for scores in score(tiny, TEXTS[i : i + 2])]
    assert difference(together, pairs) < 1e-5


def test_the_batching_changes_next_to_nothing_in_bf16(tiny):
    rough = StanceClassifier(TorchEngine(tiny.engine.network, "bf16"), tiny.encoder, tiny.calibration)
    together, alone = score(rough, TEXTS), [score(rough, [text])[0] for text in TEXTS]
    assert difference(together, alone) < 2e-2  # random weights: trained ones are held to 5e-3 below
    assert labels_agree(together, alone, tie=4e-2)


def labels_agree(one, other, tie):
    """Whether the most probable stances are the same, wherever the two most probable are further apart than a tie."""
    pairs = [pair for a, b in zip(one, other, strict=True) for pair in zip(a.stance, b.stance, strict=True)]
    clear = [(a, b) for a, b in pairs if np.diff(np.sort(a)[-2:]) > tie]
    assert len(clear) > len(pairs) / 2
    return all(a.argmax() == b.argmax() for a, b in clear)


NEWS = [
    "Kim praised Putin.",
    "The Kremlin said that its spokesman would answer questions on Friday.",
    "Washington accused Pyongyang of shipping shells to Moscow in breach of sanctions, and both denied it.",
    "Russia's holy war for its sovereignty will surely be won, the leader in Pyongyang told his cheering officers.",
    "",
    "Starved of cash and friends, the regime sold whatever the Russian army would take.",
    " ".join(["The delegation met officials of the Russian ministry, and the talks, held in Pyongyang, went on."] * 15),
]


@pytest.mark.parametrize(
    ("engine", "tolerance"),
    [("torch-fp32", 1e-5), ("openvino-fp32", 1e-5), ("torch-bf16", 5e-3), ("openvino-bf16", 5e-3)],
)
def test_the_batching_changes_nothing_of_what_the_shipped_checkpoint_says(engine, tolerance):
    classifier = StanceClassifier.from_pretrained(SHIPPED, engine)
    together, alone = score(classifier, NEWS), [score(classifier, [text])[0] for text in NEWS]
    assert difference(together, alone) < tolerance
    assert labels_agree(together, alone, tie=2 * tolerance)


class Counting:
    """An engine that remembers how many inputs each batch had."""

    def __init__(self, engine):
        self.engine, self.tokens, self.inputs = engine, engine.tokens, []

    def run(self, batch):
        self.inputs.append(len(batch.input_ids))
        return self.engine.run(batch)


def test_what_is_asked_twice_is_answered_once(tiny):
    counting = Counting(tiny.engine)
    classifier = StanceClassifier(counting, tiny.encoder, tiny.calibration)
    repeated = score(classifier, [*TEXTS, *TEXTS])
    assert sum(counting.inputs) == sum(1 for _ in tiny.encoder.windows(*distinct(TEXTS)))
    assert difference(repeated, [*score(tiny, TEXTS), *score(tiny, TEXTS)]) < 1e-5


def distinct(texts):
    once = list(dict.fromkeys(texts))
    return once, [SCHEMA_MENTIONS] * len(once)


def test_what_was_asked_last_is_remembered_up_to_a_limit(tiny):
    counting = Counting(tiny.engine)
    classifier = StanceClassifier(counting, tiny.encoder, tiny.calibration, remember=2)

    def asks(*texts):
        """How many inputs the network read to label these."""
        counting.inputs.clear()
        for text, said in zip(texts, classifier.predict([Sentence(text, start=7) for text in texts]), strict=True):
            (alone,) = tiny.predict([Sentence(text, start=7)])
            assert said.sentence == alone.sentence
            assert [*said.sentiment.probabilities.values()] == pytest.approx([*alone.sentiment.probabilities.values()])
        return sum(counting.inputs)

    assert asks("Kim", "Moscow") == 2
    assert asks("Moscow", "Kim") == 0
    assert asks("Putin") == 1, "and Moscow, asked of before Kim, is forgotten"
    assert (asks("Kim"), asks("Moscow")) == (0, 1)
    long = "war " * 300
    assert asks(long) == asks(long) > 0


def test_nothing_is_remembered_unless_asked_for(tiny):
    counting = Counting(tiny.engine)
    classifier = StanceClassifier(counting, tiny.encoder, tiny.calibration)
    classifier.predict([Sentence("Kim")])
    classifier.predict([Sentence("Kim")])
    assert len(counting.inputs) == 2


def test_the_same_text_is_asked_again_for_other_targets(tiny):
    first, other = SCHEMA_MENTIONS[:1], SCHEMA_MENTIONS[1:2]
    together = tiny.score([TEXTS[0], TEXTS[0]], [first, other])
    assert difference(together, [tiny.score([TEXTS[0]], [asked])[0] for asked in (first, other)]) < 1e-5
    assert difference(together[:1], together[1:]) > 1e-4


def test_the_same_call_again_says_the_same(tiny):
    assert difference(score(tiny, TEXTS), score(tiny, TEXTS)) == 0


@settings(deadline=None)
@given(st.lists(st.integers(1, 200)), st.integers(1, 400))
def test_batches_hold_every_input_once_within_their_budget(lengths, tokens):
    batches = list(batches_by_length(lengths, tokens))
    assert Counter(i for batch in batches for i in batch) == Counter(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= tokens


def test_like_lengths_are_batched_together():
    assert list(batches_by_length([9, 1, 9, 1], 20)) == [[1, 3], [0, 2]]


# Targets ------------------------------------------------------------------------------------------------------

ASKED = [Mention(TargetText(name)) for name in ("Moscow", "Washington", "Kim", "war", "Putin", "Pyongyang")]
TEXT = "Putin said the war of Moscow and Washington desperate, and Kim met Pyongyang."


def test_other_inputs_targets_change_nothing(tiny):
    texts = [TEXT] * 4
    mentions = [ASKED[:1], ASKED[:4], [], ASKED[2:4]]
    together = tiny.score(texts, mentions)
    alone = [tiny.score([TEXT], [asked])[0] for asked in mentions]
    assert [scores.stance.shape for scores in together] == [(1, 4), (4, 4), (0, 4), (2, 4)]
    assert difference(together, alone) < 1e-5


def test_targets_beyond_one_pass_change_nothing_for_those_in_it(tiny):
    ((all_six,), (first,), (last,)) = (score(tiny, [TEXT], asked) for asked in (ASKED, ASKED[:4], ASKED[4:]))
    for part in ("stance", "holder"):
        apart = np.concatenate([getattr(first, part), getattr(last, part)])
        assert np.abs(getattr(all_six, part) - apart).max() < 1e-5


def test_the_order_of_passes_is_the_order_of_targets(tiny):
    (one,), (other,) = (score(tiny, [TEXT], asked) for asked in (ASKED, ASKED[4:] + ASKED[:4]))
    assert np.abs(one.stance[4:] - other.stance[:2]).max() > 1e-4  # another pass, with other targets beside
    assert one.stance.shape == other.stance.shape == (6, 4)


# Windows ------------------------------------------------------------------------------------------------------


def test_a_long_sentence_is_read_to_its_end(tiny):
    before, again, after = (score(tiny, [text]) for text in (words(300), words(300), words(300) + " shells"))
    assert difference(before, again) < 1e-5
    assert difference(before, after) > 1e-4
    assert not after[0].truncated


def test_what_is_not_read_is_flagged(tiny):
    (prediction,) = tiny.predict([Sentence("war " * 5000)])
    assert prediction.truncated
    assert len(prediction.sentence.text) == 20_000


ONE_NAME = [Mention(TargetText("Russia"))]
"""[CLS] russia [SEP] … [SEP]: of 96 tokens 92 are left, and the next window begins 60 tokens on."""
TWO_WINDOWS = {96: "the first: 92 tokens and the separator", 4 + 50: "the second, of 110 tokens: from 60 on, 50"}


def two_windows(tiny, first, second, calibration=None):
    (scores,) = score(scripted(tiny, {96: first, 54: second}, calibration), ["war " * 110], ONE_NAME)
    return scores


def test_windows_are_merged_by_hand(tiny):
    scores = two_windows(
        tiny,
        logits((0.1, 0.2, 0.1, 0.6), (0.6, 0.1, 0.1, 0.1, 0.1), (0.9, 0.2), (0.5, 0.3, 0.2)),
        logits((0.6, 0.1, 0.1, 0.2), (0.1, 0.6, 0.1, 0.1, 0.1), (0.3, 0.4), (0.2, 0.3, 0.5)),
    )
    # P(absent) is the least; the other 0.8 is shared as 0.1 + 0.6, 0.2 + 0.1, 0.1 + 0.1 are, which make 1.2.
    assert scores.stance[0] == pytest.approx([0.8 * 7 / 12, 0.8 * 3 / 12, 0.8 * 2 / 12, 0.2], abs=1e-6)
    # The holder is weighted with P(mentioned): 0.4 and 0.8.
    assert scores.holder[0] == pytest.approx([0.8 / 3, 1.3 / 3, 0.1, 0.1, 0.1], abs=1e-6)
    assert scores.framing == pytest.approx([0.9, 0.4], abs=1e-6)
    # Sentiment is weighted with the tokens, separator included: 93 and 51.
    expected = [(93 * a + 51 * b) / 144 for a, b in ((0.5, 0.2), (0.3, 0.3), (0.2, 0.5))]
    assert scores.sentiment == pytest.approx(expected, abs=1e-6)
    assert not scores.truncated


def test_a_target_is_absent_where_every_window_says_so(tiny):
    never = logits((0.01, 0.01, 0.01, 0.97))
    once = logits((0.9, 0.04, 0.03, 0.03))
    assert two_windows(tiny, never, never).stance[0].argmax() == 3
    assert two_windows(tiny, never, once).stance[0].argmax() == 0


def test_equal_windows_say_what_one_does(tiny):
    said = logits((0.1, 0.2, 0.3, 0.4), (0.1, 0.2, 0.3, 0.2, 0.2), (0.7, 0.2), (0.5, 0.3, 0.2))
    (once,) = score(scripted(tiny, {5: said}), ["war"], ONE_NAME)
    assert difference([two_windows(tiny, said, said)], [once]) < 1e-6
    assert once.stance[0] == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=1e-6)


def test_a_target_that_is_surely_absent_has_probabilities_all_the_same(tiny):
    said = {**logits((0.25,) * 4), "stance": np.array([[-1e4, -1e4, -1e4, 1e4]])}
    scores = two_windows(tiny, said, said)
    assert scores.stance[0].tolist() == [0.0, 0.0, 0.0, 1.0]
    assert scores.holder[0] == pytest.approx([0.2] * 5)


# Calibration and decisions ------------------------------------------------------------------------------------


def test_each_head_has_its_temperature(tiny):
    raw = {
        "stance": np.array([[1.0, 2.0, 0.0, -1.0]] * 3),
        "holder": np.zeros((3, 5)),
        "framing": np.array([1.0, -1.0]),
        "sentiment": np.array([1.0, 0.0, 2.0]),
    }
    count = len(next(iter(tiny.encoder.windows(["war"], [SCHEMA_MENTIONS]))).input_ids)
    (scores,) = score(scripted(tiny, {count: raw}, CALIBRATION), ["war"])
    for row, temperature in zip(scores.stance, (2.0, 0.5, 3.5), strict=True):
        assert row == pytest.approx(softmax(raw["stance"][0] / temperature), abs=1e-6)
    assert scores.framing == pytest.approx(sigmoid(np.array([0.5 * 1 - 1.0, 2 * -1 + 0.5])), abs=1e-6)
    assert scores.sentiment == pytest.approx(softmax(raw["sentiment"] / 1.5), abs=1e-6)


def test_a_target_outside_the_schema_gets_the_mean_temperature(tiny):
    (scores,) = score(
        scripted(tiny, {5: logits((0.1, 0.2, 0.3, 0.4))}, CALIBRATION), ["war"], [Mention(TargetText("Kim"))]
    )
    assert scores.stance[0] == pytest.approx(softmax(np.log([0.1, 0.2, 0.3, 0.4]) / 2), abs=1e-6)


def test_calibrating_afterwards_is_calibrating_at_once(tiny):
    texts = [text for text in TEXTS if len(text.split()) < 50]
    calibrated = StanceClassifier(tiny.engine, tiny.encoder, CALIBRATION)
    later = [recalibrated(scores, CALIBRATION) for scores in score(tiny, texts)]
    assert [scores.holder.tolist() for scores in later] == [scores.holder.tolist() for scores in score(tiny, texts)]
    assert difference(later, score(calibrated, texts)) < 1e-6


SCORES = Scores(
    stance=np.array([[0.5, 0.3, 0.1, 0.1], [0.1, 0.6, 0.2, 0.1], [0.1, 0.1, 0.1, 0.7]]),
    holder=np.array([[0.1, 0.1, 0.6, 0.1, 0.1], [0.6, 0.1, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1, 0.1, 0.6]]),
    framing=np.array([0.4, 0.4]),
    sentiment=np.array([0.2, 0.7, 0.1]),
    truncated=True,
)


def test_decisions_by_hand():
    calibration = replace(
        Calibration(),
        frame_threshold={Frame.SACRED_STRUGGLE: 0.4, Frame.DESPERATION: 0.41},
        abstain_below={Target.RUSSIA: 0.51, Target.NORTH_KOREA: 0.6, Target.UNITED_STATES: 0.0},
    )
    sentence = Sentence("Kim praised Putin.")
    said = decide(sentence, SCORES, calibration, "stanceframe:x")
    assert (said.sentence, said.truncated, said.model) == (sentence, True, "stanceframe:x")
    assert [(s.label, s.confidence, s.abstained, s.holder) for s in said.stance.values()] == [
        (Stance.FAVOR, 0.5, True, Holder.NORTH_KOREA),
        (Stance.AGAINST, 0.6, False, Holder.AUTHOR),
        (Stance.ABSENT, 0.7, False, None),
    ]
    assert list(said.stance) == list(Target)
    assert list(said.stance[Target.RUSSIA].probabilities.items()) == list(zip(Stance, SCORES.stance[0], strict=True))
    assert said.framing.labels == (Frame.SACRED_STRUGGLE,)
    assert list(said.framing.probabilities) == list(Frame)
    assert (said.sentiment.label, said.sentiment.confidence) == (Sentiment.NEGATIVE, 0.7)


def test_predictions_are_probabilities_and_their_most_probable_labels(tiny):
    for said in tiny.predict([Sentence(text) for text in TEXTS]):
        for part in (*said.stance.values(), said.sentiment):
            assert sum(part.probabilities.values()) == pytest.approx(1)
            assert part.confidence == part.probabilities[part.label] == max(part.probabilities.values())
        for stance in said.stance.values():
            assert (stance.holder is not None) == (stance.label in {Stance.FAVOR, Stance.AGAINST})
        assert said.framing.labels == tuple(f for f, p in said.framing.probabilities.items() if p >= 0.5)


# Strange texts ------------------------------------------------------------------------------------------------

STRANGE = [
    "",
    " \t\n\u3000",
    "😀🇰🇵👨‍👩‍👧",
    "\x00\x01\ufffd\ufeff\u202e",
    "Russia \ud83d praised",
    "\udc00",
    "e\u0301" * 50,
    "김정은은 푸틴을 만났다。",
    "<s>[CLS][SEP][PAD][MASK]</s>",
]


@pytest.mark.parametrize("text", STRANGE, ids=ascii)
def test_no_text_makes_it_fail_or_disturbs_its_neighbours(tiny, text):
    plain = "Moscow praised Kim."
    before, strange, after = tiny.predict([Sentence(plain), Sentence(text), Sentence(plain)])
    assert strange.sentence.text == text
    assert sum(strange.sentiment.probabilities.values()) == pytest.approx(1)
    (alone,) = tiny.predict([Sentence(plain)])
    for neighbour in (before, after):
        assert label_of(neighbour) == label_of(alone)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(st.characters(codec=None)), max_size=3))
def test_any_texts_are_labelled(any_tiny, texts):
    assert [said.sentence.text for said in any_tiny.predict([Sentence(text) for text in texts])] == texts


@pytest.fixture(scope="module")
def any_tiny(new_tiny):
    return new_tiny()


@pytest.mark.parametrize("text", ["x", "US ", " ", "words and so on ", "😀"])
def test_a_megabyte_in_one_sentence_is_read_as_far_as_may_be_and_soon(tiny, text):
    text *= 1_000_000 // len(text)
    started = time.process_time()
    (prediction,) = tiny.predict([Sentence(text)])
    assert time.process_time() - started < 1
    assert prediction.truncated
    assert prediction.sentence.text == text
