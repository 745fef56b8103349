"""Search for better signs by gradient steps on latent values, through a fixed decoder.

Campos et al. 2019, "Content adaptive optimization for neural image compression"; Yang et al. 2020,
"Improving inference for neural image compression".
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nvcodec.models import lfq

#: First step, in units of the latent values, whose mean square is 1; the last is about a quarter.
STEP = 0.15
MOMENTUM = 0.5
#: LPIPS looks at every fourth picture, at others in each step: nearly as good for half the time.
STRIDE = 4
#: Given signs [B, T, H, W, bits] and the number of the step: a scalar to make smaller.
Distortion = Callable[[Tensor, int], Tensor]


def looked_at(step: int, frames: int) -> slice:
    """Which of `frames` pictures LPIPS sees in this step."""
    return slice(step % STRIDE % frames, None, STRIDE)


def descend(z: Tensor, distortion: Distortion, steps: int) -> Tensor:
    """Move latent values z [B, T, H, W, bits] so that their signs give less distortion.

    The gradient goes straight through the sign and is scaled to a mean square of 1 for each clip,
    so that clips of a batch do not depend on each other. Values whose sign hardly matters stay
    small. Nothing else gets a gradient.
    """
    z = z.detach()
    speed = torch.zeros_like(z)
    for step in range(steps):
        with torch.enable_grad():
            z.requires_grad_(True)
            slope, = torch.autograd.grad(distortion(lfq.quantize(z), step), z)
        size = slope.square().mean((1, 2, 3, 4), keepdim=True).sqrt()
        speed = MOMENTUM * speed + (1 - MOMENTUM) * slope / (size + 1e-12)
        z = z.detach() - STEP * (1 - 0.75 * step / steps) * speed
    return z
