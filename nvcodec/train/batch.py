"""What a training step is given."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from nvcodec.train.recipes import Recipe

#: Latent positions that the entropy of the mean is taken from.
PLACES = 1024


@dataclass(frozen=True)
class Batch:
    """One step's input, with all that is random or changes from step to step: what comes of a step
    depends on this and on the weights alone, so that it can be recorded and replayed.

    Attributes:
        pixels: uint8 [B, T, H, W, 3].
        qp: int64 [B].
        looked: int64 [B, n], the frames that LPIPS sees.
        places: int64 [m], latent positions, modulo their number.
        entropy: weight of the entropy penalty, float32 [].
        ramp: how much of the price of bits is in, 0..1, float32 [].
        reminded: how much of a clip's first frame the memory holds from the start, the rest being
            what is decoded of it, 0..1, float32 [B, 1, 1, 1, 1]; None to begin without any.
    """

    pixels: Tensor
    qp: Tensor
    looked: Tensor
    places: Tensor
    entropy: Tensor
    ramp: Tensor
    reminded: Tensor | None = None

    def tensors(self) -> dict[str, Tensor]:
        """Those that are there, by name."""
        named = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in named.items() if value is not None}

    def moved(self, device: torch.device) -> Batch:
        """On `device`. A GPU fetches what is pinned while it goes on computing."""
        return replace(self, **{name: value.to(device, non_blocking=True)
                                for name, value in self.tensors().items()})

    def pinned(self) -> Batch:
        """In memory that a GPU can fetch from by itself; what is there already stays."""
        return replace(self, **{name: value if value.is_cuda else value.pin_memory()
                                for name, value in self.tensors().items()})

    def at(self, recipe: Recipe, step: int, progress: float) -> Batch:
        """With the recipe's weights for a step, and how far the run is, 0..1."""
        device = self.pixels.device
        return replace(self, entropy=torch.full((), recipe.entropy_weight(step), device=device),
                       ramp=torch.full((), recipe.rate_ramp(progress), device=device))


def fill_batch(pixels: Tensor, recipe: Recipe, keeps: bool, draw: torch.Generator) -> Batch:
    """Draw what goes with some pixels; the weights are still those of no step.

    Args:
        pixels: uint8 [B, T, H, W, 3].
        keeps: whether the network keeps pictures, so that it may begin with one.
    """
    count, frames = pixels.shape[:2]
    qp = (64 * torch.rand(count, generator=draw)**recipe.qp_skew).long().clamp_(max=63)
    seen = min(frames, max(recipe.lpips_frames, round(recipe.lpips_share * frames)))
    looked = torch.rand(count, frames, generator=draw).argsort(1)[:, :seen].contiguous()
    places = torch.randint(2**40, (PLACES,), generator=draw)
    reminded = None
    if keeps and float(torch.rand((), generator=draw)) < recipe.reminded:
        reminded = torch.rand(count, 1, 1, 1, 1, generator=draw)
    return Batch(pixels, qp, looked, places, torch.zeros(()), torch.zeros(()), reminded)
