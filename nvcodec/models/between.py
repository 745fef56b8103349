"""Pictures between two that are decoded: each moved on to their time, and mixed.

Motion-compensated interpolation along the motion of `motion.py`, so that a decoder needs no bits
for pictures that were left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from nvcodec.models.motion import averaged, carried_on, motion
from nvcodec.models.tokenizer import pad_frames

#: Sides have to be whole multiples of this many pixels for motion to be found, twice as many at
#: least.
SIDE = 8
#: Texture is taken by blocks of so many pixels a side, its size over so many blocks by so many.
BLOCK, AROUND = 4, 3
#: It grows by no more than this factor. Variance that counts for nothing, of values from -1 to 1.
MOST, FLAT = 2.0, 1e-5


def between(before: Tensor, after: Tensor, shares: Sequence[float]) -> Tensor:
    """Pictures [B, H, W, 3] in [-1, 1] -> those between them, float32 [B, T, H, W, 3].

    `shares` are T times, 0 at `before` and 1 at `after`. Each of the two is moved along half of
    what lies between them and counts by how near it is; what texture they lose by being mixed is
    given back.
    """
    moves = motion(before, after)
    at = torch.tensor(shares, dtype=torch.float32, device=before.device).expand(len(before), -1)
    # Both at once: threads share out the pictures of a batch.
    first, second = carried_on(torch.cat((before, after)), torch.cat((moves, moves)),
                               torch.cat((at, at - 1))).chunk(2)
    a, b = (v.flatten(0, 1).permute(0, 3, 1, 2) for v in (first, second))
    mixed = _mixed(a, b, at.flatten())
    return mixed.permute(0, 2, 3, 1).contiguous().unflatten(0, at.shape)


def _mixed(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Pictures [N, 3, H, W] mixed by shares [N] of the second, as rough as they are on average.

    The mean of two, of variances u and v, has s (1 - s) times the variance of their difference less
    than (1 - s) u + s v. Where they do not agree it would look softer than the pictures beside it.
    """
    s = share[:, None, None, None]
    mean = torch.lerp(first, second, s)
    wanted = torch.lerp(_variance(first), _variance(second), s) + FLAT
    left = (wanted - s * (1 - s) * _variance(first - second)).clamp_min_(FLAT)
    gain = (wanted / left).sqrt_().clamp_(1, MOST)
    # Blocks' means stay: mean + (gain - 1) (mean - block's mean), its two parts resized at once.
    parts = torch.cat((gain, (1 - gain) * F.avg_pool2d(mean, BLOCK)), 1)
    parts = F.interpolate(parts, mean.shape[2:], mode="bilinear", align_corners=False)
    return torch.addcmul(parts[:, 1:], mean, parts[:, :1])


def _variance(pictures: Tensor) -> Tensor:
    """[N, 3, H, W] -> variance within blocks, the mean of colours, [N, 1, H / 4, W / 4]."""
    squares = F.avg_pool2d(pictures.square(), BLOCK)
    inside = squares.sub_(F.avg_pool2d(pictures, BLOCK).square_()).mean(1, keepdim=True)
    return averaged(inside.clamp_min_(0), AROUND)


@torch.inference_mode()
def pictures_between(before: Tensor, after: Tensor, shares: Sequence[float]) -> Tensor:
    """Two pictures uint8 [H, W, 3] of any size -> those between them, uint8 [T, H, W, 3]."""
    height, width = before.shape[:2]
    pair = pad_frames(torch.stack((before, after)).float().div_(127.5).sub_(1), SIDE)
    made = between(pair[:1], pair[1:], shares)[0, :, :height, :width]
    return made.add_(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
