"""Encoder-side search: latent values go downhill before their signs are coded (`--effort`).

The encoder network guesses in one pass. A few gradient steps on its latent values, through the
decoder and the distortion that both were trained with, find better signs for the very same
decoder (Campos et al. 2019, "Content adaptive optimization for neural image compression"; Yang et
al. 2020, "Improving inference for neural image compression"). Decoders need not know.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from nvcodec.models import lfq
from nvcodec.models.conv import StreamState
from nvcodec.models.tokenizer import Tokenizer
from nvcodec.train.losses import Perceptual, temporal_l1

#: Weight of frame differences beside L1 and LPIPS, as in the recipes that trained the weights.
TEMPORAL = 0.25
#: First step, in units of the latent values, whose mean square is 1; the last one is a quarter.
STEP = 0.15
MOMENTUM = 0.5
#: LPIPS looks at every fourth picture, at others in each step: nearly as good for half the time.
STRIDE = 4
NETS = ("alex", "squeeze")


def load_perceptual(device: torch.device, weights: Path | None = None) -> Perceptual:
    """The backbones that distortion is measured with; ModelError where they are not to be had."""
    return Perceptual(NETS, weights).to(device)


class Refiner:
    """Refines one segment's latent values piece by piece, as the encoder puts them out.

    Args:
        model: the tokenizer.
        qp: that the decoder will see, 0..63.
        steps: gradient steps for each piece.
        perceptual: LPIPS of pictures [N, H, W, 3] in [-1, 1].
    """

    def __init__(self, model: Tokenizer, qp: int, steps: int, perceptual: Perceptual) -> None:
        self.model, self.qp, self.steps = model, qp, steps
        self.perceptual = perceptual
        self.state = StreamState()

    def push(self, z: Tensor, pixels: Tensor) -> Tensor:
        """Refine the next piece.

        Args:
            z: latent values float32 [t, H/8, W/8, bits].
            pixels: uint8 RGB [T, H, W, 3] that they stand for.

        Returns:
            values of the same shape, on the CPU; small where a sign hardly matters.
        """
        weight = self.model.decoder.stem.weight
        source = pixels.to(weight.device, weight.dtype) / 127.5 - 1
        z = z.to(weight.device, weight.dtype)
        speed = torch.zeros_like(z)
        for step in range(self.steps):
            slope = self._slope(z, source, step)
            speed = MOMENTUM * speed + (1 - MOMENTUM) * slope
            z = z - STEP * (1 - 0.75 * step / self.steps) * speed
        with torch.no_grad():  # what the decoder will remember of this piece
            self.model.decode(lfq.quantize(z)[None], self.qp, self.state)
        return z.float().cpu()

    def _slope(self, z: Tensor, source: Tensor, step: int) -> Tensor:
        """Gradient of the distortion, its mean square 1."""
        height, width = source.shape[1:3]
        with torch.enable_grad():
            z = z.detach().requires_grad_(True)
            past = StreamState(self.state)  # what a trial decoding learns is not kept
            made = self.model.decode(lfq.quantize(z)[None], self.qp, past)[0, :, :height, :width]
            looked = slice(step % STRIDE % len(source), None, STRIDE)
            loss = (self.perceptual(made[looked], source[looked]) + (made - source).abs().mean()
                    + TEMPORAL * temporal_l1(made[None], source[None]))
            slope, = torch.autograd.grad(loss, z)
        return slope / (slope.square().mean().sqrt() + 1e-12)

