"""The engines: the same batch, the same logits, and all of them say what torch says in fp32."""

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from itertools import chain, islice

import numpy as np
import pytest
import torch
from transformers import BertConfig, MPNetConfig

from stanceframe.data.corpus import SHIPPED as CORPUS
from stanceframe.data.corpus import read_labelled
from stanceframe.models import engines
from stanceframe.models.checkpoint import SHIPPED
from stanceframe.models.classifier import SCHEMA_MENTIONS, StanceClassifier
from stanceframe.models.engines import OpenVinoEngine, TorchEngine, fast_precision, new_engine
from stanceframe.models.errors import ConfigError
from stanceframe.models.network import Logits, StanceframeConfig, StanceframeNetwork
from stanceframe.models.types import ENGINES, Sentence
from stanceframe.training.evaluate import evaluate

TEXTS = ["Moscow praised Kim.", "the war", "Washington condemned the shells of North Korea and Russia, said Putin."]


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


def bert(**shape):
    return new_network(BertConfig(**shape))


def mpnet(**shape):
    """The teacher's kind of encoder."""
    return new_network(MPNetConfig(**shape))


def new_network(config):
    torch.manual_seed(0)
    config = StanceframeConfig({**config.to_dict(), "num_hidden_layers": 2, "num_attention_heads": 2})
    return StanceframeNetwork(config)


@pytest.mark.parametrize("make", [bert, mpnet])
@pytest.mark.parametrize(("texts", "targets"), [(TEXTS[:1], 1), (TEXTS, 0), (TEXTS, 4), (["war " * 60, *TEXTS], 3)])
def test_openvino_in_fp32_says_what_torch_says_whatever_the_shape(tiny, make, texts, targets):
    network = make(vocab_size=100, hidden_size=32, intermediate_size=64)
    asked = list((SCHEMA_MENTIONS * 2)[:targets])
    batch = tiny.encoder.collate(list(tiny.encoder.windows(texts, [asked] * len(texts))))
    exact, other = (engine(network).run(batch) for engine in (TorchEngine, exact_openvino))
    for field in fields(Logits):
        assert getattr(other, field.name).shape == getattr(exact, field.name).shape
        np.testing.assert_allclose(getattr(other, field.name), getattr(exact, field.name), atol=1e-5)


def exact_openvino(network, cache=None):
    return OpenVinoEngine(network, cache, "fp32")


def test_what_was_derived_is_read_again(tiny, batch, tmp_path, monkeypatch):
    said = exact_openvino(tiny.engine.network, tmp_path).run(batch).stance
    monkeypatch.setattr(engines, "derive", None)
    assert torch.equal(exact_openvino(tiny.engine.network, tmp_path).run(batch).stance, said)


@pytest.mark.parametrize("name", ["network.xml", "network.bin", "derived.json"])
def test_what_was_derived_is_made_again_where_it_is_damaged(tiny, batch, tmp_path, name):
    said = exact_openvino(tiny.engine.network, tmp_path).run(batch).stance
    (kept,) = tmp_path.glob(f"*/{name}")
    whole = kept.read_bytes()
    middle = len(whole) // 2
    damaged = whole[:middle] + bytes([whole[middle] ^ 64]) + whole[middle + 1 :]
    kept.write_bytes(damaged)
    assert torch.equal(exact_openvino(tiny.engine.network, tmp_path).run(batch).stance, said)
    assert kept.read_bytes() != damaged


def test_what_another_release_derived_is_not_read_and_goes(tiny, batch, tmp_path, monkeypatch):
    exact_openvino(tiny.engine.network, tmp_path)
    (before,) = tmp_path.iterdir()
    monkeypatch.setattr(engines, "version", lambda _: "99")
    exact_openvino(tiny.engine.network, tmp_path)
    (after,) = tmp_path.iterdir()
    assert before != after


def test_a_folder_that_cannot_be_written_is_no_hindrance(tiny, batch, tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert OpenVinoEngine(tiny.engine.network, blocked).run(batch).stance.shape[0] == len(TEXTS)
    assert "could not be kept" in caplog.text


def test_threads_may_ask_at_the_same_time(tiny, batch):
    engine = exact_openvino(tiny.engine.network)
    said = engine.run(batch).stance
    with ThreadPoolExecutor(4) as threads:
        for again in threads.map(lambda _: engine.run(batch).stance, range(40)):
            assert torch.equal(again, said)


def test_openvino_sends_no_telemetry(tiny):
    OpenVinoEngine(tiny.engine.network)
    assert sys.modules["openvino_telemetry"] is None
    assert "stub" in sys.modules["openvino.tools.ovc.telemetry_utils"].tm.__name__


@pytest.mark.usefixtures("missing")
def test_without_openvino_torch_takes_over_and_says_so(tiny, caplog):
    assert new_engine("auto", tiny.engine.network).name == f"torch-{fast_precision()}"
    assert "pip install openvino" in caplog.text


@pytest.mark.usefixtures("missing")
def test_without_openvino_who_asks_for_it_is_told_the_remedy(tiny):
    with pytest.raises(ConfigError, match="pip install openvino"):
        new_engine("openvino-bf16", tiny.engine.network)


def test_torch_takes_over_where_openvino_fails(tiny, monkeypatch, caplog):
    def fail(*_):
        raise AttributeError("no such operation")

    monkeypatch.setattr(engines, "derive", fail)
    assert isinstance(new_engine("auto", tiny.engine.network), TorchEngine)
    assert "no such operation" in caplog.text


@pytest.fixture(scope="module")
def exact(shipped):
    """2,000 sentences, those that the checkpoint never saw first, and what it says of them in fp32."""
    ours = (read_labelled(CORPUS / name) for name in ("test.jsonl", "train.jsonl"))
    texts = list(islice(dict.fromkeys(s.text for s in chain.from_iterable(ours)), 2000))
    assert len(texts) == 2000
    return texts, shipped.predict([Sentence(text) for text in texts])


FAST = [name for name in ENGINES if name not in ("auto", "torch-fp32")]


@pytest.mark.parametrize("name", FAST)
def test_an_engine_labels_as_torch_does_in_fp32(exact, name):
    texts, before = exact
    after = StanceClassifier.from_pretrained(SHIPPED, name).predict([Sentence(text) for text in texts])
    for decided, said in HEADS.values():
        assert np.mean([decided(a) == decided(b) for a, b in zip(before, after, strict=True)]) >= 0.995
        differences = np.abs(np.array([said(a) for a in before]) - np.array([said(b) for b in after]))
        assert differences.mean() <= 0.005
        assert np.quantile(differences, 0.999) <= 0.06


HEADS = {
    "stance": (
        lambda p: [stance.label for stance in p.stance.values()],
        lambda p: [[*stance.probabilities.values()] for stance in p.stance.values()],
    ),
    "framing": (lambda p: p.framing.labels, lambda p: [*p.framing.probabilities.values()]),
    "sentiment": (lambda p: p.sentiment.label, lambda p: [*p.sentiment.probabilities.values()]),
    "holder": (lambda p: [stance.holder for stance in p.stance.values()], lambda p: 0.0),
}
"""Of each head what is decided and with which probabilities; those of holders are not told."""


@pytest.mark.parametrize("name", FAST)
def test_an_engine_is_as_good_on_real_text(shipped, shared, name):
    real = list(read_labelled(shared / "data" / "news" / "dev.jsonl"))
    exact, other = (
        evaluate(real, classifier).figures["stance_macro_f1"][0]
        for classifier in (shipped, StanceClassifier.from_pretrained(SHIPPED, name))
    )
    assert abs(exact - other) <= 0.003
