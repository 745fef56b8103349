"""Token grids to train a prior on: the first frames of every clip, then parts from anywhere."""

from __future__ import annotations

import numpy as np
import torch

from nvcodec.models.config import CONFIGS
from nvcodec.models.tokenizer import Tokenizer
from nvcodec.train import grids
from nvcodec.train.grids import encode_grids


def test_parts_of_clips(monkeypatch) -> None:
    monkeypatch.setattr(grids, "FRAMES", 9)
    monkeypatch.setattr(grids, "HEIGHT", 32)
    torch.manual_seed(0)
    model, draw = Tokenizer(CONFIGS["tiny"]).eval(), np.random.default_rng(0)
    clips = [draw.integers(0, 256, (n, 48, 40, 3), np.uint8) for n in (12, 7)]
    made = encode_grids(model, clips, each=4)
    assert [g.tokens.shape for g in made] == [(3, 6, 5), *[(3, 4, 5)] * 3,
                                              (2, 6, 5), (2, 4, 5), (2, 4, 5), (1, 4, 5)]
    assert len({g.qp for g in made}) == 8
    alone = encode_grids(model, clips)
    assert np.array_equal(alone[0].tokens, made[0].tokens)
    again = encode_grids(model, clips, each=4)
    assert all(np.array_equal(a.tokens, b.tokens) for a, b in zip(made, again, strict=True))
