"""Small priors of every shape, with random weights."""

from __future__ import annotations

import torch

from nvcodec.models.prior import Prior

BITS = 8
#: Four passes; ten; ten and a longer memory on a coarser grid.
SHAPES = ({"around": 0}, {"around": 10}, {"around": 10, "frames": 4, "finest": 7})
SHAPE_NAMES = ("four", "ten", "ten-long")


def small_prior(seed: int = 0, **sizes: int) -> Prior:
    """Random weights, none of them near zero only; of ten passes where nothing is said."""
    torch.manual_seed(seed)
    prior = Prior(BITS, 12, 20, 16, **{"around": 10, **sizes})
    with torch.no_grad():
        for p in prior.parameters():
            p.add_(torch.randn_like(p) * 0.2)
    return prior


def frozen_prior(seed: int = 0, **sizes: int) -> Prior:
    """The same, as integers."""
    prior = small_prior(seed, **sizes)
    for layer in prior.layers().values():
        layer.load_integers(**layer.integers())
    return prior
