"""Tokens as files have them, where that is not each latent value's own sign."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nvcodec.models.lfq import quantize, tokens_to_bits
from nvcodec.models.prior import Prior
from nvcodec.models.tokenizer import Sent

#: The next latent values float32 [t, H', W', bits] of a clip -> its tokens uint32 [t, H', W'].
Choose: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.uint32]]


class Signs(Protocol):
    """Signs chosen by their cost."""

    @property
    def reach(self) -> float:
        """|z| from which on a value keeps its sign."""

    def __call__(self, size: tuple[int, int], qp: int) -> Choose:
        """Size (H', W') of a clip's grids and its qp 0..63 -> what chooses its tokens."""

    def strengths(self) -> Tensor:
        """|z| that a nat is worth at each qp, float32 [64]."""


def sender(signs: Signs | None, qp: Tensor) -> Sent:
    """What makes signs of a batch of clips at qp [B], latent frame by latent frame.

    Gradients go straight through. Good for one batch: choices depend on those before.
    """
    if signs is None:
        return quantize
    chosen: list[Choose] = []

    def sent(z: Tensor) -> Tensor:
        if not chosen:
            size = z.shape[2], z.shape[3]
            chosen.extend(signs(size, int(level)) for level in qp)
        values = z.detach().float().cpu().numpy()
        tokens = np.stack([choose(v) for choose, v in zip(chosen, values, strict=True)])
        hard = tokens_to_bits(torch.from_numpy(tokens.astype(np.int64)), z.shape[-1])
        return z + (hard.to(z) - z).detach()

    return sent


def estimator(strengths: Tensor, reach: float, qp: Tensor, prior: Prior) -> Sent:
    """Nearly the same by a prior that is still learning, for GPUs; the first two as `Signs` has
    them, `strengths` where qp is.

    All bits of a latent frame are chosen at once, each as if the others kept their own sign: the
    file's coder goes from bit to bit, some hundred steps one after the other for each latent frame.
    """
    worth = strengths[qp][:, None, None, None, None]
    before: list[Tensor] = []

    @torch.no_grad()
    def choose(values: Tensor) -> Tensor:
        own = torch.where(values > 0, 1.0, -1.0)
        logits = prior(torch.cat((*before[-prior.frames:], own), 1), qp)[:, -1:].float()
        moved = values + worth * logits
        return torch.where(torch.where(values.abs() < reach, moved, values) > 0, 1.0, -1.0)

    def sent(z: Tensor) -> Tensor:
        for values in z.detach().float().split(1, dim=1):
            before.append(choose(values))
        hard = torch.cat(before[-z.shape[1]:], 1)
        return z + (hard - z).detach()

    return sent
