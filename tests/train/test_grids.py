"""Tokens that the prior learns from."""

from __future__ import annotations

import numpy as np
import torch

from nvcodec.models.config import CONFIGS
from nvcodec.models.tokenizer import Tokenizer
from nvcodec.train.grids import encode_grids, tokens_of


def test_every_second_clip_gives_every_other_frame() -> None:
    torch.manual_seed(5)
    model = Tokenizer(CONFIGS["tiny"]).eval()
    clips = list(np.random.default_rng(5).integers(0, 256, (2, 17, 32, 48, 3), dtype=np.uint8))
    grids = encode_grids(model, clips, frames=9)
    for clip, grid in zip((clips[0][:9], clips[1][::2]), grids, strict=True):
        np.testing.assert_array_equal(grid.tokens, tokens_of(model, clip, grid.qp))


def test_clips_too_short_for_it_give_all() -> None:
    torch.manual_seed(5)
    model = Tokenizer(CONFIGS["tiny"]).eval()
    clips = list(np.random.default_rng(6).integers(0, 256, (2, 9, 32, 48, 3), dtype=np.uint8))
    shapes = [g.tokens.shape for g in encode_grids(model, clips, frames=9)]
    assert shapes[0] == shapes[1]
