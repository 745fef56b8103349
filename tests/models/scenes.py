"""Smooth made-up scenes that move by whole pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def view(dx: int, dy: int, side: int = 96, room: int = 16) -> Tensor:
    """A picture [1, side, side, 3] of a scene that has come dx pixels right and dy down, each at
    most `room` either way."""
    draw = torch.Generator().manual_seed(5)
    size = side + 2 * room
    coarse, fine = (torch.rand(1, 3, size // n, size // n, generator=draw) for n in (16, 4))
    parts = [w * F.interpolate(v, (size, size), mode="bicubic", align_corners=False)
             for w, v in ((1.2, coarse), (0.5, fine))]
    scene = parts[0] + parts[1] - 0.85
    return scene[..., room - dy:room - dy + side, room - dx:room - dx + side].permute(0, 2, 3, 1)
