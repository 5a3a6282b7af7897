"""Checkpoints on disk: what comes back, and what is refused."""

import json
import pickle
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stanceframe.models.calibration import Calibration, Platt
from stanceframe.models.checkpoint import (
    DESCRIPTION,
    IDENTITY,
    MANIFEST,
    Checkpoint,
    read_json,
    replacing_folder,
    sha256,
    write_json,
    write_text,
)
from stanceframe.models.classifier import SCHEMA_MENTIONS, StanceClassifier, load_network, save_checkpoint
from stanceframe.models.errors import CheckpointError
from stanceframe.models.labels import Frame, LabelSchema, Target
from stanceframe.models.types import Sentence

TEXTS = ["Kim praised Putin.", "", "Washington condemned the war of Moscow.", "desperate " * 200]
CALIBRATION = Calibration(
    stance={Target.RUSSIA: 2.0, Target.NORTH_KOREA: 0.5, Target.UNITED_STATES: 3.5},
    framing={Frame.SACRED_STRUGGLE: Platt(0.5, -1.0), Frame.DESPERATION: Platt(2.0, 0.5)},
    abstain_below={Target.RUSSIA: 0.9, Target.NORTH_KOREA: 0.2, Target.UNITED_STATES: 0.5},
)


@pytest.fixture(scope="module")
def saved(new_tiny, tmp_path_factory):
    """A checkpoint that no test may change."""
    classifier = new_tiny()
    path = tmp_path_factory.mktemp("saved") / "checkpoint"
    return save_checkpoint(
        path,
        classifier.engine.network,
        classifier.encoder,
        CALIBRATION,
        created="2025-01-01T00:00:00+00:00",
        trained_on=[{"name": "toy", "sentences": 1, "share": 1.0, "sha256": "0"}],
        base_encoder="tiny",
        metrics={"stance_macro_f1": {"value": 0.5}},
        card="A toy.\n",
    )


@pytest.fixture
def copy(saved, tmp_path):
    """A checkpoint that a test may damage."""
    return shutil.copytree(saved.path, tmp_path / "copy")


def seal(path):
    return Checkpoint.seal(path, created="now", trained_on=[], base_encoder="tiny")


def hashes_of(path):
    return {file.name: sha256(file) for file in path.iterdir()}


# Round trip ---------------------------------------------------------------------------------------------------


def test_a_checkpoint_says_what_it_was_given(saved):
    again = Checkpoint.open(saved.path)
    assert again == saved
    assert again.created == "2025-01-01T00:00:00+00:00"
    assert again.trained_on == ({"name": "toy", "sentences": 1, "share": 1.0, "sha256": "0"},)
    assert (again.base_encoder, again.metrics) == ("tiny", {"stance_macro_f1": {"value": 0.5}})
    assert again.tag == f"stanceframe:{again.hash[:12]}"
    assert (saved.path / "README.md").read_text() == "A toy.\n"
    assert {file.name for file in saved.path.iterdir()} == {*IDENTITY, *DESCRIPTION, MANIFEST}


def test_what_is_read_says_what_was_saved(new_tiny, saved):
    before = StanceClassifier(new_tiny().engine, new_tiny().encoder, CALIBRATION, saved.tag)
    after = StanceClassifier.from_pretrained(saved.path)
    assert (after.tag, after.checkpoint, after.calibration) == (saved.tag, saved, CALIBRATION)
    sentences = [Sentence(text) for text in TEXTS]
    for one, other in zip(before.predict(sentences), after.predict(sentences), strict=True):
        assert labels(one) == labels(other)
    for one, other in zip(*(c.score(TEXTS, [SCHEMA_MENTIONS] * len(TEXTS)) for c in (before, after)), strict=True):
        for part in ("stance", "holder", "framing", "sentiment"):
            assert np.abs(getattr(one, part) - getattr(other, part)).max() < 5e-3


def labels(said):
    stance = [(s.label, s.holder, s.abstained) for s in said.stance.values()]
    return stance, said.framing.labels, said.sentiment.label, said.truncated, said.model


