"""Tokens as files have them, where that is not each latent value's own sign."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nvcodec.models.lfq import quantize, tokens_to_bits
from nvcodec.models.tokenizer import Sent

#: The next latent values float32 [t, H', W', bits] of a clip -> its tokens uint32 [t, H', W'].
Choose: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.uint32]]
#: Size (H', W') of a clip's grids and its qp 0..63 -> what chooses its tokens.
Signs: TypeAlias = Callable[[tuple[int, int], int], Choose]


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
