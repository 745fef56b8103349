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
    convs = [memory.recall, memory.skip, memory.gate]
    if memory.correction is not None:
        convs.append(memory.correction.out.conv)
    if memory.motion is not None:
        convs += [memory.motion.recall, memory.motion.skip, memory.motion.prefer]
    for conv in convs:
        torch.nn.init.kaiming_normal_(conv.weight, nonlinearity="linear")
    return model
