"""The training loop, with a network that is tiny and otherwise real."""

from collections import Counter
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from stanceframe.data.examples import Example, TargetLabels, from_labelled
from stanceframe.models.calibration import Calibration
from stanceframe.models.classifier import StanceClassifier
from stanceframe.models.engines import TorchEngine
from stanceframe.models.errors import ConfigError
from stanceframe.models.labels import TARGETS, Frame, Holder, Sentiment, Stance, Target, TargetText
from stanceframe.models.network import Logits
from stanceframe.models.types import Mention, Sentence
from stanceframe.training.optimise import IGNORED, Gold, Lesson, loss_of, optimise
from stanceframe.training.train import new_network

HEADS = ("stance", "holder", "framing", "sentiment")


class CutError(Exception):
    """What ends a run too early."""


@pytest.fixture(scope="module")
def lessons(toy):
    return [Lesson(from_labelled(sentence)) for sentence in toy]


@pytest.fixture
def fresh(recipe, base):
    """Builds classifiers that have learned nothing yet, all alike."""
    return lambda: untrained(recipe, base)


def untrained(recipe, base):
    network, encoder = new_network(recipe, base)
    return StanceClassifier(TorchEngine(network), encoder, Calibration())


@pytest.fixture(scope="module")
def learned(recipe, base, lessons):
    """A classifier that knows the toy world, and how its loss fell."""
    classifier = untrained(recipe, base)
    return classifier, run(classifier, lessons, replace(recipe, epochs=30))


def run(classifier, lessons, recipe, **options):
    """Train on the same lessons in every epoch: the losses."""
    return optimise(classifier.engine.network, classifier.encoder, lambda _: lessons, recipe, quiet=True, **options)


def weights(classifier):
    return {name: tensor.clone() for name, tensor in classifier.engine.network.state_dict().items()}


def equal(one, other):
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def batches(classifier, lessons, recipe):
    """Every batch that the network is given in a run."""
    with watched(classifier.engine.network) as seen:
        run(classifier, lessons, recipe)
    return seen


@contextmanager
def watched(network):
    """A list of what the network is given."""
    seen, states = [], network.states
    network.states = lambda batch: seen.append(batch) or states(batch)
    yield seen
    del network.states


def test_a_tiny_network_learns_a_tiny_set(learned, toy):
    classifier, losses = learned
    assert len(losses) == 30 and losses[-1] < losses[0] / 10
    said = classifier.predict([Sentence(sentence.text) for sentence in toy])
    pairs = [(p.stance[t], s.stance[t], s.holder.get(t)) for s, p in zip(toy, said, strict=True) for t in Target]
    assert np.mean([stance.label == gold for stance, gold, _ in pairs]) > 0.95
    assert np.mean([stance.holder == holder for stance, _, holder in pairs if holder]) > 0.95
    assert np.mean([set(p.framing.labels) == s.framing for s, p in zip(toy, said, strict=True)]) > 0.95
    assert np.mean([p.sentiment.label == s.sentiment for s, p in zip(toy, said, strict=True)]) > 0.95


