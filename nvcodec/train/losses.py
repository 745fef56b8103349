"""Distortion terms of the training recipes. Pixels are [B, T, H, W, 3] in [-1, 1]."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nvcodec.models.perceptual import load_lpips
from nvcodec.train.recipes import Recipe

#: Sides of the blocks, in pixels, that averaged pictures are compared by.
COARSE_SIDES = (8, 32)
#: Side of the cells of tokens, in pixels, that `mesh` looks for.
CELL = 8
#: Added to the size of a picture's texture there: flat ones have none.
FLAT = 0.02
LN2 = 0.6931471805599453


class Perceptual(nn.Module):
    """Mean LPIPS over backbones, always in float32 (its bfloat16 backward is slower and coarse)."""

    def __init__(self, nets: tuple[str, ...], weights: Path | None) -> None:
        super().__init__()
        self.metrics = nn.ModuleList(load_lpips(n, weights) for n in nets)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Frames [N, H, W, 3] against frames [N, H, W, 3] -> scalar."""
        with torch.autocast(x.device.type, enabled=False):
            a, b = (v.float().permute(0, 3, 1, 2) for v in (x, y))
            return torch.stack([m(a, b).mean() for m in self.metrics]).mean()


def distortion(recipe: Recipe, perceptual: Perceptual, made: Tensor, source: Tensor,
               looked: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """What a recipe holds against a reconstruction: (weighted sum, L1, LPIPS).

    Args:
        made, source: [B, T, H, W, 3].
        looked: the frames [N, H, W, 3] of each that LPIPS is to see.
    """
    l1: Tensor = (made - source).abs().mean()
    lpips: Tensor = perceptual(*looked)
    total = recipe.l1 * l1 + recipe.lpips * lpips
    if recipe.temporal:
        total = total + recipe.temporal * temporal_l1(made, source)
    if recipe.coarse:
        total = total + recipe.coarse * coarse_l1(made, source)
    if recipe.mesh:
        total = total + recipe.mesh * mesh(made, source)
    return total, l1, lpips


def frames_at(x: Tensor, index: Tensor) -> Tensor:
    """Frames of clips [B, T, H, W, 3] at [B, n] -> [B * n, H, W, 3]."""
    rows = torch.arange(len(x), device=x.device)[:, None]
    return x[rows, index].flatten(0, 1)


def temporal_l1(x: Tensor, y: Tensor) -> Tensor:
    """L1 of frame differences: flicker that the source does not have. Zero for stills."""
    if x.shape[1] == 1:
        return x.new_zeros(())
    return (x.diff(dim=1) - y.diff(dim=1)).abs().mean()


def coarse_l1(x: Tensor, y: Tensor) -> Tensor:
    """L1 of means over square blocks, the mean over COARSE_SIDES; what fills no block is left out.

    A block's mean has next to no texture in it: what is left is wrong brightness and colour.
    Pictures [B, T, H, W, 3] no smaller than the largest block.
    """
    error = (x - y).flatten(0, 1).permute(0, 3, 1, 2)
    return torch.stack([F.avg_pool2d(error, side).abs().mean() for side in COARSE_SIDES]).mean()


def mesh(x: Tensor, y: Tensor) -> Tensor:
    """By how much fine texture in x differs from that in y, place by place in a cell of 8x8 pixels.

    LPIPS likes a texture better that is the same in every cell than none; eyes see a mesh.
    Both are measured by the size of y's: relative to its own, a chequerboard of single pixels all
    over x would drown its mesh. Pictures [B, T, H, W, 3], at least a cell and two pixels high and
    wide.
    """
    source = _by_place(y)
    size = source[:, :1].mean((2, 3), keepdim=True) + FLAT
    return ((_by_place(x) - source) / size).abs().mean()


def _by_place(pictures: Tensor) -> Tensor:
    """Means over all cells of the size and of the value of grey (the mean of the colours) less its
    neighbours, [B * T, 2, 8, 8]."""
    v = pictures.float().mean(-1).flatten(0, 1)
    g = 4 * v[:, 1:-1, 1:-1] - v[:, :-2, 1:-1] - v[:, 2:, 1:-1] - v[:, 1:-1, :-2] - v[:, 1:-1, 2:]
    rows, columns = (n // CELL for n in g.shape[1:])
    cells = g[:, :rows * CELL, :columns * CELL].reshape(-1, rows, CELL, columns, CELL)
    return torch.stack((cells.abs().mean((1, 3)), cells.mean((1, 3))), 1)


def bit_costs(logits: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """Bits per token [B, T'], twice: with gradient to the model only, and to the encoder only.

    Splitting them keeps the context model learning at full speed while lambda is still zero.
    """
    ones = (q + 1) / 2
    logits = logits.float()
    model = F.softplus(logits) - ones.detach() * logits
    fixed = logits.detach()
    encoder = F.softplus(fixed) - ones * fixed
    scale = 1.0 / LN2
    return model.sum(-1).mean((2, 3)) * scale, encoder.sum(-1).mean((2, 3)) * scale
