"""Where the forward pass runs."""

from typing import Literal, Protocol

import torch

from stanceframe.models.network import Batch, Logits, StanceframeNetwork

Precision = Literal["fp32", "bf16"]


class Engine(Protocol):
    """Runs a network over a batch; the same batch gives the same logits, whatever ran before."""

    def run(self, batch: Batch) -> Logits:
        """Logits in fp32 on the CPU."""
        ...


class TorchEngine:
    """The network itself: on a GPU where there is one, in fp32 unless told otherwise."""

    def __init__(self, network: StanceframeNetwork, precision: Precision = "fp32") -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = network.to(self.device).eval()
        self.precision = precision

    @torch.inference_mode()
    def run(self, batch: Batch) -> Logits:
        """Logits in fp32 on the CPU."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            logits: Logits = self.network(batch.to(self.device))
        return logits.float_cpu()