def test_the_second_round_trip_changes_nothing(saved, save, tmp_path):
    again = save(StanceClassifier.from_pretrained(saved.path), tmp_path / "again")
    assert again.hash == saved.hash
    assert {name: sha256(again.path / name) for name in IDENTITY} == {
        name: sha256(saved.path / name) for name in IDENTITY
    }


def test_the_hash_is_of_what_decides_the_answers_alone(new_tiny, save, tmp_path):
    first = save(new_tiny(), tmp_path / "first", created="2025-01-01")
    later = save(new_tiny(), tmp_path / "later", created="2026-01-01")
    other = save(new_tiny(seed=1), tmp_path / "other")
    sharper = new_tiny()
    sharper.calibration = replace(sharper.calibration, sentiment=0.9)
    assert first.hash == later.hash
    assert len({c.hash for c in (first, other, save(sharper, tmp_path / "sharper"))}) == 3


def test_a_card_may_be_edited(copy, saved):
    (copy / "README.md").write_text("A better text.")
    assert Checkpoint.open(copy).hash == saved.hash


def test_the_training_state_of_the_network_does_not_matter(new_tiny, save, tmp_path):
    classifier = new_tiny()
    classifier.engine.network.train()
    saved = save(classifier, tmp_path / "saved")
    assert saved.hash == save(new_tiny(), tmp_path / "other").hash


# Damage -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*IDENTITY, MANIFEST, "metrics.json"])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(CheckpointError, match=rf"{copy}.* it has no {name}$"):
        StanceClassifier.from_pretrained(copy)


@pytest.mark.parametrize("name", IDENTITY)
def test_a_changed_byte_is_noticed_and_the_file_named(copy, name):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{copy / name} is not the file"):
        StanceClassifier.from_pretrained(copy)


@pytest.mark.parametrize(
    "edit",
    [
        lambda m: {**m, "hash": "0" * 64},
        lambda m: {**m, "hash": None},
        lambda m: {**m, "files": {**m["files"], "README.md": None, "config.json": "0" * 64}},
        lambda m: {**m, "files": {}},
        lambda m: {**m, "files": []},
        lambda m: {**m, "trained_on": None},
        lambda m: {key: m[key] for key in m if key != "created"},
        lambda m: {key: m[key] for key in m if key != "base_encoder"},
        lambda m: [m],
        lambda m: None,
    ],
)
def test_an_edited_manifest_is_refused(copy, edit):
    write_json(copy / MANIFEST, edit(read_json(copy / MANIFEST)))
    with pytest.raises(CheckpointError, match=f"{copy}/(checkpoint|config).json"):
        Checkpoint.open(copy)


def test_a_manifest_that_belongs_to_a_changed_file_is_refused(copy):
    """Whoever changes a file and its entry has another checkpoint under the old name."""
    calibration = copy / "calibration.json"
    write_json(calibration, {**read_json(calibration), "fitted_on": "my wishes"})
    manifest = read_json(copy / MANIFEST)
    manifest["files"]["calibration.json"] = sha256(calibration)
    write_json(copy / MANIFEST, manifest)
    with pytest.raises(CheckpointError, match=r"checkpoint\.json was changed"):
        Checkpoint.open(copy)


@pytest.mark.parametrize("content", ["", "{", "\udcff"])
def test_a_manifest_that_is_no_json_is_refused(copy, content):
    (copy / MANIFEST).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(CheckpointError, match=r"checkpoint\.json is damaged"):
        Checkpoint.open(copy)


def test_another_schema_is_refused_with_both_versions(copy):
    write_json(copy / "schema.json", replace(LabelSchema(), version="9.9", frames=("new",)).to_json())
    with pytest.raises(CheckpointError, match=rf"codebook 9\.9.*codebook {LabelSchema().version}"):
        seal(copy)
    with pytest.raises(CheckpointError, match=r"codebook 9\.9"):
        StanceClassifier.from_pretrained(copy)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("content", [b"", b"{}", b"\x00" * 100])
