"""A teacher's states: read once, kept, and matched."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from stanceframe.data.examples import from_labelled
from stanceframe.models.classifier import SCHEMA_MENTIONS, load_network
from stanceframe.models.encoding import Encoder
from stanceframe.training.config import DataSource
from stanceframe.training.distill import distill
from stanceframe.training.optimise import Lesson, optimise
from stanceframe.training.states import NAMES, Likeness, keep_states
from stanceframe.training.train import new_network, train

TEXTS = ["kim met putin .", "putin praised washington , and the war .", "kim met moscow ."]


@pytest.fixture
def teacher(new_tiny, save, tmp_path):
    """Checkpoint of a teacher."""
    return save(new_tiny(seed=3), tmp_path / "teacher")


@pytest.fixture(autouse=True)
def exactly(monkeypatch):
    """States to compare are in fp32 on every processor."""
    monkeypatch.setattr("stanceframe.training.states.fast_precision", lambda device: "fp32")


def read_by(path, text):
    """Straight from the network: its batch of a text, and its states."""
    network, encoder = load_network(path)
    batch = encoder.collate(encoder.first_windows([text], [SCHEMA_MENTIONS]))
    with torch.inference_mode():
        states = network.eval().states(batch)
        return batch, states, network.at_names(states, batch)


def states_of(path, text):
    """Those at the names, then those at the sentence's tokens."""
    batch, states, names = read_by(path, text)
    return torch.cat([names[0], states[batch.sentence_mask]]).numpy()


def test_what_is_kept_are_the_states_in_half_precision(teacher, tmp_path):
    kept = keep_states(teacher, TEXTS, tmp_path / "states", quiet=True)
    assert kept.teacher == teacher.tag
    for text in TEXTS:
        assert kept.of(text) == pytest.approx(states_of(teacher.path, text), abs=0.01)
    assert kept.of("another text") is None
    files = [file for file in (tmp_path / "states").rglob("*") if file.is_file()]
    assert len(files) == 2 and not any(text.encode() in file.read_bytes() for text in TEXTS for file in files)


def test_a_cut_run_goes_on_and_what_was_half_written_is_written_anew(teacher, tmp_path, monkeypatch):
    whole = keep_states(teacher, TEXTS, tmp_path / "whole", quiet=True)
    keep_states(teacher, TEXTS[:1], tmp_path / "cut", quiet=True)
    with next((tmp_path / "cut").rglob("states.f16")).open("ab") as file:
        file.write(b"half a row")
    asked, first_windows = [], Encoder.first_windows
    monkeypatch.setattr(
        Encoder,
        "first_windows",
        lambda self, texts, mentions: asked.extend(texts) or first_windows(self, texts, mentions),
    )
    again = keep_states(teacher, TEXTS, tmp_path / "cut", quiet=True)
    assert sorted(asked) == sorted(TEXTS[1:])
    for text in TEXTS:
        assert again.of(text) == pytest.approx(whole.of(text), abs=0.01)


def test_states_that_were_lost_are_read_again(teacher, tmp_path):
    keep_states(teacher, TEXTS, tmp_path / "states", quiet=True)
    next((tmp_path / "states").rglob("states.f16")).write_bytes(b"")
    kept = keep_states(teacher, TEXTS, tmp_path / "states", quiet=True)
    assert kept.of(TEXTS[0]) == pytest.approx(states_of(teacher.path, TEXTS[0]), abs=0.01)


def test_another_teacher_s_states_are_not_taken(teacher, new_tiny, save, tmp_path):
    keep_states(teacher, TEXTS, tmp_path / "states", quiet=True)
    other = save(new_tiny(seed=4), tmp_path / "other")
    kept = keep_states(other, TEXTS, tmp_path / "states", quiet=True)
    assert kept.of(TEXTS[0]) == pytest.approx(states_of(other.path, TEXTS[0]), abs=0.01)


def test_the_distance_is_the_mean_square_in_the_teacher_s_deviations(teacher, tmp_path):
    """By hand, for a student whose layers give nothing: the distance is then that of the teacher's states from 0."""
    kept = keep_states(teacher, TEXTS, tmp_path / "states", quiet=True)
    batch, states, names = read_by(teacher.path, TEXTS[1])
    likeness = Likeness(kept, states.shape[-1])
    for layer in (likeness.names, likeness.tokens):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    everything = np.concatenate([kept.of(text)[NAMES:] for text in TEXTS])
    of_names = np.stack([kept.of(text)[:NAMES] for text in TEXTS])
    own = kept.of(TEXTS[1])
    named = (((own[:NAMES] - of_names.mean(0)) / (of_names.std(0) + 1e-3)) ** 2).mean()
    tokens = (((own[NAMES:] - everything.mean(0)) / (everything.std(0) + 1e-3)) ** 2).mean(-1)
    marked = (batch.slot_ids > 0)[batch.sentence_mask].numpy()
    assert 0 < marked.sum() < len(marked)
    expected = named + 0.5 * tokens[marked].mean() + 0.5 * tokens.mean()
    assert float(likeness(states, names, batch, TEXTS[1:2]).detach()) == pytest.approx(expected, rel=1e-4)


