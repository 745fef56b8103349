"""Tokens as files have them, where that is not each latent value's own sign."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nvcodec.models.lfq import tokens_to_bits

#: Latent values float32 [T', H', W', bits] of one clip and their qp 0..63 -> tokens uint32
#: [T', H', W'].
Signs: TypeAlias = Callable[[NDArray[np.float32], int], NDArray[np.uint32]]


def take_signs(signs: Signs, z: Tensor, qp: Tensor) -> Tensor:
    """z [B, T', H', W', bits] at qp [B] -> bits in {-1, +1}, with a straight-through gradient."""
    values = z.detach().float().cpu().numpy()
    tokens = np.stack([signs(v, int(level)) for v, level in zip(values, qp, strict=True)])
    hard = tokens_to_bits(torch.from_numpy(tokens.astype(np.int64)), z.shape[-1])
    return z + (hard.to(z) - z).detach()
