"""Floats as bytes."""

from __future__ import annotations

import torch
from torch import Tensor


def floored(x: Tensor) -> Tensor:
    """Floats, whose memory is used -> uint8 0..255, rounded down."""
    # By way of int16, in half of the time.
    return x.clamp_(0, 255).to(torch.int16).to(torch.uint8)


def pixels(x: Tensor) -> Tensor:
    """Pixels, about [-1, 1] -> uint8, the nearest."""
    return floored(torch.add(128.0, x.float(), alpha=127.5))
