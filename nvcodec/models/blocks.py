"""Residual blocks and stages shared by encoder and decoder. Layout [B, T, H, W, C]."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nvcodec.models.config import BLOCK_KERNELS, ModelConfig
from nvcodec.models.conv import CausalConv3d, ChannelNorm, StreamState

QP_LEVELS = 64


class ResBlock(nn.Module):
    """x + convs(norm(x)), SiLU before each convolution; kernels from the block kind."""

    def __init__(self, channels: int, kind: str, config: ModelConfig) -> None:
        super().__init__()
        kernels = BLOCK_KERNELS[kind]
        norms = len(kernels) if config.norm_every_conv else 1
        self.norms = nn.ModuleList(ChannelNorm(channels, config.qp_width) for _ in range(norms))
        self.convs = nn.ModuleList(CausalConv3d(channels, channels, k) for k in kernels)
        with torch.no_grad():  # near the identity at the start keeps deep stacks trainable
            self.convs[-1].weight.mul_(0.1)  # type: ignore[operator]

    def forward(self, x: Tensor, qp: Tensor | None, state: StreamState | None) -> Tensor:
        """[B, T, H, W, C] -> the same shape."""
        h = x
        for i, conv in enumerate(self.convs):
            if i < len(self.norms):
                h = self.norms[i](h, qp)
            h = conv(F.silu(h), state)
        return x + h


class QpEmbedding(nn.Module):
    """qp 0..63 -> a learned vector, smooth in qp so that rates between trained ones work."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())

    def forward(self, qp: Tensor) -> Tensor:
        """qp [B], 0..63 -> [B, width]."""
        x = qp.float() / (QP_LEVELS - 1)
        powers = torch.stack([x, x * x, *(torch.cos(torch.pi * k * x) for k in range(1, 5))], -1)
        return self.net(powers)
