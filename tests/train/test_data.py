"""Where training clips come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.errors import InputError
from nvcodec.train.crops import ClipShape, halved, pan, random_crop
from nvcodec.train.data import ClipPool
from nvcodec.video.stills import write_png


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_short_clips_are_played_forth_and_back(length: int, wanted: int, seed: int) -> None:
    numbers = torch.arange(length, dtype=torch.uint8)[:, None, None, None]
    clip = numbers.expand(length, 70, 70, 3)
    crop = random_crop(np.random.default_rng(seed), clip, ClipShape(1, wanted, 64))
    if crop is None:
        assert wanted > 2 * length
        return
    assert crop.shape == (wanted, 64, 64, 3)
    steps = np.abs(np.diff(crop[:, 0, 0, 0].numpy().astype(int)))
    assert length == 1 or len(set(steps[steps > 0])) <= 2  # one speed, but for where it turns
    assert steps.max(initial=0) <= 2


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_pans_stay_inside_the_photo_and_move_evenly(seed: int) -> None:
    photo = np.zeros((100, 150, 3), np.uint8)
    photo[..., 0], photo[..., 1] = np.mgrid[:100, :150]
    photo[..., 2] = 7
    made = pan(np.random.default_rng(seed), torch.from_numpy(photo), ClipShape(1, 9, 40))
    assert made is not None and made.shape == (9, 40, 40, 3)
    clip = made.numpy()
    assert (clip[..., 2] == 7).all()
    for plane in (0, 1):
        steps = np.diff(clip[:, 0, :, plane].min(-1).astype(int))
        assert np.ptp(steps) <= 1


def test_halved_pictures_are_rounded_means() -> None:
    pictures = np.random.default_rng(3).integers(0, 256, (2, 6, 8, 3), np.uint8)
    means = pictures.reshape(2, 3, 2, 4, 2, 3).mean((2, 4))
    made = halved(torch.from_numpy(pictures)).numpy()
    assert np.array_equal(made, np.floor(means + 0.5).astype(np.uint8))


def _photos(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for i in range(2):
        write_png(folder / f"{i}.png", np.full((80, 80, 3), 40 * i, np.uint8))
    return folder


def test_photos_alone_are_enough(tmp_path: Path) -> None:
    pool = ClipPool([_photos(tmp_path)], tmp_path / "cache", seed=0)
    assert pool.batch(0, ClipShape(3, 5, 64)).shape == (3, 5, 64, 64, 3)


def test_validation_sees_the_centre_of_every_long_clip(tmp_path: Path) -> None:
    pool = ClipPool([_photos(tmp_path)], tmp_path / "cache", seed=0)
    where = np.stack(np.mgrid[:70, :100], axis=-1)[None].repeat(5, axis=0)
    frames = np.concatenate((where, where[..., :1]), axis=-1).astype(np.uint8)
    pool.held = [frames, frames[:4], frames[:, :65, :66]]
    wide, narrow = pool.validation(9, 5, 80)
    assert wide.shape == (5, 70, 80, 3) and narrow.shape == (5, 65, 66, 3)
    assert wide[0, 0, 0].tolist() == [0, 10, 0]
    assert len(pool.validation(1, 5, 80)) == 1
    with pytest.raises(InputError, match="lower --frames"):
        pool.validation(9, 6, 80)
