"""Multiply-accumulates of a tokenizer, counted from shapes alone (nothing is computed)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nvcodec.models.config import ModelConfig
from nvcodec.models.conv import CausalConv3d
from nvcodec.models.tokenizer import Tokenizer


def parameters(config: ModelConfig) -> int:
    """Number of weights."""
    with torch.device("meta"):
        return sum(p.numel() for p in Tokenizer(config).parameters())


def macs_per_pixel(config: ModelConfig) -> tuple[float, float]:
    """(encode, decode) multiply-accumulates for each pixel of each frame in a long clip.

    Encoding runs the decoder too where there is a memory. The steady state: the difference
    between clips of three and two latent frames.
    """
    pixels = config.time_stride * (8 * config.spatial_stride) ** 2
    more, less = _clip_macs(config, 3), _clip_macs(config, 2)
    return (more[0] - less[0]) / pixels, (more[1] - less[1]) / pixels


def _clip_macs(config: ModelConfig, latents: int) -> tuple[int, int]:
    frames = 1 + config.time_stride * (latents - 1)
    side = 8 * config.spatial_stride
    with torch.device("meta"):
        model = Tokenizer(config)
        x = torch.empty(1, frames, side, side, 3)
        encode = _count(model, lambda: model.encode(x))
        decode = _count(model, lambda: model.decode(torch.empty(1, latents, 8, 8,
                                                                config.token_bits)))
    return encode, decode


def _count(part: nn.Module, run: Any) -> int:
    total = 0

    def add(module: nn.Module, _: Any, out: Tensor) -> None:
        nonlocal total
        weight = module.weight
        assert isinstance(weight, Tensor)
        total += out.numel() * weight[0].numel()

    hooks = [m.register_forward_hook(add) for m in part.modules()
             if isinstance(m, (CausalConv3d, nn.Linear))]
    run()
    for hook in hooks:
        hook.remove()
    return total
