"""A teacher's states: read once, kept, and matched."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from stanceframe.models.classifier import load_network
from stanceframe.training.config import DataSource
from stanceframe.training.distill import distill
from stanceframe.training.states import NAMES, Likeness, first_windows, keep_states
from stanceframe.training.train import train

TEXTS = ["kim met putin .", "putin praised washington , and the war .", "kim met moscow ."]


@pytest.fixture
def teacher(new_tiny):
    """Network and encoder of a teacher."""
    classifier = new_tiny(seed=3)
    return classifier.engine.network, classifier.encoder


@pytest.fixture(autouse=True)
def exactly(monkeypatch):
    """States to compare are in fp32 on every processor."""
    monkeypatch.setattr("stanceframe.training.states.fast_precision", lambda device: "fp32")


def states_of(network, encoder, text):
    """Straight from the network: those at the names, then those at the sentence's tokens."""
    window = first_windows(encoder, [text])[0]
    batch = encoder.collate([window])
    with torch.inference_mode():
        states = network.states(batch)
        return torch.cat([network.at_names(states, batch)[0], states[0, window.sentence_start :]]).numpy()


def test_what_is_kept_are_the_states_in_half_precision(teacher, tmp_path):
    kept = keep_states(*teacher, TEXTS, tmp_path / "states", quiet=True)
    for text in TEXTS:
        assert kept.of(text) == pytest.approx(states_of(*teacher, text), abs=0.01)
    assert kept.of("another text") is None
    assert not any(text.encode() in file.read_bytes() for text in TEXTS for file in (tmp_path / "states").iterdir())


def test_a_cut_run_goes_on_and_what_was_half_written_is_written_anew(teacher, tmp_path):
    whole = keep_states(*teacher, TEXTS, tmp_path / "whole", quiet=True)
    keep_states(*teacher, TEXTS[:1], tmp_path / "cut", quiet=True)
    with (tmp_path / "cut" / "states.f16").open("ab") as file:
        file.write(b"half a row")
    again = keep_states(*teacher, TEXTS, tmp_path / "cut", quiet=True)
    for text in TEXTS:
        assert np.allclose(again.of(text), whole.of(text), atol=0.02)


def test_the_distance_is_that_of_the_sentences_which_the_teacher_read(teacher, tmp_path):
    network, encoder = teacher
    kept = keep_states(network, encoder, TEXTS, tmp_path / "states", quiet=True)
    likeness = Likeness(kept, network.encoder.config.hidden_size)
    asked = ["putin met washington .", *TEXTS[:2]]
    batch = encoder.collate(first_windows(encoder, asked))
    states = network.states(batch)

    def far(rows, texts):
        part = type(batch)(*(getattr(batch, name)[rows] for name in batch.__dataclass_fields__))
        return float(likeness(states[rows], network.at_names(states[rows], part), part, texts).detach())

    assert far([0], asked[:1]) == 0.0, "nobody knows the teacher's states of it"
    assert far([0, 1, 2], asked) == pytest.approx(far([1, 2], asked[1:]))
    assert far([1], ["putin praised washington , and the war ."]) == 0.0, "the teacher cut it into other pieces"


def test_a_student_comes_close_to_the_states_of_its_teacher(recipe, toy_file, tmp_path):
    teacher = train(replace(recipe, epochs=20), [], tmp_path / "teacher", quiet=True)
    few = replace(recipe, data=(DataSource(str(toy_file)),), epochs=10, states=1.0)
    near = distill(few, [teacher.path], [], tmp_path / "near", quiet=True)
    plain = distill(replace(few, states=0.0), [teacher.path], [], tmp_path / "plain", quiet=True)
    assert near.metrics["recipe"]["states"] == 1.0
    assert not list(tmp_path.glob(".*training")), "the states went with the run"
    texts = [f"{who} praised {state} , desperate ." for who in ("kim", "putin") for state in ("moscow", "washington")]
    assert unlike(teacher.path, near.path, texts) < 0.8 * unlike(teacher.path, plain.path, texts)


def unlike(teacher, student, texts):
    """What a least-squares map from the student's states at the names to the teacher's leaves unexplained."""
    x, y = (
        np.concatenate([states_of(*load_network(path), text)[:NAMES] for text in texts]) for path in (student, teacher)
    )
    x, y = x - x.mean(0), y - y.mean(0)
    values, vectors = np.linalg.eigh(x.T @ x)
    main = vectors[:, -4:]
    left = y - x @ main @ np.linalg.lstsq(x @ main, y, rcond=None)[0]
    return float((left**2).mean() / (y**2).mean()) if values[-1] else 1.0


def test_training_alone_does_without_states_and_says_so(recipe, tmp_path, caplog):
    caplog.set_level("INFO")
    checkpoint = train(replace(recipe, epochs=1, states=1.0), [], tmp_path / "out", quiet=True)
    assert "no teacher's states are at hand" in caplog.text
    assert checkpoint.metrics["recipe"]["states"] == 0.0
