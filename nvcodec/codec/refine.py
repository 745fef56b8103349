"""The encoder's search (`--effort`): better tokens for the very same decoder.

The encoder network guesses in one pass. A few gradient steps on its latent values, through the
decoder and by the distortion that both were trained with, find better ones (see
`nvcodec.models.search`). Decoders need not know.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nvcodec.models.conv import StreamState
from nvcodec.models.search import descend, looked_at
from nvcodec.models.tokenizer import Tokenizer
from nvcodec.train.losses import Perceptual, distortion
from nvcodec.train.recipes import CODEC


def load_perceptual(device: torch.device, nets: tuple[str, ...] = CODEC.lpips_nets) -> Perceptual:
    """The backbones that distortion is measured with; ModelError where they are not to be had."""
    return Perceptual(nets, None).to(device)


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
            values of the same shape.
        """
        z = _outside(z)
        weight = self.model.decoder.stem.weight
        source = pixels.to(weight.device, weight.dtype)[None] / 127.5 - 1
        height, width = source.shape[2:4]

        def loss(q: Tensor, step: int) -> Tensor:
            past = StreamState(self.state)  # what a trial decoding learns is not kept
            made = self.model.decode(q, self.qp, past)[:, :, :height, :width]
            looked = looked_at(step, source.shape[1])
            return distortion(CODEC, self.perceptual, made, source,
                              (made[0, looked], source[0, looked]))[0]

        with torch.inference_mode(False):
            return descend(z.to(weight.device, weight.dtype)[None], loss, self.steps)[0].float()

    def learn(self, q: Tensor) -> None:
        """Take the signs [t, H/8, W/8, bits] that were sent, as the decoder will."""
        with torch.inference_mode(False), torch.no_grad():
            self.model.decode(_outside(q)[None], self.qp, self.state)


def _outside(x: Tensor) -> Tensor:
    """A tensor that gradients may be taken through, also where `x` was made in inference mode."""
    with torch.inference_mode(False):
        return x.clone()
