"""The training objective: one place where a recipe's terms are added up."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from nvcodec.models import lfq
from nvcodec.models.config import ModelConfig
from nvcodec.models.memory import remembered
from nvcodec.models.prior import Prior
from nvcodec.models.tokenizer import Sent, Tokenizer
from nvcodec.train.batch import Batch
from nvcodec.train.discriminator import LeCam, discriminator_loss, generator_loss
from nvcodec.train.losses import Perceptual, bit_costs, distortion, frames_at
from nvcodec.train.recipes import Recipe
from nvcodec.train.signs import Signs, estimator, sender


class Objective(nn.Module):
    """Tokenizer plus training-only parts; forward gives the loss and the figures to log.

    `signs` makes tokens of latent values where files do not take each value's own sign.
    """

    def __init__(self, config: ModelConfig, recipe: Recipe, lpips_weights: Path | None,
                 signs: Signs | None = None) -> None:
        super().__init__()
        self.recipe, self.signs = recipe, signs
        self.tokenizer = Tokenizer(config)
        self.prior = Prior.of(config)
        self.perceptual = Perceptual(recipe.lpips_nets, lpips_weights)
        # It lies on the GPU: a replayed step cannot fetch it anew.
        self.strengths: Tensor | None
        self.register_buffer("strengths", signs.strengths() if signs else None, persistent=False)

    def forward(self, batch: Batch,
                critic: nn.Module | None = None) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """-> (loss, reconstruction [B, T, H, W, 3], figures); `critic` where it acts already.

        Nothing here waits for a GPU's answer, so that the next step is ready before it is needed.
        """
        r = self.recipe
        x = batch.pixels.float() / 127.5 - 1
        made = self.tokenizer(x, batch.qp, self.sender(batch.qp), self._reminder(x, batch))
        y, z, q = made.pictures.float(), made.z, made.signs
        picked = frames_at(y, batch.looked), frames_at(x, batch.looked)
        loss, l1, lpips = distortion(r, self.perceptual, y, x, picked)
        loss = loss + r.commitment * lfq.commitment(z)
        flat = z.flatten(0, 3)
        few = len(flat) <= len(batch.places)
        sample, total = lfq.entropy_terms(flat if few else flat[batch.places % len(flat)])
        loss = loss + batch.entropy * (sample - total) * 0.6931
        figures = {"l1": l1, "lpips": lpips, "h_sample": sample, "h_mean": total}
        if r.rate_aware:
            loss, bits = self._add_rate(loss, q, batch)
            figures["bits"] = bits
        if critic is not None:
            adversarial = generator_loss(critic(y))
            loss = loss + r.gan * adversarial
            figures["adversarial"] = adversarial
        figures["loss"] = loss
        figures["dead_bits"] = ((z > 0).float().mean((0, 1, 2, 3)) * 2 - 1).abs().gt(0.98).sum()
        return loss, y, {k: v.detach() for k, v in figures.items()}

    def sender(self, qp: Tensor) -> Sent:
        """What makes signs of a batch of clips at qp [B]."""
        if self.signs and self.strengths is not None and qp.is_cuda:
            return estimator(self.strengths, self.signs.reach, qp, self.prior)
        return sender(self.signs, qp)

    @torch.no_grad()
    def _reminder(self, x: Tensor, batch: Batch) -> Tensor | None:
        """Pictures [B, H, W, 3] between each clip's first and what is decoded of it, or None."""
        if batch.reminded is None:
            return None
        made = self.tokenizer(x[:, :1], batch.qp).pictures.float()
        return remembered(torch.lerp(x[:, :1], made, batch.reminded))

    def _add_rate(self, loss: Tensor, q: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """lambda(qp) * bits per pixel for the encoder, plain bits for the context model."""
        for_model, for_encoder = bit_costs(self.prior(q, batch.qp), q)
        positions = q.shape[1] * q.shape[2] * q.shape[3]
        pixels = batch.pixels[0, ..., 0].numel()
        weights = torch.ones_like(for_encoder)
        weights[:, 0] = self.recipe.first_price
        bpp = (weights * for_encoder).mean(1) * positions / pixels
        loss = loss + batch.ramp * (self.recipe.price(batch.qp) * bpp).mean()
        return loss + 0.01 * for_model.mean(), for_model.detach().mean()


def critic_step(critic: nn.Module, lecam: LeCam, weight: float, real: Tensor,
                fake: Tensor) -> Tensor:
    """The discriminator's loss on pixels in [-1, 1]."""
    a, b = critic(real), critic(fake.detach())
    return discriminator_loss(a, b) + weight * lecam(a, b)
