"""The engines: the same batch, the same logits, and all of them say what torch says in fp32."""

import sys
from dataclasses import fields
from itertools import islice

import numpy as np
import pytest
import torch

from stanceframe.data.corpus import SHIPPED as CORPUS
from stanceframe.data.corpus import read_labelled
from stanceframe.models import engines
from stanceframe.models.checkpoint import SHIPPED
from stanceframe.models.classifier import SCHEMA_MENTIONS, StanceClassifier
from stanceframe.models.engines import OpenVinoEngine, TorchEngine, new_engine
from stanceframe.models.errors import ConfigError
from stanceframe.models.network import Logits
from stanceframe.models.types import ENGINES, Mention

TEXTS = ["Moscow praised Kim.", "the war", "Washington condemned the shells of North Korea and Russia, said Putin."]
ENGINE_NAMES = [name for name in ENGINES if name != "torch"]


@pytest.fixture
def batch(tiny):
    return tiny.encoder.collate(list(tiny.encoder.windows(TEXTS, [SCHEMA_MENTIONS] * len(TEXTS))))


@pytest.fixture
def missing(monkeypatch):
    """A machine without OpenVINO."""
    monkeypatch.setitem(sys.modules, "openvino", None)


@pytest.mark.parametrize("name", ENGINES)
def test_the_same_batch_gives_the_same_logits(tiny, batch, name):
    engine = new_engine(name, tiny.engine.network)
    first = engine.run(batch)
    torch.manual_seed(1)
    engine.run(tiny.encoder.collate(list(tiny.encoder.windows(["Kim"], [SCHEMA_MENTIONS]))))
    again = engine.run(batch)
    for field in fields(Logits):
        said = getattr(first, field.name)
        assert (said.dtype, said.device.type, said.requires_grad) == (torch.float32, "cpu", False)
        assert torch.equal(said, getattr(again, field.name))


def test_dropout_is_off(tiny):
    assert not TorchEngine(tiny.engine.network.train()).network.training


def test_bf16_is_really_another_precision_and_close(tiny, batch):
    exact = tiny.engine.run(batch).stance
    rough = TorchEngine(tiny.engine.network, "bf16").run(batch).stance
    assert 0 < (exact - rough).abs().max() < 0.1


@pytest.mark.parametrize("targets", [0, 1, 2, 4])
@pytest.mark.parametrize("texts", [TEXTS[:1], TEXTS, ["war " * 60, *TEXTS]])
def test_openvino_in_fp32_says_what_torch_says_whatever_the_shape(tiny, texts, targets):
    asked: list[Mention] = list((SCHEMA_MENTIONS * 2)[:targets])
    batch = tiny.encoder.collate(list(tiny.encoder.windows(texts, [asked] * len(texts))))
    exact, other = tiny.engine.run(batch), OpenVinoEngine(tiny.engine.network, precision="fp32").run(batch)
    for field in fields(Logits):
        assert getattr(other, field.name).shape == getattr(exact, field.name).shape
        np.testing.assert_allclose(getattr(other, field.name), getattr(exact, field.name), atol=1e-5)


def test_what_was_derived_is_read_again_and_made_again_where_it_is_damaged(tiny, batch, tmp_path, monkeypatch):
    network = tiny.engine.network
    said = OpenVinoEngine(network, tmp_path).run(batch).stance
    (kept,) = tmp_path.glob("openvino-*/network.xml")
    with monkeypatch.context() as patch:
        patch.setattr(engines, "_derive", None)
        assert torch.equal(OpenVinoEngine(network, tmp_path).run(batch).stance, said)
    kept.write_text("<net/>")
    assert torch.equal(OpenVinoEngine(network, tmp_path).run(batch).stance, said)
    assert kept.stat().st_size > 1000


def test_a_folder_that_cannot_be_written_is_no_hindrance(tiny, batch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert OpenVinoEngine(tiny.engine.network, blocked).run(batch).stance.shape[0] == len(TEXTS)


def test_openvino_sends_no_telemetry(tiny):
    OpenVinoEngine(tiny.engine.network)
    assert sys.modules["openvino_telemetry"] is None
    assert "stub" in sys.modules["openvino.tools.ovc.telemetry_utils"].tm.__name__


@pytest.mark.usefixtures("missing")
def test_without_openvino_torch_takes_over(tiny, batch):
    assert isinstance(new_engine("auto", tiny.engine.network), TorchEngine)


@pytest.mark.usefixtures("missing")
def test_without_openvino_who_asks_for_it_is_told_the_remedy(tiny):
    with pytest.raises(ConfigError, match="pip install openvino"):
        new_engine("openvino", tiny.engine.network)


@pytest.fixture(scope="module")
def exact(shipped):
    """2,000 sentences and what the shipped checkpoint says of them in fp32."""
    texts = [sentence.text for sentence in islice(read_labelled(CORPUS / "train.jsonl"), 0, 4000, 2)]
    assert len(texts) == 2000
    return texts, shipped.score(texts, [SCHEMA_MENTIONS] * len(texts))


@pytest.mark.parametrize("name", ENGINE_NAMES)
def test_an_engine_labels_as_torch_does_in_fp32(exact, name):
    texts, before = exact
    after = StanceClassifier.from_pretrained(SHIPPED, name).score(texts, [SCHEMA_MENTIONS] * len(texts))
    for head in ("stance", "holder", "framing", "sentiment"):
        one, other = (np.stack([getattr(score, head) for score in scores]) for scores in (before, after))
        differences = np.abs(one - other)
        same = (one >= 0.5) == (other >= 0.5) if head == "framing" else one.argmax(-1) == other.argmax(-1)
        assert same.mean() >= 0.995
        assert differences.mean() <= 0.005
        assert np.quantile(differences, 0.999) <= 0.06
