"""Token grids that the prior learns from."""

from __future__ import annotations

import numpy as np
import pytest

from nvcodec.models.config import CONFIGS
from nvcodec.models.tokenizer import Tokenizer
from nvcodec.train.grids import encode_grids, forth_and_back


@pytest.mark.parametrize(("frames", "order"), [
    (2, [0, 1]), (4, [0, 1, 2, 3]), (6, [0, 1, 2, 3, 2, 1]), (9, [0, 1, 2, 3, 2, 1, 0])])
def test_clips_are_played_forth_and_back_once(frames: int, order: list[int]) -> None:
    clip = np.arange(4, dtype=np.uint8)[:, None, None, None]
    assert forth_and_back(clip, frames).ravel().tolist() == order


def test_grids_are_longer_than_the_clips_they_come_from() -> None:
    model = Tokenizer(CONFIGS["tiny"]).eval()
    clips = [np.random.default_rng(i).integers(0, 256, (n, 16, 24, 3), np.uint8)
             for i, n in enumerate((5, 30))]
    grids = encode_grids(model, clips, frames=17)
    assert [g.tokens.shape for g in grids] == [(3, 2, 3), (5, 2, 3)]
    assert grids[0].qp != grids[1].qp
