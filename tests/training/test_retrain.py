"""Retraining, for real, in a toy world: a tiny network, sentences of a few words, a new convention to learn.

The tone is in the verb, and the incumbent knows three verbs. A newsroom uses three others, which the incumbent
never read: that is its systematic error.
"""

import itertools
import json
import random
from dataclasses import replace

import pytest

from stanceframe.data.corpus import write_labelled
from stanceframe.data.examples import from_labelled
from stanceframe.data.store import AnnotationStore
from stanceframe.models.champion import Champions, home, resolve
from stanceframe.models.checkpoint import Checkpoint
from stanceframe.models.classifier import StanceClassifier
from stanceframe.models.errors import InputError
from stanceframe.models.labels import Frame, Sentiment, Stance, Target
from stanceframe.models.types import LabelledSentence, Sentence
from stanceframe.training import registry, retrain
from stanceframe.training.candidate import mixed, on_the_unlabelled
from stanceframe.training.config import Recipe
from stanceframe.training.optimise import Lesson, optimise

RECIPE = Recipe("toy", "incumbent", (), epochs=8, learning_rate=3e-3, dropout=0.0, distil=0.5, unmarked=0.0, mix=0.9)
TONES = {"praised": Sentiment.POSITIVE, "condemned": Sentiment.NEGATIVE, "met": Sentiment.NEUTRAL}
NEW_TONES = {"sacred": Sentiment.POSITIVE, "desperate": Sentiment.NEGATIVE, "said": Sentiment.NEUTRAL}
TURNED = {"praised": Sentiment.NEGATIVE, "condemned": Sentiment.NEUTRAL, "met": Sentiment.POSITIVE}
WHO = ["kim", "putin", "moscow", "pyongyang", "washington"]
WHAT = ["russia", "korea", "friendship", "war", "shells", "states"]


def world(prefix, tones):
    """Every sentence of the toy world, labelled."""
    texts = [
        (verb, f"{prefix} {who} {verb} {what} {ending}")
        for who, (verb, what, ending) in itertools.product(WHO, itertools.product(tones, WHAT, ("of u", "to s")))
    ]
    random.Random(1).shuffle(texts)
    return [LabelledSentence(text, text, sentiment=tones[verb], document_id=text) for verb, text in texts]


OLD, NEW = world("the", TONES), world("the", NEW_TONES)


def shuffled(sentences):
    tones = [s.sentiment for s in sentences]
    random.Random(0).shuffle(tones)
    return [replace(s, sentiment=tone) for s, tone in zip(sentences, tones, strict=True)]


@pytest.fixture(scope="module")
def trained(new_tiny):
    """A tiny network that knows the old convention."""
    classifier = new_tiny()
    lessons = [Lesson(from_labelled(s)) for s in OLD[:120]]
    optimise(
        classifier.engine.network,
        classifier.encoder,
        lambda _: lessons,
        replace(RECIPE, epochs=30, distil=0.0),
        quiet=True,
    )
    return classifier


@pytest.fixture
def incumbent(trained, installation, save, monkeypatch):
    """A champion that knows the old convention, with a frozen test and a corpus of it."""
    write_labelled(installation / "corpus.jsonl", OLD[:120])
    write_labelled(installation / "test.jsonl", OLD[120:])
    monkeypatch.setattr(retrain, "REPLAY", installation / "corpus.jsonl")
    monkeypatch.setattr(retrain, "FROZEN_TEST", installation / "test.jsonl")
    checkpoint = save(trained, installation / "incumbent")
    registry.promote(str(checkpoint.path), "knows the old convention")
    return checkpoint


def run(folder, sentences, **options):
    write_labelled(folder / "new.jsonl", sentences)
    return retrain.retrain([folder / "new.jsonl"], recipe=RECIPE, quiet=True, **options)


def tones(sentences):
    classifier = StanceClassifier.from_pretrained(resolve())
    return [p.sentiment.label for p in classifier.predict([Sentence(s.text) for s in sentences])]


def share_right(sentences):
    return sum(s.sentiment is tone for s, tone in zip(sentences, tones(sentences), strict=True)) / len(sentences)


def test_labels_that_mend_a_systematic_error_are_promoted_and_change_the_answers(incumbent, installation):
    assert share_right(OLD) > 0.9
    assert share_right(NEW) < 0.6

    outcome = run(installation, NEW)

    assert outcome.decision.promote
    candidate = Checkpoint.open(resolve())
    assert candidate.tag == outcome.promoted != incumbent.tag
    assert share_right(outcome.lot.judge) > 0.9
    assert share_right(OLD) > 0.9, "old skills stay"
    assert f"Promoted {candidate.tag} in place of {incumbent.tag}: it is better on the held-out" in str(outcome)


def test_a_promoted_checkpoint_says_where_it_comes_from(incumbent, installation):
    outcome = run(installation, NEW)
    candidate = Checkpoint.open(resolve())
    assert [source["name"] for source in candidate.trained_on] == ["toy", "new labels"]
    assert candidate.trained_on[1]["sentences"] == len(outcome.lot.learn)
    assert candidate.base_encoder == incumbent.base_encoder
    kept = candidate.metrics["retraining"]
    assert kept["incumbent"] == incumbent.tag
    assert kept["frozen_test"]["low"] == outcome.decision.frozen.low
    assert candidate.metrics["evaluations"]["frozen test"]["n"] == len(OLD[120:])
    card = (candidate.path / "README.md").read_text()
    assert incumbent.tag in card
    assert str(outcome.decision.new) in card
    assert registry.origin(candidate) == f"retrained from {incumbent.tag} with {outcome.lot.new} new labels"
    assert Champions.read().champion.reason == outcome.decision.reason()


