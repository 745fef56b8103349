"""3D discriminator with blur-pool downsampling (paper, section 3.2) and its losses.

Layout [B, C, T, H, W]: nothing here is causal or streams.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BlurPool(nn.Module):
    """Low-pass [1, 2, 1] along each halved axis, then every second sample (Zhang 2019)."""

    kernel: Tensor

    def __init__(self, channels: int, halve_time: bool) -> None:
        super().__init__()
        one = torch.tensor([1.0, 2.0, 1.0])
        time = one if halve_time else torch.tensor([0.0, 4.0, 0.0])
        kernel = time[:, None, None] * one[:, None] * one
        self.register_buffer("kernel", (kernel / kernel.sum()).expand(channels, 1, 3, 3, 3).clone())
        self.stride = (2 if halve_time else 1, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T, H, W] -> the same with H, W (and T) halved, rounded up."""
        x = F.pad(x, (1, 1, 1, 1, 1, 1), mode="replicate")
        return F.conv3d(x, self.kernel.to(x.dtype), stride=self.stride, groups=x.shape[1])


class DiscriminatorBlock(nn.Module):
    """Residual block that halves its input by blur-pooling."""

    def __init__(self, c_in: int, c_out: int, halve_time: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(c_in, c_in, 3, padding=1)
        self.conv2 = nn.Conv3d(c_in, c_out, 3, padding=1)
        self.skip = nn.Conv3d(c_in, c_out, 1)
        self.pool = BlurPool(c_in, halve_time)

    def forward(self, x: Tensor) -> Tensor:
        """[B, c_in, T, H, W] -> [B, c_out, T', H/2, W/2]."""
        h = F.leaky_relu(self.conv1(x), 0.2)
        h = F.leaky_relu(self.conv2(self.pool(h)), 0.2)
        return (h + self.skip(self.pool(x))) / 2**0.5


class Discriminator(nn.Module):
    """Video -> one realness score per clip."""

    def __init__(self, width: int = 64, multipliers: tuple[int, ...] = (1, 2, 4, 4)) -> None:
        super().__init__()
        widths = [width * m for m in multipliers]
        self.stem = nn.Conv3d(3, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList(
            DiscriminatorBlock(a, b, halve_time=i >= len(widths) - 3)
            for i, (a, b) in enumerate(zip(widths, widths[1:] + widths[-1:], strict=True)))
        self.out = nn.Linear(widths[-1], 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, H, W, 3] in [-1, 1] -> [B]."""
        h = F.leaky_relu(self.stem(x.permute(0, 4, 1, 2, 3)), 0.2)
        for block in self.blocks:
            h = block(h)
        score: Tensor = self.out(h.mean((2, 3, 4)))[:, 0]
        return score


class LeCam:
    """Regularizer that ties scores to moving averages of both sides (Tseng et al. 2021)."""

    def __init__(self, decay: float = 0.999) -> None:
        self.decay, self.real, self.fake = decay, 0.0, 0.0

    def __call__(self, real: Tensor, fake: Tensor) -> Tensor:
        """Scores [B] of both sides -> penalty; also moves the averages."""
        self.real += (1 - self.decay) * (float(real.mean().detach()) - self.real)
        self.fake += (1 - self.decay) * (float(fake.mean().detach()) - self.fake)
        return (F.relu(real - self.fake) ** 2).mean() + (F.relu(self.real - fake) ** 2).mean()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Non-saturating logistic loss of the discriminator."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """Non-saturating logistic loss of the tokenizer."""
    return F.softplus(-fake).mean()
