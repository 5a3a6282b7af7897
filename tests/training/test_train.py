"""From a recipe to a checkpoint, for real, with a tiny encoder."""

import itertools
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from stanceframe.data.corpus import read_labelled, write_labelled
from stanceframe.data.examples import from_labelled
from stanceframe.data.splits import fold_of
from stanceframe.models.calibration import Calibration
from stanceframe.models.checkpoint import Checkpoint
from stanceframe.models.classifier import StanceClassifier
from stanceframe.models.errors import CheckpointError, ConfigError, EncoderNotFoundError
from stanceframe.models.labels import Target
from stanceframe.models.types import Sentence
from stanceframe.training import train as module
from stanceframe.training.config import DataSource
from stanceframe.training.evaluate import evaluate
from stanceframe.training.lessons import FROZEN_TEST, read_sources
from stanceframe.training.optimise import optimise
from stanceframe.training.train import PARTS, new_network, scored_aside, train


class CutError(Exception):
    """What a run that is cut looks like from inside."""


@pytest.fixture(scope="module", autouse=True)
def frozen(tmp_path_factory):
    """A frozen test that is soon measured: the first sentences of the real one."""
    path = tmp_path_factory.mktemp("frozen") / "test.jsonl"
    write_labelled(path, itertools.islice(read_labelled(FROZEN_TEST), 40))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FROZEN_TEST", path)
        yield list(read_labelled(path))


@pytest.fixture
def seen(monkeypatch):
    """What each network of a run was trained on: a list of sets of texts, in the order of the trainings."""
    trainings = []

    def spy(network, encoder, draw, recipe, **options):
        trainings.append({lesson.example.text for epoch in range(recipe.epochs) for lesson in draw(epoch)})
        return optimise(network, encoder, draw, recipe, **options)

    monkeypatch.setattr(module, "optimise", spy)
    return trainings


@pytest.fixture(scope="module")
def made(recipe, tmp_path_factory):
    """What a run makes."""
    return train(recipe, [], tmp_path_factory.mktemp("runs") / "out", quiet=True)


def test_train_makes_a_checkpoint_that_answers_and_says_what_it_is(made, recipe, toy, toy_file):
    assert made == Checkpoint.open(made.path)
    classifier = StanceClassifier.from_pretrained(made.path)
    prediction = classifier.predict([Sentence(toy[0].text)])[0]
    assert set(prediction.stance) == set(Target) and prediction.model == made.tag
    assert made.base_encoder == recipe.encoder
    assert [(source["name"], source["sentences"]) for source in made.trained_on] == [(str(toy_file), len(toy))]
    assert len(made.metrics["losses"]) == recipe.epochs and made.metrics["recipe"]["epochs"] == recipe.epochs
    card = (made.path / "README.md").read_text()
    assert str(toy_file) in card and f"| {len(toy)} |" in card and classifier.calibration.fitted_on in card


def test_what_is_kept_of_the_data_has_no_text(made, toy):
    kept = [path.read_text() for path in made.path.iterdir() if path.suffix in (".json", ".md")]
    assert len(kept) >= 6
    assert not any(sentence.text in text for text in kept for sentence in toy)


def test_the_metrics_and_the_card_have_what_was_measured_on_the_frozen_test(made, frozen):
    measured = evaluate(frozen, StanceClassifier.from_pretrained(made.path)).to_json()
    assert made.metrics["evaluations"] == {"frozen test": measured}
    card = (made.path / "README.md").read_text()
    assert f"On `frozen test` ({measured['n']} sentences" in card
    assert f"| stance_macro_f1 | {measured['stance_macro_f1']['value']:.3f} |" in card


def test_the_calibration_is_fitted_on_documents_that_the_scoring_network_never_saw(recipe, toy, seen, tmp_path):
    made = train(recipe, [], tmp_path / "out", quiet=True)
    held_out = {s.text for s in toy if fold_of(s.document_id, PARTS) == 0}
    aside, whole = seen
    assert held_out and aside == {s.text for s in toy} - held_out
    assert whole == {s.text for s in toy}
    fitted_on = StanceClassifier.from_pretrained(made.path).calibration.fitted_on
    assert fitted_on.startswith(f"{len(held_out)} sentences of {recipe.data[0].path}")


def test_a_result_that_is_denied_a_part_is_calibrated_on_that_part(recipe, toy, seen, tmp_path):
    made = train(replace(recipe, whole=False), [], tmp_path / "out", quiet=True)
    held_out = {s.text for s in toy if fold_of(s.document_id, PARTS) == 0}
    assert seen == [{s.text for s in toy} - held_out]
    assert made.trained_on[0]["sentences"] == len(toy) - len(held_out)
    fitted_on = StanceClassifier.from_pretrained(made.path).calibration.fitted_on
    assert fitted_on == f"{len(held_out)} sentences of {recipe.data[0].path}, whose documents were left out"


