"""The engine: the same batch, the same logits, in fp32 on the CPU."""

from dataclasses import fields

import pytest
import torch

from stanceframe.models.classifier import SCHEMA_MENTIONS
from stanceframe.models.engines import TorchEngine
from stanceframe.models.network import Logits

TEXTS = ["Moscow praised Kim.", "the war", "Washington condemned the shells of North Korea and Russia, said Putin."]


@pytest.fixture
def batch(tiny):
    return tiny.encoder.collate(list(tiny.encoder.windows(TEXTS, [SCHEMA_MENTIONS] * len(TEXTS))))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_same_batch_gives_the_same_logits(tiny, batch, precision):
    engine = TorchEngine(tiny.engine.network, precision)
    first = engine.run(batch)
    torch.manual_seed(1)
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
