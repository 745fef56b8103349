"""The training objective: one place where a recipe's terms are added up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from nvcodec.models import lfq
from nvcodec.models.config import ModelConfig
from nvcodec.models.memory import remembered
from nvcodec.models.prior import Prior
from nvcodec.models.tokenizer import Sent, Tokenizer
from nvcodec.train.discriminator import LeCam, discriminator_loss, generator_loss
from nvcodec.train.losses import Perceptual, bit_costs, distortion, pick_frames
from nvcodec.train.recipes import Recipe
from nvcodec.train.signs import Signs, estimator, sender


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
                seed: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """-> (loss, reconstruction [B, T, H, W, 3], figures).

        Nothing here waits for a GPU's answer, so that the next step is ready before it is needed.
        """
        r = self.recipe
        x = batch.pixels.float() / 127.5 - 1
        draw = torch.Generator().manual_seed(seed)
        made = self.tokenizer(x, batch.qp, self.sender(batch.qp),
                              self._reminder(x, batch.qp, draw))
        y, z, q = made.pictures.float(), made.z, made.signs
        count = max(r.lpips_frames, round(r.lpips_share * x.shape[1]))
        picked = pick_frames(y, x, count, draw)
        loss, l1, lpips = distortion(r, self.perceptual, y, x, picked)
        loss = loss + r.commitment * lfq.commitment(z)
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
        return loss, y, {k: v.detach() for k, v in figures.items()}

    def sender(self, qp: Tensor) -> Sent:
        """What makes signs of a batch of clips at qp [B]."""
        if self.signs is not None and qp.is_cuda:
            return estimator(self.signs, qp, self.prior)
        return sender(self.signs, qp)

    @torch.no_grad()
    def _reminder(self, x: Tensor, qp: Tensor, draw: torch.Generator) -> Tensor | None:
        """Pictures [B, H, W, 3] between each clip's first and what is decoded of it, or None."""
        if not self.tokenizer.config.keeps or float(
                torch.rand((), generator=draw)) >= self.recipe.reminded:
            return None
        made = self.tokenizer(x[:, :1], qp).pictures.float()
        share = torch.rand(len(x), 1, 1, 1, 1, generator=draw).to(x.device)
        return remembered(torch.lerp(x[:, :1], made, share))

    def _add_rate(self, loss: Tensor, q: Tensor, batch: Batch,
                  progress: float) -> tuple[Tensor, Tensor]:
        """lambda(qp) * bits per pixel for the encoder, plain bits for the context model."""
        for_model, for_encoder = bit_costs(self.prior(q, batch.qp), q)
        positions = q.shape[1] * q.shape[2] * q.shape[3]
        pixels = batch.pixels[0, ..., 0].numel()
        weights = torch.ones_like(for_encoder)
        weights[:, 0] = self.recipe.first_price
        bpp = (weights * for_encoder).mean(1) * positions / pixels
        loss = loss + self.recipe.rate_ramp(progress) * (self.recipe.price(batch.qp) * bpp).mean()
        return loss + 0.01 * for_model.mean(), for_model.detach().mean()


def critic_step(critic: nn.Module, lecam: LeCam, weight: float, real: Tensor,
                fake: Tensor) -> Tensor:
    """The discriminator's loss on pixels in [-1, 1]."""
    a, b = critic(real), critic(fake.detach())
    return discriminator_loss(a, b) + weight * lecam(a, b)
