"""Untrained models whose memory works: its layers begin at zero, where they say nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nvcodec.models.tokenizer import Tokenizer


def awaken(model: Tokenizer) -> Tokenizer:
    """Random weights in what the decoder remembers by; returns the same model."""
    import torch

    memory = model.decoder.memory
    assert memory is not None
    for conv in (memory.recall, memory.skip, memory.gate, memory.correction.out.conv):
        torch.nn.init.kaiming_normal_(conv.weight, nonlinearity="linear")
    return model
