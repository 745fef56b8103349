"""How far a training run is, and its learning rate there: for the tokenizer and for the prior."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch


def progress(step: int, seconds: float, steps: int | None, minutes: float) -> float:
    """0 at the start, 1 at the end of the budget: by `steps` if given, else by `minutes`."""
    if steps:
        return min(1.0, step / steps)
    return min(1.0, seconds / (60 * minutes))


def learning_rate(peak: float, step: int, done: float, warmup: int, end: float) -> float:
    """Linear warm-up over `warmup` steps, then a cosine from `peak` down to `end` * `peak`.

    Args:
        step: steps taken.
        done: how far the run is, 0..1.
    """
    cosine = 0.5 * (1 + math.cos(math.pi * done))
    return peak * min(1.0, (step + 1) / warmup) * (end + (1 - end) * cosine)


def set_rate(optimizers: Iterable[torch.optim.Optimizer], rate: float) -> None:
    """Give every group of parameters this learning rate."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