def test_a_run_that_was_cut_ends_as_if_it_had_not_been(fresh, lessons, recipe, tmp_path):
    recipe = replace(recipe, dropout=0.2, unmarked=0.5, average=0.8)
    whole, taken_up = fresh(), fresh()
    losses = run(whole, lessons, recipe)

    def cut(epoch):
        if epoch == 1:
            raise CutError
        return lessons

    state = tmp_path / "run.state"
    network = fresh().engine.network
    with pytest.raises(CutError):
        optimise(network, taken_up.encoder, cut, recipe, state_file=state, save_every=3, quiet=True)
    assert torch.load(state, weights_only=True)["done"] == 6, "the state is from the middle of the first epoch"
    steps = batches_from(taken_up, lessons, recipe, state)
    assert steps == 2 * -(-len(lessons) // recipe.batch_size) - 6
    assert equal(weights(whole), weights(taken_up))
    assert run(fresh(), lessons, recipe, state_file=state) == losses


def batches_from(classifier, lessons, recipe, state):
    """How many steps a run takes from a state."""
    with watched(classifier.engine.network) as seen:
        run(classifier, lessons, recipe, state_file=state)
    return len(seen)


def test_the_state_of_another_recipe_is_not_taken_up(fresh, lessons, recipe, tmp_path):
    state = tmp_path / "run.state"
    run(fresh(), lessons, recipe, state_file=state, save_every=1)
    other = replace(recipe, learning_rate=1e-3)
    alone, beside = fresh(), fresh()
    run(alone, lessons, other)
    run(beside, lessons, other, state_file=state)
    assert equal(weights(alone), weights(beside))


def test_an_epoch_without_a_lesson_is_refused(fresh, recipe):
    with pytest.raises(ConfigError, match="an epoch draws no sentence"):
        run(fresh(), [], recipe)


def test_the_seed_alone_decides(fresh, lessons, recipe):
    recipe = replace(recipe, epochs=1, dropout=0.2)
    one, same, other = fresh(), fresh(), fresh()
    run(one, lessons, recipe)
    torch.rand(7)
    run(same, lessons, recipe)
    run(other, lessons, replace(recipe, seed=1))
    assert equal(weights(one), weights(same))
    assert not equal(weights(one), weights(other))


def test_every_lesson_is_in_an_epoch_once_and_batches_hold_like_lengths(fresh, lessons, recipe):
    classifier = fresh()
    long = [replace(x, example=replace(x.example, text=x.example.text + " to the war" * 8)) for x in lessons]
    both = [*lessons, *long]
    expected = []
    for example in (lesson.example for lesson in both):
        (window,) = classifier.encoder.windows([example.text], [[t.mention for t in example.targets]])
        expected.append(tuple(window.input_ids))
    seen = batches(classifier, both, replace(recipe, epochs=1))
    rows = [
        tuple(row[mask == 1].tolist()) for b in seen for row, mask in zip(b.input_ids, b.attention_mask, strict=True)
    ]
    assert Counter(rows) == Counter(expected)
    mixed = [b for b in seen if b.attention_mask.sum(-1).max() > b.attention_mask.sum(-1).min() + 15]
    assert len(mixed) <= 1


def test_unmarked_examples_lose_their_marks_but_not_a_span_that_was_given(fresh, lessons, recipe):
    def marks(part, given):
        return sum(int((b.slot_ids * b.sentence_mask).sum()) for b in batches(fresh(), given, part))

    recipe = replace(recipe, epochs=1)
    assert marks(recipe, lessons) > 0
    assert marks(replace(recipe, unmarked=1.0), lessons) == 0
    kim = TargetLabels(Mention(TargetText("Kim"), (0, 3)), Stance.NEUTRAL)
    spans = [Lesson(Example("a", "kim met putin", [kim]))] * 4
    assert marks(replace(recipe, unmarked=1.0), spans) == 4


def test_a_text_beyond_one_input_and_targets_beyond_one_pass_are_no_obstacle(fresh, recipe):
    long = "kim met putin and " * 100
    many = [TargetLabels(Mention(TargetText(f"name {i}")), Stance.ABSENT) for i in range(6)]
    losses = run(fresh(), [Lesson(Example("a", long, many)), Lesson(Example("b", "kim", []))], recipe)
    assert np.isfinite(losses).all()


def test_the_network_is_left_ready_for_inference(fresh, lessons, recipe):
    network = fresh().engine.network
    before = network.encoder.config._attn_implementation
    optimise(network, fresh().encoder, lambda _: lessons, replace(recipe, epochs=1), quiet=True)
    assert network.encoder.config._attn_implementation == before == "sdpa"
    assert not any(module.training for module in network.modules())


def test_what_is_nearer_to_the_words_learns_slower(fresh, lessons, recipe):
    recipe = replace(recipe, epochs=1, weight_decay=0.0)

    def moved(**settings):
        classifier = fresh()
        before = weights(classifier)
        run(classifier, lessons, replace(recipe, **settings))
        return {name for name, tensor in weights(classifier).items() if not torch.equal(tensor, before[name])}

    heads = {name for name in moved() if not name.startswith("encoder.")}
    assert heads and moved(layer_decay=0.0) - heads <= {n for n in moved() if "layer.1." in n}
    assert any("layer.1." in name for name in moved(layer_decay=0.0))
    assert not moved(head_rate=0.0) & heads


def test_the_average_of_the_weights_lags_behind_them(fresh, lessons, recipe):
    plain, averaged = fresh(), fresh()
    start = weights(plain)
    run(plain, lessons, recipe)
    run(averaged, lessons, replace(recipe, average=0.9))

    def distance(classifier):
        return sum(float((tensor - start[name]).norm()) for name, tensor in weights(classifier).items())

    assert 0 < distance(averaged) < 0.8 * distance(plain)


# The loss itself


@pytest.fixture
def logits():
    torch.manual_seed(0)
    shapes = {"stance": (5, 3, 4), "holder": (5, 3, 5), "framing": (5, 2), "sentiment": (5, 3)}
    return Logits(**{name: torch.randn(shape, requires_grad=True) for name, shape in shapes.items()})


@pytest.fixture
def gold(logits):
    """Everything labelled, no teacher."""
    return Gold(
        stance=torch.arange(15).reshape(5, 3) % len(Stance),
        holder=torch.arange(15).reshape(5, 3) % len(Holder),
        framing=(torch.arange(10).reshape(5, 2) % len(Frame)).float(),
        sentiment=torch.arange(5) % len(Sentiment),
        **{f"teacher_{name}": torch.full_like(getattr(logits, name), torch.nan).detach() for name in HEADS},
    )


def gradients(logits, gold, recipe):
    for name in HEADS:
        getattr(logits, name).grad = None
    loss_of(logits, gold, recipe).backward()
    return {name: getattr(logits, name).grad for name in HEADS}


def unlabelled(gold, head, rows=slice(None)):
    values = getattr(gold, head).clone()
    values[rows] = torch.nan if head == "framing" else IGNORED
    return replace(gold, **{head: values})


@pytest.mark.parametrize("distil", [0.0, 0.5])
@pytest.mark.parametrize("head", HEADS)
def test_a_head_without_labels_adds_no_gradient_and_leaves_the_others_alone(logits, gold, recipe, head, distil):
    recipe = replace(recipe, distil=distil)
    full, without = gradients(logits, gold, recipe), gradients(logits, unlabelled(gold, head), recipe)
    assert full[head].abs().min() > 0
    assert not without[head].any()
    assert all(torch.equal(full[other], without[other]) for other in HEADS if other != head)


@pytest.mark.parametrize("head", HEADS)
def test_the_loss_is_a_mean_over_what_is_labelled(logits, gold, recipe, head):
    partly = gradients(logits, unlabelled(gold, head, slice(1, None)), recipe)[head]
    assert not partly[1:].any()
    full = gradients(logits, gold, recipe)[head]
    assert torch.allclose(partly[:1], 5 * full[:1], atol=1e-6)


def test_nothing_labelled_is_a_loss_of_zero(logits, gold, recipe):
    for head in HEADS:
        gold = unlabelled(gold, head)
    assert loss_of(logits, gold, replace(recipe, distil=0.5)) == 0


def test_the_loss_of_one_sentence_by_hand(recipe):
    uniform = Logits(torch.zeros(1, 1, 4), torch.zeros(1, 1, 5), torch.zeros(1, 2), torch.zeros(1, 3))
    nothing = {f"teacher_{name}": torch.full_like(getattr(uniform, name), torch.nan) for name in HEADS}
    gold = Gold(torch.tensor([[0]]), torch.tensor([[0]]), torch.tensor([[1.0, 0.0]]), torch.tensor([0]), **nothing)
    recipe = replace(recipe, frame_weight=3.0, holder_loss=0.5, framing_loss=1.0, sentiment_loss=0.25)
    by_hand = np.log(4) + 0.5 * np.log(5) + (3 * np.log(2) + np.log(2)) / 2 + 0.25 * np.log(3)
    assert loss_of(uniform, gold, recipe).item() == pytest.approx(by_hand)


def taught(gold, logits):
    """The gold labels of a teacher who says just what the logits say."""
    return replace(
        gold,
        teacher_stance=logits.stance.detach().softmax(-1),
        teacher_holder=logits.holder.detach().softmax(-1),
        teacher_framing=logits.framing.detach().sigmoid(),
        teacher_sentiment=logits.sentiment.detach().softmax(-1),
    )


@pytest.mark.parametrize("head", HEADS)
def test_a_teacher_pulls_each_head_toward_what_he_says(logits, gold, recipe, head):
    recipe = replace(recipe, distil=1.0)
    agreed = taught(gold, logits)
    assert gradients(logits, agreed, recipe)[head].abs().max() < 1e-6
    other = replace(agreed, **{f"teacher_{head}": getattr(agreed, f"teacher_{head}").flip(0)})
    before = loss_of(logits, other, recipe)
    step = {name: getattr(logits, name) - 0.1 * g for name, g in gradients(logits, other, recipe).items()}
    assert gradients(logits, other, recipe)[head].abs().max() > 1e-3
    assert loss_of(Logits(**step), other, recipe) < before


def test_a_teacher_of_some_sentences_teaches_only_those(logits, gold, recipe):
    agreed = taught(gold, Logits(*(-getattr(logits, name) for name in HEADS)))
    some = {f"teacher_{name}": getattr(agreed, f"teacher_{name}").clone() for name in HEADS}
    for values in some.values():
        values[1:] = torch.nan
    found = gradients(logits, replace(agreed, **some), replace(recipe, distil=1.0))
    for head in HEADS:
        assert found[head][0].any() and not found[head][1:].any()


def test_a_holder_is_taught_as_far_as_somebody_holds_a_stance(logits, gold, recipe):
    nobody = torch.tensor([0.0, 0.0, 0.5, 0.5]).expand(5, 3, 4)
    other = replace(taught(gold, logits), teacher_stance=nobody, teacher_holder=torch.full((5, 3, 5), 0.2))
    assert not gradients(logits, other, replace(recipe, distil=1.0))["holder"].any()


def test_unlabelled_sentences_are_learned_from_a_teacher(learned, fresh, toy, recipe):
    teacher, student = learned[0], fresh()
    asked = [Mention(TARGETS[target]) for target in Target]
    texts = [sentence.text for sentence in toy]
    said = teacher.score(texts, [asked] * len(texts))
    bare = [Example(text, text, [TargetLabels(mention) for mention in asked]) for text in texts]
    lessons = [Lesson(example, scores) for example, scores in zip(bare, said, strict=True)]
    run(student, lessons, replace(recipe, epochs=30, distil=1.0))
    both = zip(said, student.score(texts, [asked] * len(texts)), strict=True)
    agreed = [(a.stance.argmax(-1) == b.stance.argmax(-1)).mean() for a, b in both]
    assert np.mean(agreed) > 0.95
