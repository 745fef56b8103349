"""Causal encoder: pixels to latent values. Layout [B, T, H, W, C]."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nvcodec.models.blocks import ResBlock
from nvcodec.models.config import KEEP, ModelConfig
from nvcodec.models.conv import CausalConv3d, ChannelNorm, StreamState, space_to_depth
from nvcodec.models.memory import Outlook, worth_keeping


class Encoder(nn.Module):
    """Residual stages joined by strided convolutions; time is shortened in the last ones.

    Where the config has a memory, pictures go in twice: as they are, and as what they differ by
    from the last decoded picture; with motion a third time, less that picture moved on.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.patch = config.patch
        width = config.encoder_channels
        self.config = config
        planes = 3 * (1 + config.memory + config.moves)
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

    def forward(self, x: Tensor, qp: Tensor | None, state: StreamState | None = None,
                seen: Outlook | None = None) -> Tensor:
        """[B, 1 + s*t, H, W, 3] in [-1, 1] -> z [B, 1 + t, H/8, W/8, token_bits], mean square 1.

        Nothing is `seen` at the start of a segment: grey is expected.
        The unit mean square bounds |z|, which a rate term would otherwise drive up for ever.
        """
        changed = x if seen is None else x - seen.last[:, None]
        h = self.stem(self._planes(x, changed, seen), state)
        for i, stage in enumerate(self.stages):
            for block in stage:  # type: ignore[attr-defined]
                h = block(h, qp, state)
            if i < len(self.downs):
                h = self.downs[i](h, state)
        z = self.out(F.silu(self.norm(h, qp)))
        z = F.normalize(z.float(), dim=-1) * z.shape[-1] ** 0.5
        if self.config.keeps:
            z[..., KEEP] = -1 if seen is None else worth_keeping(x, changed, self.config)
        return z

    def _planes(self, x: Tensor, changed: Tensor, seen: Outlook | None) -> Tensor:
        """Pictures, and what they differ by from what is expected -> [B, T, H/4, W/4, planes]."""
        parts = [x]
        if self.config.memory:
            parts.append(changed)
        if self.config.moves:
            moved = None if seen is None else seen.moved
            parts.append(x if moved is None else (x - moved).to(x.dtype))
        return torch.cat([space_to_depth(p, self.patch) for p in parts], dim=-1)


def _down_kernel(stride: tuple[int, int, int], config: ModelConfig) -> tuple[int, int, int]:
    time = 3 if stride[0] > 1 else 1
    side = 3 if stride[1] > 1 else config.time_down_side
    return (time, side, side)