def test_only_the_sources_that_say_so_calibrate(recipe, toy, seen, tmp_path):
    others = [replace(s, id=f"other {s.id}", text=f"the {s.text}", document_id=f"other {s.document_id}") for s in toy]
    write_labelled(tmp_path / "others.jsonl", others)
    marked = DataSource(str(tmp_path / "others.jsonl"), calibrates=True)
    train(replace(recipe, data=(*recipe.data, marked)), [], tmp_path / "out", quiet=True)
    held_out = {s.text for s in others if fold_of(s.document_id, PARTS) == 0}
    assert held_out and seen[0] == {s.text for s in (*toy, *others)} - held_out


@pytest.mark.parametrize("part", [0, 1])
def test_too_few_documents_leave_the_checkpoint_uncalibrated(recipe, toy, tmp_path, caplog, part):
    document = next(f"{i}" for i in range(99) if fold_of(f"{i}", PARTS) == part)
    write_labelled(tmp_path / "one.jsonl", [replace(s, document_id=document) for s in toy[:9]])
    made = train(replace(recipe, data=()), [tmp_path / "one.jsonl"], tmp_path / "out", quiet=True)
    assert StanceClassifier.from_pretrained(made.path).calibration == Calibration()
    assert "not calibrated" in caplog.text


def test_a_run_that_was_cut_keeps_what_is_done(made, recipe, seen, tmp_path, monkeypatch):
    spy = module.optimise

    def cut(*arguments, **options):
        if seen:
            raise CutError
        return spy(*arguments, **options)

    monkeypatch.setattr(module, "optimise", cut)
    with pytest.raises(CutError):
        train(recipe, [], tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(module, "optimise", spy)
    assert train(recipe, [], tmp_path / "out", quiet=True).hash == made.hash
    assert len(seen) == 2, "the network aside was not trained again"
    assert [path.name for path in tmp_path.iterdir()] == ["out"], "and nothing is left beside"


def test_scores_of_another_run_are_not_taken_for_this_ones(recipe, base, seen, toy, tmp_path):
    judged = [from_labelled(sentence) for sentence in toy[:6]]

    def ask(recipe, judged):
        return scored_aside(recipe, read_sources(recipe), judged, base, tmp_path, quiet=True)

    first = ask(recipe, judged)
    again = ask(recipe, judged)
    assert len(seen) == 1 and all(np.array_equal(a.stance, b.stance) for a, b in zip(first, again, strict=True))
    ask(replace(recipe, seed=1), judged)
    ask(recipe, judged[:3])
    assert len(seen) == 3


def test_nothing_left_to_learn_from_is_an_error(recipe, base, toy, tmp_path):
    with pytest.raises(ConfigError, match="nothing is left"):
        scored_aside(recipe, read_sources(recipe), [from_labelled(s) for s in toy], base, tmp_path)


def test_what_is_in_the_way_is_not_replaced(recipe, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("out", "file"):
        with pytest.raises(CheckpointError, match=f"{name} is in the way"):
            train(recipe, [], tmp_path / name, quiet=True)
    assert (tmp_path / "out" / "notes.txt").read_text() == (tmp_path / "file").read_text() == "mine"


def test_an_empty_folder_is_filled_and_a_checkpoint_replaced(recipe, tmp_path):
    (tmp_path / "empty").mkdir()
    first = train(recipe, [], tmp_path / "empty", quiet=True)
    second = train(replace(recipe, seed=1), [], tmp_path / "empty", quiet=True)
    assert Checkpoint.open(tmp_path / "empty") == second != first


def test_a_new_network_has_the_encoders_weights_and_heads_by_the_seed(recipe, base):
    network, encoder = new_network(recipe, base)
    stored = load_file(base / "model.safetensors")
    assert all(torch.equal(tensor, stored[name]) for name, tensor in network.encoder.state_dict().items())
    assert network.encoder.config.attention_probs_dropout_prob == 0
    assert encoder.max_length == network.config.max_length == recipe.max_length
    heads = network.stance.layers[1].weight
    assert torch.equal(heads, new_network(recipe, base)[0].stance.layers[1].weight)
    assert not torch.equal(heads, new_network(replace(recipe, seed=1), base)[0].stance.layers[1].weight)


def test_weights_may_carry_the_models_name_in_front(recipe, base, tmp_path):
    shutil.copytree(base, tmp_path / "base")
    stored = load_file(base / "model.safetensors")
    save_file({f"bert.{name}": tensor for name, tensor in stored.items()}, tmp_path / "base" / "model.safetensors")
    network, _ = new_network(recipe, tmp_path / "base")
    assert all(torch.equal(tensor, stored[name]) for name, tensor in network.encoder.state_dict().items())


@pytest.mark.parametrize("wrong", [lambda tensor: None, lambda tensor: tensor[:1].clone()])
def test_weights_that_are_not_the_configurations_are_refused(recipe, base, tmp_path, wrong):
    shutil.copytree(base, tmp_path / "base")
    stored = load_file(base / "model.safetensors")
    name = "encoder.layer.0.output.dense.weight"
    changed = {**stored, name: wrong(stored[name])}
    kept = {name: tensor for name, tensor in changed.items() if tensor is not None}
    save_file(kept, tmp_path / "base" / "model.safetensors")
    with pytest.raises(EncoderNotFoundError, match=rf"lack 1 tensors.*{name}"):
        new_network(recipe, tmp_path / "base")
