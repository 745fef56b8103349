"""Pictures between two that are decoded: each moved on to their time, and mixed.

Motion-compensated interpolation along the motion of `motion.py`, so that a decoder needs no bits
for pictures that were left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nvcodec.models.motion import carried_on, motion
from nvcodec.models.tokenizer import pad_frames

#: Sides have to be whole multiples of this many pixels for motion to be found, twice as many at
#: least.
SIDE = 8


def between(before: Tensor, after: Tensor, shares: Sequence[float]) -> Tensor:
    """Pictures [B, H, W, 3] in [-1, 1] -> those between them, float32 [B, T, H, W, 3].

    `shares` are T times, 0 at `before` and 1 at `after`. Each of the two is moved along half of
    what lies between them and counts by how near it is.
    """
    moves = motion(before, after)
    at = torch.tensor(shares, dtype=torch.float32, device=before.device).expand(len(before), -1)
    # Both at once: threads share out the pictures of a batch.
    first, second = carried_on(torch.cat((before, after)), torch.cat((moves, moves)),
                               torch.cat((at, at - 1))).chunk(2)
    return torch.lerp(first, second, at[:, :, None, None, None])


@torch.inference_mode()
def pictures_between(before: Tensor, after: Tensor, shares: Sequence[float]) -> Tensor:
    """Two pictures uint8 [H, W, 3] of any size -> those between them, uint8 [T, H, W, 3]."""
    height, width = before.shape[:2]
    pair = pad_frames(torch.stack((before, after)).float().div_(127.5).sub_(1), SIDE)
    made = between(pair[:1], pair[1:], shares)[0, :, :height, :width]
    return made.add_(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
