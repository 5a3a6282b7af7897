"""The network: one encoder pass over a sentence and the names of all its targets.

The input is `[CLS] name [SEP] name [SEP] … sentence [SEP]`. Every token of a target's name, and every
token of the sentence that is known to mention that target, carries the target's slot: a learned vector
added to its embedding. Stance and holder are read at the target's tokens; the frames and the sentiment
at the sentence's tokens, each through an attention pool of its own. Marking the target in the input and
pooling at the marker is the entity-marker representation of Baldini Soares et al. (ACL 2019,
"Matching the Blanks"), here for several targets in one pass.
"""

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel

from stanceframe.models.labels import Frame, Holder, Sentiment, Stance

MAX_TARGETS = 4
"""Targets that one pass takes; an encoder splits more into several passes."""


class StanceframeConfig(PreTrainedConfig):  # type: ignore[misc]
    """Shape of a network: the encoder's own configuration, and what the heads need.

    Args:
        encoder: configuration of the encoder, as `PreTrainedConfig.to_dict` gives it.
        dropout: probability in the heads while training.
        max_length: tokens of one input; a longer sentence is read in windows.
    """

    model_type = "stanceframe"

    def __init__(
        self,
        encoder: dict[str, Any] | None = None,
        dropout: float = 0.1,
        max_length: int = 192,
        **kwargs: Any,
    ) -> None:
        self.encoder = encoder or {"model_type": "bert"}
        self.dropout = dropout
        self.max_length = max_length
        super().__init__(**kwargs)

    def encoder_config(self) -> PreTrainedConfig:
        """The encoder's configuration as an object."""
        values = dict(self.encoder)
        return AutoConfig.for_model(values.pop("model_type"), **values)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one forward pass reads.

    Shapes, for B inputs of at most L tokens and T targets:
        input_ids, attention_mask, slot_ids: (B, L) int64; slot 0 marks no target, slot t + 1 marks target t.
        name_mask: (B, T, L) bool, the tokens of each target's name.
        sentence_mask: (B, L) bool, the tokens of the sentence and the separator that closes it.
    """

    input_ids: Tensor
    attention_mask: Tensor
    slot_ids: Tensor
    name_mask: Tensor
    sentence_mask: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same batch on a device."""
        return Batch(*(getattr(self, field.name).to(device) for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Logits:
    """What one forward pass says.

    Shapes: stance (B, T, 4), holder (B, T, 5), framing (B, 2), sentiment (B, 3).
    """

    stance: Tensor
    holder: Tensor
    framing: Tensor
    sentiment: Tensor

    def float_cpu(self) -> "Logits":
        """The same logits in fp32 on the CPU."""
        return Logits(*(getattr(self, field.name).float().cpu() for field in fields(self)))


class AttentionPool(nn.Module):
    """Weighted means of a sentence's states, one for each query."""

    def __init__(self, hidden: int, queries: int) -> None:
        super().__init__()
        self.score = nn.Linear(hidden, queries)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """(B, L, H) states and a (B, L) mask to (B, queries, H)."""
        scores = self.score(states).float().masked_fill(~mask[:, :, None], torch.finfo(torch.float32).min)
        weights: Tensor = scores.softmax(dim=1).transpose(1, 2).to(states.dtype)
        return weights @ states


class Head(nn.Module):
    """One hidden layer, then logits."""

    def __init__(self, hidden: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, outputs),
        )

    def forward(self, states: Tensor) -> Tensor:
        """(…, H) to (…, outputs)."""
        logits: Tensor = self.layers(states)
        return logits


class StanceframeNetwork(PreTrainedModel):  # type: ignore[misc]
    """Encoder and heads. See the module's text."""

    config_class = StanceframeConfig
    base_model_prefix = "encoder"

    def __init__(self, config: StanceframeConfig) -> None:
        super().__init__(config)
        encoder_config = config.encoder_config()
        hidden = encoder_config.hidden_size
        self.encoder = AutoModel.from_config(encoder_config, add_pooling_layer=False)
        self.slots = nn.Embedding(MAX_TARGETS + 1, hidden, padding_idx=0)
        self.stance = Head(2 * hidden, len(Stance), config.dropout)
        self.holder = Head(2 * hidden, len(Holder), config.dropout)
        self.pool = AttentionPool(hidden, len(Frame) + 1)
        self.framing = nn.ModuleList(Head(hidden, 1, config.dropout) for _ in Frame)
        self.sentiment = Head(hidden, len(Sentiment), config.dropout)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Start new layers as BERT does, and let an input look unmarked at first."""
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)
        elif module is getattr(self, "slots", None):
            nn.init.normal_(module.weight, std=0.02)
            with torch.no_grad():
                module.weight[0].zero_()

    def forward(self, batch: Batch) -> Logits:
        """Logits of every target and of every sentence in the batch."""
        return self.read_off(self.states(batch), batch)

    def states(self, batch: Batch) -> Tensor:
        """The encoder's last states: (B, L, H)."""
        embedded = self.encoder.get_input_embeddings()(batch.input_ids) + self.slots(batch.slot_ids)
        states: Tensor = self.encoder(inputs_embeds=embedded, attention_mask=batch.attention_mask).last_hidden_state
        return states

    def read_off(self, states: Tensor, batch: Batch) -> Logits:
        """What the heads read off the states of a batch."""
        targets = torch.cat([self.at_names(states, batch), self._at_mentions(states, batch)], dim=-1)
        pooled = self.pool(states, batch.sentence_mask)
        return Logits(
            stance=self.stance(targets),
            holder=self.holder(targets),
            framing=torch.cat([head(pooled[:, i]) for i, head in enumerate(self.framing)], dim=-1),
            sentiment=self.sentiment(pooled[:, -1]),
        )

    @staticmethod
    def at_names(states: Tensor, batch: Batch) -> Tensor:
        """Mean state of each target's name: (B, T, H)."""
        weights = batch.name_mask.to(states.dtype)
        return weights @ states / weights.sum(-1, keepdim=True).clamp(min=1)

    @staticmethod
    def _at_mentions(states: Tensor, batch: Batch) -> Tensor:
        """Mean state of each target's marked mentions in the sentence: (B, T, H), zero where none is marked."""
        slots = torch.arange(1, batch.name_mask.shape[1] + 1, device=states.device)
        marked = (batch.slot_ids[:, None, :] == slots[None, :, None]) & batch.sentence_mask[:, None, :]
        weights = marked.to(states.dtype)
        return weights @ states / weights.sum(-1, keepdim=True).clamp(min=1)
