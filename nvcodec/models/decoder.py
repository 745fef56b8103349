"""Causal decoder: quantized latents to pixels. Layout [B, T, H, W, C]."""

from __future__ import annotations

from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nvcodec.models.blocks import ResBlock
from nvcodec.models.config import ModelConfig
from nvcodec.models.conv import AdaptiveNorm, CausalConv3d, ChannelNorm, StreamState, Upsample
from nvcodec.models.memory import Memory, Outlook, each


class Decoder(nn.Module):
    """Residual stages joined by depth-to-space/time, the latents steering a norm in each.

    Where the config has a memory, pictures also come from the last one decoded (`Memory`).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.decoder_channels
        self.stem = CausalConv3d(config.token_bits, width[-1], config.edge_kernel)
        self.adapts = nn.ModuleList()
        self.stages = nn.ModuleList()
        self.ups = nn.ModuleList()
        for i in reversed(range(len(width))):
            time = prod(s[0] for s in config.strides[i:])
            space = prod(s[1] for s in config.strides[i:])
            self.adapts.append(AdaptiveNorm(width[i], config.token_bits, time, space))
            self.stages.append(nn.ModuleList(
                ResBlock(width[i], config.block_kinds[i], config)
                for _ in range(config.decoder_blocks[i])))
            if i:
                self.ups.append(
                    Upsample(width[i], width[i - 1], config.strides[i - 1], config.up_kernel))
        #: The stage, as they come here, from which on frames do not meet.
        self.apart = len(width) - _met_last(config)
        self.norm = ChannelNorm(width[0], config.qp_width)
        self.head = PixelHead(width[0], config)
        self.memory = Memory(config) if config.memory else None

    def forward(self, q: Tensor, qp: Tensor | None, state: StreamState | None = None,
                seen: Outlook | None = None, every: int = 1) -> Tensor:
        """[B, 1 + t, H/8, W/8, bits] in {-1, 1} -> [B, 1 + s*t, H, W, 3], about [-1, 1].

        Nothing is `seen` at the start of a segment. Where there is a memory, of a turn's frames
        only each `every`-th may be made, the last among them: [B, s / every, H, W, 3].
        """
        memory = self.memory
        h = self.stem(q, state)
        if memory is not None and seen is not None:
            h = h + memory.features(seen)
        for i, stage in enumerate(self.stages):
            if i == self.apart:
                h, seen = each(h, every), seen and seen.each(every)
            h = self.adapts[i](h, q)
            if memory is not None and seen is not None and i == len(self.ups):
                h = h + memory.hints(seen)
            for block in stage:  # type: ignore[attr-defined]
                h = block(h, qp, state)
            if i < len(self.ups):
                h = self.ups[i](h, state)
        if self.apart == len(self.stages):
            h, seen = each(h, every), seen and seen.each(every)
        h = self.norm(h, qp)
        x: Tensor = self.head(h, state)
        if memory is not None and seen is not None:
            x = memory.blend(x, seen, h, q)
        return x


def _met_last(config: ModelConfig) -> int:
    """How many of the first stages, counted from the pixels, no kernel over time is in."""
    alone = 0
    for kind, stride in zip(config.block_kinds, ((1, 1, 1), *config.strides), strict=True):
        if kind != "2d" or stride[0] > 1:
            break
        alone += 1
    return alone


class PixelHead(nn.Module):
    """From the first stage to pixels, one doubling at a time.

    A 3x3 convolution at half resolution overlaps the blocks of the first shuffle; a single
    shuffle by the whole patch leaves its mesh in the picture.
    """

    def __init__(self, channels: int, config: ModelConfig) -> None:
        super().__init__()
        self.ups = nn.ModuleList()
        self.convs = nn.ModuleList()
        for c in config.head_channels:
            self.ups.append(Upsample(channels, c, (1, 2, 2), (1, 1, 1)))
            self.convs.append(CausalConv3d(c, c, (1, 3, 3)))
            channels = c
        step = 2 if config.patch > 1 else 1
        self.out = Upsample(channels, 3, (1, step, step), config.edge_kernel)
        with torch.no_grad():
            self.out.conv.weight.mul_(0.5)

    def forward(self, h: Tensor, state: StreamState | None) -> Tensor:
        """[B, T, H/patch, W/patch, C] -> [B, T, H, W, 3]."""
        for up, conv in zip(self.ups, self.convs, strict=True):
            h = up(F.silu(h), state)
            h = h + conv(F.silu(h), state)
        return self.out(F.silu(h), state)
