"""Stage `prior`: the integer prior learns the tokens of finished tokenizer weights.

Steps draw random windows of token grids. The rounding of weights, activations and logits is part
of the training (quantization-aware).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nvcodec.errors import InputError
from nvcodec.models import lfq
from nvcodec.models.device import fast_bfloat16
from nvcodec.models.prior import Prior
from nvcodec.models.quant import LOGIT_BITS
from nvcodec.train import schedule
from nvcodec.train.checkpoint import Average, append_log
from nvcodec.train.losses import bit_costs
from nvcodec.train.optim import build_optimizers


@dataclass(frozen=True)
class Example:
    """A clip's tokens with the table's view of them.

    Attributes:
        tokens: uint32 [T', H', W'].
        qp: they were made at.
        hints: int16 [T', H', W', bits], 64 times the table's logit of each bit.
    """

    tokens: NDArray[np.uint32]
    qp: int
    hints: NDArray[np.int16]


@dataclass(frozen=True)
class PriorSpec:
    """How the prior is trained. A window is `window` x `window` tokens over the whole clip.

    `warmup` is in steps; `lr_end` is the floor of the cosine schedule, as a share of `lr`. `parts`
    of each clip are coded to learn from.
    """

    minutes: float = 15.0
    steps: int | None = None
    batch: int = 8
    window: int = 20
    latents: int = 9
    lr: float = 2e-3
    warmup: int = 20
    lr_end: float = 0.02
    ema: float = 0.995
    seed: int = 0
    parts: int = 1


class PriorTrainer:
    """Trains `prior` on token grids; `shadow` holds the averaged weights."""

    def __init__(self, prior: Prior, examples: Sequence[Example], spec: PriorSpec,
                 device: torch.device) -> None:
        if not examples:
            raise InputError("no tokens to train the prior on", "name a folder with videos")
        self.prior, self.examples, self.spec = prior.to(device).train(), examples, spec
        self.device = device
        self.optimizers = build_optimizers(prior, "muon", spec.lr, (0.9, 0.99))
        self.ema = Average(prior, spec.ema)
        self.step, self.seconds = 0, 0.0

    @property
    def progress(self) -> float:
        """0 at the start, 1 at the end of the budget, by steps if given, else by time."""
        return schedule.progress(self.step, self.seconds, self.spec.steps, self.spec.minutes)

    def train_step(self) -> float:
        """One optimizer step; returns bits per token."""
        start = time.perf_counter()
        schedule.set_rate(self.optimizers, schedule.learning_rate(
            self.spec.lr, self.step, self.progress, self.spec.warmup, self.spec.lr_end))
        q, qp, hints = self._windows()
        with exact_bfloat16(self.device):
            bits = bit_costs(self.prior(q, qp, hints), q)[0].mean()
            for optimizer in self.optimizers:
                optimizer.zero_grad(set_to_none=True)
            (0.1 * bits).backward()
        torch.nn.utils.clip_grad_norm_(self.prior.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.ema.update(self.prior)
        self.step += 1
        self.seconds += time.perf_counter() - start
        return float(bits.detach())

    def train(self, log: Path | None = None,
              tell: Callable[[float], None] = lambda _: None) -> None:
        """Train to the end of the budget and leave the averaged weights in the prior.

        `tell` hears how far training is, 0..1, after every step.
        """
        while self.progress < 1:
            bits = self.train_step()
            tell(self.progress)
            if log and self.step % 10 == 0:
                append_log(log, {"step": self.step, "bits": round(bits, 4),
                                 "minutes": round(self.seconds / 60, 3)})
        self.prior.load_state_dict(self.ema.shadow)

    def _windows(self) -> tuple[Tensor, Tensor, Tensor]:
        """Random windows as signs [B, T', window, window, bits], their qp [B] and hints."""
        draw = np.random.default_rng((self.spec.seed, self.step))
        index = draw.integers(len(self.examples), size=self.spec.batch)
        chosen = [self.examples[i] for i in index]
        size = min([self.spec.window, *(min(e.tokens.shape[1:]) for e in chosen)])
        length = min([self.spec.latents, *(len(e.tokens) for e in chosen)])
        cuts = []
        for e in chosen:
            # Half of the windows start with the clip: first frames are rare and dear.
            t = int(draw.integers(len(e.tokens) - length + 1)) * int(draw.integers(2))
            y, x = (int(draw.integers(n - size + 1)) for n in e.tokens.shape[1:])
            place = slice(t, t + length), slice(y, y + size), slice(x, x + size)
            cuts.append(Example(e.tokens[place], e.qp, e.hints[place]))
        return tensors(cuts, self.prior.bits, self.device)


@contextmanager
def exact_bfloat16(device: torch.device) -> Iterator[None]:
    """Matrix products of float32 tensors in bfloat16 where a CPU is fast in that.

    Signs, int8 weights and uint8 activations fit into its 8 bits, and sums are float32, so that a
    prior's logits stay what they are. Gradients do not; an optimizer that orthogonalizes them must
    stay outside.
    """
    products: Any = getattr(torch.backends.mkldnn, "matmul", None)  # torch 2.9 and newer
    if products is None or device.type != "cpu" or not fast_bfloat16(device):
        yield
        return
    before = products.fp32_precision
    products.fp32_precision = "bf16"
    try:
        yield
    finally:
        products.fp32_precision = before


def tensors(examples: Sequence[Example], bits: int,
            device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Examples of one shape -> signs [B, T', H', W', bits], qp [B], hints as logits."""
    tokens = torch.from_numpy(np.stack([e.tokens for e in examples]).astype(np.int64))
    hints = torch.from_numpy(np.stack([e.hints for e in examples])).to(device)
    qp = torch.tensor([e.qp for e in examples], device=device)
    return lfq.tokens_to_bits(tokens.to(device), bits), qp, hints.float() / 2**LOGIT_BITS


@torch.no_grad()
def bits_per_token(prior: Prior, examples: Sequence[Example]) -> float:
    """Mean code length of whole grids under the prior, in bits per token."""
    total = count = 0.0
    for e in examples:
        q, qp, hints = tensors([e], prior.bits, prior.mix.weight.device)
        total += float(bit_costs(prior(q, qp, hints), q)[0].mean()) * e.tokens.size
        count += e.tokens.size
    return total / max(1.0, count)
