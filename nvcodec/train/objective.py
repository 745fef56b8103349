"""The training objective: one place where a recipe's terms are added up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from nvcodec.models import lfq
from nvcodec.models.config import ModelConfig
from nvcodec.models.prior import Prior
from nvcodec.models.search import descend, looked_at
from nvcodec.models.tokenizer import Tokenizer
from nvcodec.train.discriminator import LeCam, discriminator_loss, generator_loss
from nvcodec.train.losses import Perceptual, bit_costs, distortion, pick_frames
from nvcodec.train.recipes import Recipe
from nvcodec.train.signs import Signs, take_signs


@dataclass
class Batch:
    """One step's input: pixels uint8 [B, T, H, W, 3] and qp int64 [B]."""

    pixels: Tensor
    qp: Tensor


class Objective(nn.Module):
    """Tokenizer plus training-only parts; forward gives the loss and the figures to log.

    `signs` makes tokens of latent values where files do not take each value's own sign.
    """

    def __init__(self, config: ModelConfig, recipe: Recipe, lpips_weights: Path | None,
                 signs: Signs | None = None) -> None:
        super().__init__()
        self.recipe, self.signs = recipe, signs
        self.tokenizer = Tokenizer(config)
        self.prior = Prior(config.token_bits, *config.prior_widths)
        self.perceptual = Perceptual(recipe.lpips_nets, lpips_weights)

    def forward(self, batch: Batch, step: int, progress: float, critic: nn.Module | None,
                seed: int) -> tuple[Tensor, Tensor, dict[str, float]]:
        """-> (loss, reconstruction [B, T, H, W, 3], figures)."""
        r = self.recipe
        x = batch.pixels.float() / 127.5 - 1
        z = self.tokenizer.encode(x, batch.qp)
        q, pull = self._quantize(z, x, batch.qp, step)
        y = self.tokenizer.decode(q, batch.qp).float()
        picked = pick_frames(y, x, r.lpips_frames, torch.Generator().manual_seed(seed))
        loss, l1, lpips = distortion(r, self.perceptual, y, x, picked)
        loss = loss + r.commitment * lfq.commitment(z) + r.pull * pull
        sample, total = lfq.entropy_terms(z)
        loss = loss + r.entropy_weight(step) * (sample - total) * 0.6931
        figures = {"l1": l1, "lpips": lpips, "h_sample": sample, "h_mean": total}
        if r.rate_aware:
            loss, bits = self._add_rate(loss, q, batch, progress)
            figures["bits"] = bits
        if critic is not None and r.gan and progress >= r.gan_from:
            adversarial = generator_loss(critic(y))
            loss = loss + r.gan * adversarial
            figures["adversarial"] = adversarial
        figures["loss"] = loss
        figures["dead_bits"] = ((z > 0).float().mean((0, 1, 2, 3)) * 2 - 1).abs().gt(0.98).sum()
        return loss, y, {k: float(v.detach()) for k, v in figures.items()}

    def _quantize(self, z: Tensor, x: Tensor, qp: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Signs, with gradients straight through, and how far z is from what a search finds.

        Every other batch goes without the search: the decoder has to know both kinds of tokens.
        """
        r = self.recipe
        if not r.search or step % 2:
            return self.sent(z, qp), z.new_zeros(())
        cheap = (qp < r.search_below)[:, None, None, None, None]
        found = torch.where(cheap, self.search(z, x, qp, r.search), z.detach())
        hard = lfq.quantize(found)
        return z + (hard - z).detach(), (z - found).square().mean()

    def sent(self, z: Tensor, qp: Tensor) -> Tensor:
        """z [B, T', H', W', bits] -> bits in {-1, +1}, with gradients straight through."""
        return take_signs(self.signs, z, qp) if self.signs else lfq.quantize(z)

    def search(self, z: Tensor, x: Tensor, qp: Tensor, steps: int) -> Tensor:
        """Latent values that `steps` steps of the encoder's search make of z for pixels x."""
        def loss(q: Tensor, step: int) -> Tensor:
            y = self.tokenizer.decode(q, qp).float()
            looked = looked_at(step, x.shape[1])
            pictures = y[:, looked].flatten(0, 1), x[:, looked].flatten(0, 1)
            return distortion(self.recipe, self.perceptual, y, x, pictures)[0]

        return descend(z, loss, steps)

    def _add_rate(self, loss: Tensor, q: Tensor, batch: Batch,
                  progress: float) -> tuple[Tensor, Tensor]:
        """lambda(qp) * bits per pixel for the encoder, plain bits for the context model."""
        for_model, for_encoder = bit_costs(self.prior(q, batch.qp), q)
        positions = q.shape[1] * q.shape[2] * q.shape[3]
        pixels = batch.pixels[0, ..., 0].numel()
        price = torch.tensor([self.recipe.price(float(v)) for v in batch.qp], device=q.device)
        bpp = for_encoder * positions / pixels
        loss = loss + self.recipe.rate_ramp(progress) * (price * bpp).mean()
        return loss + 0.01 * for_model.mean(), for_model.detach().mean()


def critic_step(critic: nn.Module, lecam: LeCam, weight: float, real: Tensor,
                fake: Tensor) -> Tensor:
    """The discriminator's loss on pixels in [-1, 1]."""
    a, b = critic(real), critic(fake.detach())
    return discriminator_loss(a, b) + weight * lecam(a, b)