def test_a_file_that_was_sealed_broken_is_refused(copy, name, content):
    (copy / name).write_bytes(content)
    seal(copy)
    with pytest.raises(CheckpointError, match=str(copy)):
        StanceClassifier.from_pretrained(copy)


@pytest.mark.parametrize(
    "change",
    [
        {"max_length": 8},
        {"max_length": "long"},
        {"encoder": {"model_type": "gone"}},
        {"encoder": {"model_type": "bert", "num_hidden_layers": 1, "hidden_size": 12}},
    ],
)
def test_a_configuration_of_another_network_is_refused(copy, change):
    write_json(copy / "config.json", {**read_json(copy / "config.json"), **change})
    with pytest.raises(CheckpointError, match=str(copy)):
        load_network(copy)


def test_a_calibration_that_was_sealed_broken_is_refused(copy):
    write_json(copy / "calibration.json", {"temperature": {}})
    seal(copy)
    with pytest.raises(CheckpointError, match=r"calibration\.json is damaged"):
        StanceClassifier.from_pretrained(copy)


def test_what_is_no_folder_is_no_checkpoint(copy, tmp_path):
    for path in (tmp_path / "nothing", copy / "README.md", tmp_path):
        with pytest.raises(CheckpointError, match="is no checkpoint"):
            StanceClassifier.from_pretrained(path)


class Bomb:
    """Does harm when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_is_never_loaded(copy, tmp_path):
    exploded = tmp_path / "exploded"
    bomb = pickle.dumps(Bomb(exploded))
    for name in ("pytorch_model.bin", "model.bin", "model.pt", "model.pkl", "tokenizer.pkl", "training_args.bin"):
        (copy / name).write_bytes(bomb)
    StanceClassifier.from_pretrained(copy)
    (copy / "model.safetensors").write_bytes(bomb)
    seal(copy)
    with pytest.raises(CheckpointError):
        StanceClassifier.from_pretrained(copy)
    assert not exploded.exists()
    pickle.loads(bomb)
    assert exploded.exists()


# Writing ------------------------------------------------------------------------------------------------------


def test_a_save_that_fails_leaves_the_old_checkpoint_and_no_litter(copy, new_tiny):
    before = hashes_of(copy)
    classifier = new_tiny(seed=1)
    with pytest.raises(UnicodeEncodeError):
        save_checkpoint(
            copy,
            classifier.engine.network,
            classifier.encoder,
            classifier.calibration,
            created="now",
            trained_on=[],
            base_encoder="tiny",
            metrics={},
            card="\ud800",
        )
    assert hashes_of(copy) == before
    assert [file.name for file in copy.parent.iterdir()] == ["copy"]


def test_a_save_takes_the_place_of_the_old_checkpoint(copy, save, new_tiny):
    (copy / "old.txt").touch()
    saved = save(new_tiny(seed=1), copy)
    assert Checkpoint.open(copy) == saved
    assert not (copy / "old.txt").exists()
    assert [file.name for file in copy.parent.iterdir()] == ["copy"]
    assert copy.stat().st_mode & 0o777 == 0o755
    assert len({file.stat().st_mode for file in copy.iterdir()}) == 1


def test_a_folder_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "deep" / "folder"
    with replacing_folder(path) as folder:
        (folder / "file").touch()
        assert not path.exists()
    assert [file.name for file in path.iterdir()] == ["file"]


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new \ud800")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"]


def test_several_threads_may_write_the_same_file(tmp_path):
    path = tmp_path / "deep" / "file.json"
    values = [[number] * 5000 for number in range(4)]
    threads = [threading.Thread(target=lambda v: [write_json(path, v) for _ in range(10)], args=(v,)) for v in values]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if path.exists():
            assert json.loads(path.read_text()) in values
    for thread in threads:
        thread.join()
    assert [file.name for file in path.parent.iterdir()] == ["file.json"]
