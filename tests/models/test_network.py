"""The network's own rules, each by a small case that a reader can work out."""

import json
from dataclasses import fields, replace

import pytest
import torch

from stanceframe.models.labels import TARGETS
from stanceframe.models.network import AttentionPool, Batch, Logits, StanceframeConfig, StanceframeNetwork
from stanceframe.models.types import Mention

SCHEMA = [Mention(target) for target in TARGETS.values()]


@pytest.fixture
def batch(tiny):
    texts = ["Russia praised the war.", "the friendship of North Korea and the United States, said Kim"]
    return tiny.encoder.collate(list(tiny.encoder.windows(texts, [SCHEMA] * 2)))


def test_every_output_has_a_column_for_each_label(tiny, batch):
    logits = tiny.engine.run(batch)
    assert logits.stance.shape == (2, 3, 4)
    assert logits.holder.shape == (2, 3, 5)
    assert logits.framing.shape == (2, 2)
    assert logits.sentiment.shape == (2, 3)


def test_what_stands_in_the_padding_changes_nothing(tiny, batch):
    padding = batch.attention_mask == 0
    assert padding.any()
    other = replace(batch, input_ids=batch.input_ids.masked_fill(padding, 9))
    assert_close(tiny.engine.run(other), tiny.engine.run(batch))


def test_a_mark_changes_what_is_said(tiny, batch):
    tiny.engine.network.slots.weight.data.normal_()
    bare = replace(batch, slot_ids=torch.zeros_like(batch.slot_ids))
    one, other = tiny.engine.run(bare), tiny.engine.run(batch)
    assert (one.stance - other.stance).abs().max() > 0.01
    assert (one.framing - other.framing).abs().max() > 0.001  # which is not read at the mentions: the tokens differ


def test_the_slot_of_no_target_adds_nothing(tiny):
    slots = StanceframeNetwork(tiny.engine.network.config).slots.weight
    assert not slots[0].any()
    assert slots[1:].any(dim=1).all()


def test_a_mention_is_the_mean_of_its_marked_tokens_in_the_sentence():
    states = torch.tensor([[[1.0], [2.0], [4.0], [8.0], [16.0]]])
    batch = Batch(
        input_ids=torch.zeros(1, 5, dtype=torch.int64),
        attention_mask=torch.ones(1, 5, dtype=torch.int64),
        slot_ids=torch.tensor([[1, 0, 2, 2, 0]]),
        name_mask=torch.zeros(1, 3, 5, dtype=torch.bool),
        sentence_mask=torch.tensor([[False, False, True, True, True]]),
    )
    assert StanceframeNetwork._at_mentions(states, batch).flatten().tolist() == [0.0, 6.0, 0.0]


def test_a_pool_reads_only_what_its_mask_shows():
    torch.manual_seed(0)
    pool = AttentionPool(4, queries=2)
    states, mask = torch.randn(1, 5, 4), torch.tensor([[False, True, False, True, False]])
    pooled = pool(states, mask)
    assert pooled.shape == (1, 2, 4)
    assert torch.equal(pool(torch.where(mask[:, :, None], states, 1e6), mask), pooled)
    lone = pool(states, torch.tensor([[False, False, True, False, False]]))
    assert torch.allclose(lone, states[:, 2:3].expand(1, 2, 4))


def test_a_batch_moves_whole(batch):
    moved = batch.to(torch.device("meta"))
    assert all(getattr(moved, field.name).is_meta for field in fields(Batch))


def test_a_configuration_survives_json(tiny):
    config = tiny.engine.network.config
    stored = json.loads(json.dumps(config.to_dict()))
    again = StanceframeConfig.from_dict(stored)
    assert (again.dropout, again.max_length) == (config.dropout, config.max_length) == (0.1, 96)
    assert again.encoder_config().to_dict() == config.encoder_config().to_dict()
    assert json.loads(json.dumps(again.to_dict())) == stored


def assert_close(one: Logits, other: Logits):
    for field in fields(Logits):
        assert torch.allclose(getattr(one, field.name), getattr(other, field.name), atol=1e-5), field.name
