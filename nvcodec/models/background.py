"""What stands still in a segment: arithmetic on pictures, float32 [H, W, 3] of 0..255.

A background lies over a decoded picture where that one is still like the reference, the decoded
picture that the background was told as a difference to.
"""

from __future__ import annotations

from functools import cache
from math import cos, pi, sqrt

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nvcodec.models.camera import Moves, homography, places, sampled

#: Sides of the blocks that are transformed, and of those that pictures are compared by.
BLOCK, FINE = 8, 4
#: A mean difference to the reference, in levels of 8 bits, up to which the background covers all,
#: and from which on nothing.
SAME, OTHER = 4.0, 10.0
#: Step of both chroma planes, for a step of 1 of luma; that of backgrounds of version 4.
CHROMA_STEP, EARLY_CHROMA_STEP = 0.8, 1.2
# ITU-R BT.709: luma, and what blue and red differences are divided by.
_LUMA = (0.2126, 0.7152, 0.0722)
_BLUE, _RED = 1.8556, 1.5748


def planes_of(rgb: Tensor) -> Tensor:
    """[..., 3] -> luma, blue and red difference [..., 3], of the same scale."""
    luma = rgb @ rgb.new_tensor(_LUMA)
    return torch.stack((luma, (rgb[..., 2] - luma) / _BLUE, (rgb[..., 0] - luma) / _RED), -1)


def rgb_of(planes: Tensor) -> Tensor:
    """The other way."""
    luma, blue, red = planes.unbind(-1)
    r, b = luma + _RED * red, luma + _BLUE * blue
    return torch.stack((r, (luma - _LUMA[0] * r - _LUMA[2] * b) / _LUMA[1], b), -1)


@cache
def _basis() -> Tensor:
    rows = [[sqrt((2 if k else 1) / BLOCK) * cos(pi * (2 * n + 1) * k / (2 * BLOCK))
             for n in range(BLOCK)] for k in range(BLOCK)]
    return torch.tensor(rows)


def blocks_of(plane: Tensor) -> Tensor:
    """A plane of whole blocks [H, W] -> their orthonormal cosine transforms [H/8, W/8, 8, 8],
    vertical frequencies first."""
    basis = _basis().to(plane.device)
    cut = plane.unflatten(1, (-1, BLOCK)).unflatten(0, (-1, BLOCK)).transpose(1, 2)
    return basis @ cut @ basis.T


def plane_of(blocks: Tensor) -> Tensor:
    """The other way."""
    basis = _basis().to(blocks.device)
    return (basis.T @ blocks @ basis).transpose(1, 2).flatten(2, 3).flatten(0, 1)


def whole_blocks(planes: Tensor) -> Tensor:
    """[C, H, W] -> sides padded up to whole blocks of twice the side by repeating the edges."""
    down, right = (-n % (2 * BLOCK) for n in planes.shape[1:])
    return F.pad(planes[None], (0, right, 0, down), mode="replicate")[0]


def halved(planes: Tensor) -> Tensor:
    """[C, H, W] -> [C, H/2, W/2]."""
    return F.avg_pool2d(planes, 2)


def diagonals() -> Tensor:
    """Of the frequencies of a block, [8, 8]: those of one are about as high."""
    return torch.arange(BLOCK)[:, None] + torch.arange(BLOCK)


def faded(reference: Tensor, fade: int) -> tuple[Tensor, Tensor, Tensor]:
    """What a background does without of a picture [H, W, 3]: blocks of luma and of both chroma
    planes. Of the frequencies of a diagonal d it takes a part of 1 / (1 + exp(d - fade / 16)), or
    all where fade is 0: high ones are there in a network's pictures, but not where they should be.
    """
    planes = whole_blocks(planes_of(reference.float()).permute(2, 0, 1))
    without = torch.sigmoid(diagonals() - fade / 16) if fade else torch.zeros(BLOCK, BLOCK)
    blue, red = halved(planes[1:])
    return without * blocks_of(planes[0]), without * blocks_of(blue), without * blocks_of(red)


def difference_of(luma: Tensor, blue: Tensor, red: Tensor) -> Tensor:
    """Blocks of the planes, in levels of 8 bits -> what they add to a picture, RGB [H', W', 3] in
    whole blocks."""
    chroma = torch.stack((plane_of(blue), plane_of(red)))
    chroma = F.interpolate(chroma[None], scale_factor=2, mode="bilinear", align_corners=False)[0]
    return rgb_of(torch.cat((plane_of(luma)[None], chroma)).permute(1, 2, 0))


