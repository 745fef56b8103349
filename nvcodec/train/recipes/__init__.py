"""Training recipes: plain frozen dataclasses, chosen by name. Every weight and schedule is here."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor


@dataclass(frozen=True)
class Recipe:
    """Loss weights and schedules. Fractions are of the whole run (0 start, 1 end)."""

    name: str
    l1: float = 1.0
    lpips: float = 1.0
    lpips_nets: tuple[str, ...] = ("alex", "squeeze")
    #: Random frames of each clip that LPIPS sees: so many, and of long clips such a share.
    lpips_frames: int = 2
    lpips_share: float = 0.2
    temporal: float = 0.0
    #: L1 of averaged pictures (`losses.coarse_l1`): LPIPS forgives brightness and colour that are
    #: off over an area, and plain L1 hardly sees them behind texture.
    coarse: float = 0.0
    #: Texture that repeats from token to token (`losses.mesh`).
    mesh: float = 0.0
    commitment: float = 0.25
    #: Entropy penalty: weight, and the multiples it starts and ends at over `entropy_steps`.
    entropy: float = 0.1
    entropy_from: float = 3.0
    entropy_to: float = 1.0
    entropy_steps: int = 2000
    #: Rate term: lambda in distortion per bit per pixel at qp 0 and 63, ramped in by fractions.
    lambda_low: float = 0.0
    lambda_high: float = 0.0
    #: Share of that price for a clip's first latent frame: it stands for one frame where others
    #: stand for four, and all pictures after it build on it.
    first_price: float = 0.25
    rate_from: float = 1.0
    rate_full: float = 1.0
    #: Adversarial term: weight, first fraction it acts at, LeCAM regularization weight.
    gan: float = 0.0
    gan_from: float = 0.0
    lecam: float = 0.0
    #: Train nothing that tokens depend on.
    decoder_only: bool = False
    stills: float = 0.3
    #: Share of the other clips that are photos, standing still or panned over.
    panned: float = 0.2
    #: Where the config keeps pictures: share of steps whose clips begin with a memory of their
    #: first frame, anywhere between as it is and as it comes out. Its own pictures alone never
    #: teach a loop to keep one that is good.
    reminded: float = 0.0
    #: qp are 64 * u**qp_skew for u uniform in [0, 1): below 1 the high ones come more often.
    qp_skew: float = 1.0
    #: "adamw", or "muon" for kernels with AdamW for the rest.
    optimizer: str = "adamw"
    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    warmup: int = 100
    #: Floor of the cosine schedule, as a share of lr.
    lr_end: float = 0.02
    ema: float = 0.999
    clip_norm: float = 1.0

    @property
    def rate_aware(self) -> bool:
        """Whether bits have a price in this recipe."""
        return self.lambda_high > 0

    def rate_ramp(self, progress: float) -> float:
        """0 while reconstruction forms, then rising to 1. With a price on bits from step 0 every
        bit freezes to a constant within a few hundred steps."""
        if progress < self.rate_from:
            return 0.0
        return min(1.0, (progress - self.rate_from) / max(1e-9, self.rate_full - self.rate_from))

    def price(self, qp: Tensor) -> Tensor:
        """lambda(qp): geometric from lambda_low at qp 0 to lambda_high at qp 63."""
        prices: Tensor = self.lambda_low * (self.lambda_high / self.lambda_low) ** (qp / 63)
        return prices

    def entropy_weight(self, step: int) -> float:
        """Annealed linearly over the first `entropy_steps` steps."""
        t = min(1.0, step / self.entropy_steps)
        return self.entropy * (self.entropy_from + t * (self.entropy_to - self.entropy_from))


# Rate-aware and without a GAN: what the shipped weights begin with.
CODEC = Recipe(
    name="codec", temporal=0.25, entropy=0.05, entropy_to=0.3, entropy_steps=1500, commitment=0.1,
    lambda_low=0.1, lambda_high=16.0, rate_from=0.25, rate_full=0.45, optimizer="muon", lr=1.5e-3,
    ema=0.998)

# Going on from weights that know the price of bits: it holds from the first step.
TUNE = replace(CODEC, name="tune", entropy_from=0.3, rate_from=0.0, rate_full=0.0, lr=1.2e-3,
               l1=0.5, lpips=2.0, coarse=1.0, mesh=0.2, lambda_low=0.1, lambda_high=24.0,
               stills=0.05, panned=0.3, qp_skew=0.65, reminded=0.5)

RECIPES = {
    r.name: r
    for r in (
        # arXiv 2310.05737, appendix A: reconstruction, LPIPS, GAN with LeCAM, entropy, commitment.
        Recipe(name="paper", l1=5.0, lpips=0.1, lpips_nets=("alex",), gan=0.1, lecam=0.001,
               lr=1e-4, betas=(0.0, 0.99), stills=0.0),
        CODEC,
        TUNE,
        # The decoder alone by distortion alone: tokens and bits stay as they are. Tokens of qp 0
        # to 24 differ little, so that most of the steps go to those above.
        replace(CODEC, name="finish", decoder_only=True, lpips=2.0, coarse=1.0, entropy=0.0,
                commitment=0.0, lambda_low=0.0, lambda_high=0.0, stills=0.2, qp_skew=0.5,
                lr=8e-4),
    )
}
