"""Causal encoder: pixels to latent values. Layout [B, T, H, W, C]."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nvcodec.models.blocks import ResBlock
from nvcodec.models.config import FINE, KEEP, STEER, ModelConfig
from nvcodec.models.conv import CausalConv3d, ChannelNorm, StreamState, space_to_depth
from nvcodec.models.memory import Outlook, magnified

#: A latent value whose sign no choice by cost will turn.
SURE = 8.0


class Encoder(nn.Module):
    """Residual stages joined by strided convolutions; time is shortened in the last ones.

    Where the config has a memory, pictures go in as they are, and as what they differ by
    from the expected ones, plain and magnified.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.patch = config.patch
        width = config.encoder_channels
        self.config = config
        planes = 9 if config.memory else 3
        self.stem = CausalConv3d(planes * config.patch**2, width[0], config.edge_kernel)
        self.stages = nn.ModuleList(
            nn.ModuleList(ResBlock(c, kind, config) for _ in range(n))
            for c, n, kind in zip(width, config.encoder_blocks, config.block_kinds, strict=True)
        )
        self.downs = nn.ModuleList(
            CausalConv3d(a, b, _down_kernel(stride, config), stride)
            for a, b, stride in zip(width, width[1:], config.strides, strict=False)
        )
        self.norm = ChannelNorm(width[-1], config.qp_width)
        self.out = CausalConv3d(width[-1], config.token_bits, (1, 1, 1))
        #: What is kept has to be described otherwise than what is made anew.
        self.memory = CausalConv3d(2, width[-1], (1, 1, 1)) if config.memory else None
        if self.memory is not None:
            nn.init.zeros_(self.memory.weight)

    def forward(self, x: Tensor, qp: Tensor | None, state: StreamState | None = None,
                outlook: Outlook | None = None) -> Tensor:
        """[B, 1 + s*t, H, W, 3] in [-1, 1] -> z [B, 1 + t, H/8, W/8, token_bits], mean square 1.

        There is no `outlook` at the start of a segment: grey is expected.
        The unit mean square bounds |z|, which a rate term would otherwise drive up for ever.
        """
        h = self.stem(self._planes(x, x if outlook is None else x - outlook.pictures), state)
        for i, stage in enumerate(self.stages):
            if i == len(self.downs) and self.memory is not None and outlook is not None:
                h = h + self.memory(_told(outlook).to(h.dtype))
            for block in stage:  # type: ignore[attr-defined]
                h = block(h, qp, state)
            if i < len(self.downs):
                h = self.downs[i](h, state)
        z = self.out(F.silu(self.norm(h, qp)))
        z = F.normalize(z.float(), dim=-1) * z.shape[-1] ** 0.5
        if outlook is not None:
            _rule(z, outlook)
        elif self.config.memory:
            z[..., KEEP] = -1
        return z

    def _planes(self, x: Tensor, changed: Tensor) -> Tensor:
        """Pictures and differences [B, T, H, W, 3] -> what goes in, [B, T, H/4, W/4, planes]."""
        parts = (x, changed, magnified(changed)) if self.config.memory else (x,)
        return torch.cat([space_to_depth(p, self.patch) for p in parts], dim=-1)


def _told(outlook: Outlook) -> Tensor:
    """Whether something is kept, and whether that is next to right: 0 or 1, [B, 1, H/8, W/8, 2]."""
    keep = outlook.keep > 0
    return torch.stack((keep, keep & (outlook.fine > 0)), -1).float()


def _rule(z: Tensor, outlook: Outlook) -> None:
    """Put in place the values [..., bits] that are not learned."""
    z[..., KEEP] = outlook.keep
    z[..., FINE] = torch.where(outlook.keep > 0, outlook.fine, z[..., FINE])
    if outlook.steered is not None:
        z[..., STEER] = torch.where(outlook.steered, SURE, -SURE)[:, None]


def _down_kernel(stride: tuple[int, int, int], config: ModelConfig) -> tuple[int, int, int]:
    time = 3 if stride[0] > 1 else 1
    side = 3 if stride[1] > 1 else config.time_down_side
    return (time, side, side)