def likeness(picture: Tensor, reference: Tensor) -> Tensor:
    """How much of a background may lie over each place of a picture, 0..1, [H/4, W/4], rounded
    up."""
    off = (picture - reference).abs_()
    down, right = (-n % FINE for n in off.shape[:2])
    if down or right:
        planes = F.pad(off.permute(2, 0, 1)[None], (0, right, 0, down), "replicate")
        off = planes[0].permute(1, 2, 0)
    height, width = (n // FINE for n in off.shape[:2])
    rows = off.reshape(height, FINE, width, FINE * 3)
    off = rows.sum(-1).sum(1)[None] / (FINE * FINE * 3)  # three times as fast as pooling
    off = F.avg_pool2d(off, 3, 1, 1, count_include_pad=False)[0]
    return off.sub_(OTHER).div_(SAME - OTHER).clamp_(0, 1)


def spread(told: Tensor, size: torch.Size) -> Tensor:
    """Blocks that are told of, [rows, columns] in 0..1 -> the same at places of `likeness`."""
    wide = F.interpolate(told[None, None], scale_factor=BLOCK // FINE, mode="bilinear",
                         align_corners=False)
    return wide[0, 0, :size[0], :size[1]]


def filled(share: Tensor, height: int, width: int) -> Tensor:
    """Values at places of `likeness` -> for each pixel, [H, W]."""
    wide = F.interpolate(share[None, None], scale_factor=FINE, mode="bilinear",
                         align_corners=False)
    return wide[0, 0, :height, :width]


def inside(shown: Tensor, size: torch.Size) -> Tensor:
    """Blocks [rows, columns] in 0..1 -> places of `likeness` in them with no other block beside
    them: what is next to another thing may be a part of it."""
    places = shown.repeat_interleave(BLOCK // FINE, 0).repeat_interleave(BLOCK // FINE, 1)
    return 1 - F.max_pool2d(1 - places[None, None], 3, 1, 1)[0, 0, :size[0], :size[1]]


def gone(share: Tensor, moves: Moves, height: int, width: int) -> Tensor:
    """Values at places of `likeness` of the reference, 0 outside of it -> those at the places of a
    picture of that size in which the corners have moved."""
    if not moves.any():
        return share
    back = np.linalg.inv(homography(moves, width, height))
    at = places(back, share.shape[1] * FINE, share.shape[0] * FINE, FINE)
    return sampled(share[None], at, FINE)[0]


def grid_of(picture: Tensor) -> torch.Size:
    """Rows and columns of places of `likeness`, of a picture [H, W, 3]."""
    return torch.Size(-(-n // FINE) for n in picture.shape[:2])


def quarters(told: Tensor) -> Tensor:
    """Blocks of luma that are told of -> those of chroma that have one of them, bool."""
    rows, columns = (n // 2 for n in told.shape)
    return told.view(rows, 2, columns, 2).any(3).any(1)


class Cover:
    """Lays a background over decoded pictures.

    Args:
        reference: the picture uint8 [H, W, 3] that the difference is to.
        difference: RGB of at least its size, in levels of 8 bits.
        told: the blocks that are told of, 0..1 [rows, columns].
    """

    def __init__(self, reference: Tensor, difference: Tensor, told: Tensor) -> None:
        self.height, self.width = reference.shape[:2]
        self.reference = reference.float()
        change = difference[:self.height, :self.width]
        self.picture = (self.reference + change).clamp_(0, 255)
        self.told = told

    def over(self, picture: Tensor, shown: Tensor | None = None, moves: Moves | None = None
             ) -> Tensor:
        """A decoded picture uint8 [H, W, 3] -> that with the background over it; inside of the
        blocks that are `shown` [rows, columns] in 0..1 whatever is decoded, and where the camera
        has moved nothing else."""
        made = picture.float()
        if moves is None or not moves.any():
            share = likeness(made, self.reference) * spread(self.told, grid_of(picture))
            if shown is not None:
                share = torch.maximum(share, self._share(shown))
            background = self.picture
        elif shown is None:
            return picture
        else:
            share = gone(self._share(shown), moves, self.height, self.width)
            back = np.linalg.inv(homography(moves, self.width, self.height))
            at = places(back, self.width, self.height)
            background = sampled(self.picture.permute(2, 0, 1), at, mode="bicubic",
                                 outside="border").permute(1, 2, 0)
        wide = filled(share, self.height, self.width)[..., None]
        return torch.addcmul(made, background - made, wide).add_(0.5).clamp_(0, 255).byte()

    def _share(self, shown: Tensor) -> Tensor:
        """How much of the background lies over each place of the reference."""
        size = grid_of(self.reference)
        return inside(shown, size) * spread(self.told, size)
