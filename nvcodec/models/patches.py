"""Parts of grids [N, H, W, C], with gradients that cost no more than they must.

A slice's gradient is as large as what it was cut from, zeros and all: nine neighbours take nine of
them, and an eighth of the prior's training went into that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

#: Rows and columns.
Place = tuple[slice, slice]


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, places: Sequence[Place]) -> Tensor:
        ctx.shape, ctx.places = x.shape, places
        return _side_by_side(x, places)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        total = grads[0].new_zeros(ctx.shape)
        parts = grads[0].split(ctx.shape[-1], dim=-1)
        for (rows, columns), part in zip(ctx.places, parts, strict=True):
            total[:, rows, columns] += part
        return total, None


class _Parted(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, places: Sequence[Place]) -> tuple[Tensor, ...]:
        ctx.shape, ctx.places = x.shape, places
        return tuple(x[:, rows, columns].contiguous() for rows, columns in places)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        total = grads[0].new_zeros(ctx.shape)
        for (rows, columns), part in zip(ctx.places, grads, strict=True):
            total[:, rows, columns] += part
        return total, None


def gathered(x: Tensor, places: Sequence[Place]) -> Tensor:
    """[N, H, W, C] -> what is at places of one size h, w, side by side: [N, h, w, places * C]."""
    if not torch.is_grad_enabled():
        return _side_by_side(x, places)
    out: Tensor = _Gathered.apply(x, places)
    return out


def _side_by_side(x: Tensor, places: Sequence[Place]) -> Tensor:
    return torch.cat([x[:, rows, columns] for rows, columns in places], dim=-1)


def parted(x: Tensor, places: Sequence[Place]) -> tuple[Tensor, ...]:
    """[N, H, W, C] -> a copy of each place, [N, h, w, C]; sizes may differ."""
    out: tuple[Tensor, ...] = _Parted.apply(x, places)
    return out