def test_a_layer_that_gives_the_teacher_s_own_states_is_at_no_distance(teacher, tmp_path):
    """So each token is compared with itself, not with its neighbour."""
    kept = keep_states(teacher, TEXTS, tmp_path / "states", quiet=True)
    batch, states, names = read_by(teacher.path, TEXTS[1])
    likeness = Likeness(kept, states.shape[-1])
    mean, deviation = (torch.from_numpy(part) for part in likeness._token_scale)
    with torch.no_grad():
        likeness.tokens.weight.copy_(torch.diag(1 / deviation))
        likeness.tokens.bias.copy_(-mean / deviation)
        likeness.names.weight.zero_()
        likeness.names.bias.zero_()
        whole = float(likeness(states, names, batch, TEXTS[1:2]))
        likeness.tokens.weight.zero_()
        assert whole < 0.75 * float(likeness(states, names, batch, TEXTS[1:2]))
    own = (kept.of(TEXTS[1])[:NAMES] - likeness._name_scale[0]) / likeness._name_scale[1]
    assert whole == pytest.approx(float((own**2).mean()), abs=0.01)


def test_what_the_teacher_did_not_read_or_cut_otherwise_adds_nothing(teacher, tmp_path):
    kept = keep_states(teacher, TEXTS, tmp_path / "states", quiet=True)
    batch, states, names = read_by(teacher.path, TEXTS[0])
    likeness = Likeness(kept, states.shape[-1]).requires_grad_(False)
    assert float(likeness(states, names, batch, ["putin met washington ."])) == 0.0
    assert float(likeness(states, names, batch, TEXTS[1:2])) == 0.0, "it has more tokens"
    assert float(likeness(states, names, batch, TEXTS[:1])) > 0.0


def test_a_run_that_matches_states_ends_as_if_it_had_not_been_cut(recipe, toy, base, teacher, tmp_path):
    lessons = [Lesson(from_labelled(sentence)) for sentence in toy]
    kept = keep_states(teacher, [sentence.text for sentence in toy], tmp_path / "states", quiet=True)
    part, state = replace(recipe, states=1.0, dropout=0.2), tmp_path / "run.state"

    def network_after(draw, **options):
        network, encoder = new_network(part, base)
        optimise(network, encoder, draw, part, matching=kept, quiet=True, **options)
        return network.state_dict()

    def cut(epoch):
        if epoch == 1:
            raise CutError
        return lessons

    whole = network_after(lambda _: lessons)
    with pytest.raises(CutError):
        network_after(cut, state_file=state, save_every=3)
    assert torch.load(state, weights_only=True)["matching"] == teacher.tag
    taken_up = network_after(lambda _: lessons, state_file=state)
    assert all(torch.equal(tensor, taken_up[name]) for name, tensor in whole.items())
    other = replace(kept, teacher="stanceframe:another")
    network, encoder = new_network(part, base)
    losses = optimise(network, encoder, lambda _: lessons, part, matching=other, state_file=state, quiet=True)
    assert len(losses) == part.epochs, "another teacher's run is not taken up"


class CutError(Exception):
    """What ends a run too early."""


def test_a_student_comes_close_to_the_states_of_its_teacher(recipe, toy_file, tmp_path):
    teacher = train(replace(recipe, epochs=20), [], tmp_path / "taught", quiet=True)
    few = replace(recipe, data=(DataSource(str(toy_file)),), epochs=10, states=1.0)
    near = distill(few, [teacher.path], [], tmp_path / "near", quiet=True)
    plain = distill(replace(few, states=0.0), [teacher.path], [], tmp_path / "plain", quiet=True)
    assert near.metrics["recipe"]["states"] == 1.0
    assert f"the states of {teacher.tag}" in near.metrics["recipe"]["teacher"]
    assert not list(tmp_path.glob(".*training")), "the states went with the run"
    texts = [f"{who} praised {state} , desperate ." for who in ("kim", "putin") for state in ("moscow", "washington")]
    assert unlike(teacher.path, near.path, texts) < 0.8 * unlike(teacher.path, plain.path, texts)


def unlike(teacher, student, texts):
    """What a least-squares map from the student's states at the names to the teacher's leaves unexplained."""
    x, y = (np.concatenate([states_of(path, text)[:NAMES] for text in texts]) for path in (student, teacher))
    x, y = x - x.mean(0), y - y.mean(0)
    main = np.linalg.eigh(x.T @ x)[1][:, -4:]
    left = y - x @ main @ np.linalg.lstsq(x @ main, y, rcond=None)[0]
    return float((left**2).mean() / (y**2).mean())


def test_training_alone_does_without_states_and_says_so(recipe, tmp_path, caplog):
    caplog.set_level("INFO")
    checkpoint = train(replace(recipe, epochs=1, states=1.0), [], tmp_path / "out", quiet=True)
    assert "no teacher's states are at hand" in caplog.text
    assert checkpoint.metrics["recipe"]["states"] == 0.0