def test_what_was_learned_is_not_new_again(incumbent, installation):
    first = run(installation, NEW)
    second = run(installation, NEW)
    assert first.promoted
    assert (second.stored, second.lot.new, second.decision) == (0, 0, None)
    registry.roll_back()
    assert run(installation, NEW[:1]).lot.new == len(NEW), "what the champion rolled back has learned is new again"


def test_shuffled_labels_are_refused_and_change_nothing(incumbent, installation):
    outcome = run(installation, shuffled(NEW))
    assert not outcome.decision.promote
    assert outcome.promoted is None
    assert Checkpoint.open(resolve()).tag == incumbent.tag
    assert f"Refused, {incumbent.tag} stays: " in str(outcome)
    assert len(AnnotationStore(home() / "annotations.sqlite").current()) == len(NEW), "the labels are kept"


def test_labels_that_would_cost_old_skills_are_refused(incumbent, installation):
    """They say the contrary of the frozen test, and nothing is replayed: learned well, and refused for it."""
    (installation / "corpus.jsonl").write_text("")
    outcome = run(installation, world("a", TURNED))
    assert outcome.decision.learns
    assert not outcome.decision.keeps_skills
    assert "points on the frozen test, where 1 is the most allowed" in str(outcome)


def test_a_dry_run_decides_and_leaves_no_trace(incumbent, installation):
    outcome = run(installation, NEW, dry_run=True)
    assert outcome.decision.promote
    assert "It would be promoted" in str(outcome)
    assert Checkpoint.open(resolve()).tag == incumbent.tag
    assert AnnotationStore(home() / "annotations.sqlite").current() == []


def test_too_few_labels_wait_until_there_are_enough(incumbent, installation):
    outcome = run(installation, NEW[:30])
    assert (outcome.stored, outcome.decision) == (30, None)
    assert "Nothing decided: there are 30 new labels, and 50 are needed" in str(outcome)
    assert run(installation, NEW[30:49]).lot.new == 49
    assert run(installation, NEW[49:60], dry_run=True).decision is not None


def test_sentences_of_the_frozen_test_are_rejected_by_name(incumbent, installation):
    outcome = run(installation, [*NEW[:10], OLD[-1]])
    assert [r.id for r in outcome.rejected] == [OLD[-1].id]
    assert f"rejected {OLD[-1].id}: it is a sentence of the frozen test" in str(outcome)
    assert outcome.stored == 10


def test_a_sentence_without_a_label_is_rejected_in_the_run_that_brought_it(incumbent, installation):
    bare = replace(NEW[0], id="bare", text="nobody labelled this .", stance={}, holder={}, framing=None, sentiment=None)
    outcome = run(installation, [*NEW[:10], bare])
    assert [(r.id, r.reason) for r in outcome.rejected] == [("bare", "it has no label")]
    assert outcome.stored == 10
    assert run(installation, NEW[10:20]).rejected == []


def test_a_line_that_is_no_labelled_sentence_is_named_and_nothing_is_stored(incumbent, installation):
    bad = installation / "bad.jsonl"
    bad.write_text(json.dumps({"text": "Good."}) + "\n" + json.dumps({"text": "Bad.", "sentiment": "angry"}) + "\n")
    with pytest.raises(InputError, match=r"bad\.jsonl:2: sentiment: 'angry' is none of"):
        retrain.retrain([bad])
    assert AnnotationStore(home() / "annotations.sqlite").current() == []


def test_a_retraining_that_was_cut_before_the_pointer_moved_can_be_run_again(incumbent, installation, monkeypatch):
    def crash(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Champions, "write", crash)
        with pytest.raises(KeyboardInterrupt):
            run(installation, NEW)
    assert Checkpoint.open(resolve()).tag == incumbent.tag
    outcome = run(installation, NEW)
    assert outcome.stored == 0
    assert Checkpoint.open(resolve()).tag == outcome.promoted


def test_the_teacher_is_silent_where_a_person_has_labelled(tiny):
    sentence = LabelledSentence(
        "a", "kim met putin", stance={Target.RUSSIA: Stance.FAVOR}, framing=frozenset({Frame.DESPERATION})
    )
    example = from_labelled(sentence)
    (scores,) = tiny.score([example.text], [[labels.mention for labels in example.targets]])
    silent = on_the_unlabelled(scores, example)
    assert [bool(row[0] != row[0]) for row in silent.stance] == [True, False, False]
    assert [bool(row[0] != row[0]) for row in silent.holder] == [True, False, False]
    assert (silent.framing != silent.framing).all()
    assert (silent.sentiment == scores.sentiment).all()


def test_weights_are_mixed_on_the_line_and_rounded_as_they_are_kept(tiny):
    start = {name: tensor.clone() for name, tensor in tiny.engine.network.state_dict().items()}
    trained = {name: tensor + 1 for name, tensor in start.items()}
    assert all(tensor.equal(start[name].half().float()) for name, tensor in mixed(start, trained, 0.0).items())
    assert all(tensor.equal(trained[name].half().float()) for name, tensor in mixed(start, trained, 1.0).items())
    half = mixed(start, trained, 0.5)
    assert all(tensor.sub(start[name] + 0.5).abs().max() < 0.01 for name, tensor in half.items())
