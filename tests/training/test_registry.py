"""The registry: what is stored, who is champion, and the way back."""

import json
import shutil

import pytest

from stanceframe.models.champion import Champions, home, resolve
from stanceframe.models.checkpoint import SHIPPED, Checkpoint
from stanceframe.models.classifier import StanceClassifier
from stanceframe.models.errors import CheckpointError, InputError, RegistryError
from stanceframe.training import registry


@pytest.fixture
def one(tiny, installation, save):
    return save(tiny, installation / "one")


@pytest.fixture
def other(tiny, installation, save):
    tiny.engine.network.stance.layers[1].bias.data += 1
    return save(tiny, installation / "other", "2025-02-01T00:00:00+00:00")


def test_without_a_champion_the_shipped_checkpoint_answers(installation):
    assert resolve() == SHIPPED


def test_a_folder_and_a_tag_are_found_and_anything_else_is_refused(one):
    assert resolve(str(one.path)) == one.path
    stored = registry.store(one.path)
    assert resolve(one.tag) == stored.path != one.path
    with pytest.raises(InputError, match="neither a folder nor a tag"):
        resolve("no/such/folder")
    with pytest.raises(RegistryError, match="not in BentoML's model store"):
        resolve("stanceframe:000000000000")


def test_a_stored_checkpoint_is_the_same_checkpoint(one):
    stored = registry.store(one.path)
    shutil.rmtree(one.path)
    assert Checkpoint.open(stored.path).hash == one.hash
    assert StanceClassifier.from_pretrained(stored.path).tag == one.tag


def test_a_champion_answers_until_it_is_rolled_back_step_by_step(one, other):
    registry.promote(str(one.path), "first")
    registry.promote(str(other.path), "second", labels_until="2025")
    assert Checkpoint.open(resolve()).tag == other.tag
    assert Champions.read().champion.labels_until == "2025"

    promotion, answering = registry.roll_back()
    assert (promotion.tag, promotion.reason, answering) == (other.tag, "second", one.tag)
    assert Checkpoint.open(resolve()).tag == one.tag
    assert [(p.tag, bool(p.rolled_back)) for p in Champions.read().rolled_back] == [(other.tag, True)]


def test_the_pointer_is_a_readable_file_that_names_time_and_reason(one):
    registry.promote(str(one.path), "because")
    stored = json.loads((home() / "champion.json").read_text())
    assert stored["champion"] == one.tag
    assert [(p["tag"], p["reason"]) for p in stored["promotions"]] == [(one.tag, "because")]
    assert stored["promotions"][0]["time"].endswith("+00:00")


def test_with_nothing_promoted_there_is_nothing_to_roll_back(installation):
    with pytest.raises(RegistryError, match="nothing was promoted"):
        registry.roll_back()


def test_a_damaged_checkpoint_is_not_promoted(one):
    (one.path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        registry.promote(str(one.path), "broken")
    assert Champions.read() == Champions()


def test_a_copy_that_was_cut_is_made_good(one, other):
    stored = registry.store(one.path)
    for name in ("model.safetensors", "model.yaml"):
        (stored.path / name).unlink()
    assert registry.promote(str(one.path), "again").tag == one.tag
    assert Checkpoint.open(resolve()).path == stored.path
    assert registry.promote(str(other.path), "next").tag == other.tag


def test_a_crash_before_the_pointer_moves_leaves_the_old_champion(one, other, monkeypatch):
    registry.promote(str(one.path), "first")

    def crash(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Champions, "write", crash)
        with pytest.raises(KeyboardInterrupt):
            registry.promote(str(other.path), "second")
    assert Checkpoint.open(resolve()).tag == one.tag
    registry.promote(str(other.path), "second, again")
    assert Checkpoint.open(resolve()).tag == other.tag


def test_a_decision_against_somebody_else_is_not_carried_out(one, other):
    registry.promote(str(one.path), "first")
    with pytest.raises(RegistryError, match="meanwhile"):
        registry.promote(str(other.path), "late", instead_of="stanceframe:000000000000")
    assert Checkpoint.open(resolve()).tag == one.tag
    registry.promote(str(other.path), "in time", instead_of=one.tag)
    assert Checkpoint.open(resolve()).tag == other.tag


def test_a_damaged_pointer_is_refused_with_the_remedy(installation):
    home().mkdir()
    (home() / "champion.json").write_text("{")
    with pytest.raises(RegistryError, match="delete it to go back to the shipped checkpoint"):
        resolve()


def test_the_list_has_a_line_a_checkpoint_by_age_with_the_champion_marked(one, other):
    registry.store(other.path)
    registry.promote(str(one.path), "first")
    listed = [(entry.checkpoint.tag, entry.champion) for entry in registry.entries()][-2:]
    assert listed == [(one.tag, True), (other.tag, False)]
    marked = [line for line in registry.table().splitlines() if line.startswith("*")]
    assert len(marked) == 1
    assert one.tag in marked[0]
    assert "trained" in marked[0]


def test_a_damaged_one_in_the_store_is_left_out_of_the_list(one, other, caplog):
    stored = registry.store(one.path)
    registry.store(other.path)
    (stored.path / "config.json").unlink()
    tags = [entry.checkpoint.tag for entry in registry.entries()]
    assert other.tag in tags
    assert one.tag not in tags
    assert str(stored.path) in caplog.text


def test_the_description_holds_what_the_checkpoint_says_of_itself(one):
    registry.promote(str(one.path), "because")
    described = json.loads(registry.describe(None))
    assert described["tag"] == one.tag
    assert described["hash"] == one.hash
    assert described["calibration"]["frame_threshold"] == {"sacred_struggle": 0.5, "desperation": 0.5}
    assert described["trained_on"] == [dict(source) for source in one.trained_on]
    assert [promotion["reason"] for promotion in described["promotions"]] == ["because"]
