"""Multiply-accumulates of a tokenizer, counted from shapes alone (nothing is computed)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nvcodec.models.config import ModelConfig
from nvcodec.models.conv import CausalConv3d, StreamState
from nvcodec.models.tokenizer import Tokenizer


def parameters(config: ModelConfig) -> int:
    """Number of weights."""
    with torch.device("meta"):
        return sum(p.numel() for p in Tokenizer(config).parameters())


def macs_per_pixel(config: ModelConfig) -> tuple[float, float]:
    """(encode, decode) multiply-accumulates for each pixel of each frame in a long clip.

    Where there is a memory, encoding looks twice and runs the decoder too. All turns but a clip's
    first are alike, so the second is counted.
    """
    side, stride = 8 * config.spatial_stride, config.time_stride
    with torch.device("meta"):
        model = Tokenizer(config)
        first, turn = (torch.empty(1, frames, side, side, 3) for frames in (1, stride))
        signs = torch.empty(1, 1, 8, 8, config.token_bits)
        encoding, decoding = StreamState(), StreamState()
        model.encode(first, state=encoding)
        model.decode(signs, state=decoding)
        encode = _count(model, lambda: model.encode(turn, state=encoding, again=1.0))
        decode = _count(model, lambda: model.decode(signs, state=decoding))
    pixels = stride * side * side
    return encode / pixels, decode / pixels


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
