"""A camera that moves: homographies, and how they are found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nvcodec.models import background as b
from nvcodec.models.camera import Camera, homography, moves_of, places, sampled
from nvcodec.video.reader import open_video

WIDE, HIGH = 176, 144


@pytest.fixture(scope="module")
def picture(carphone: Path) -> Tensor:
    with open_video(carphone) as video:
        return torch.from_numpy(next(iter(video.frames())).rgb.copy())


def moves(*numbers: float) -> np.ndarray:
    """In pixels."""
    return np.rint(np.array(numbers, float).reshape(4, 2) * 16).astype(np.int16)


def seen(picture: Tensor, gone: np.ndarray) -> Tensor:
    """The picture as a camera has it that has moved so."""
    at = places(np.linalg.inv(homography(gone, WIDE, HIGH)), WIDE, HIGH)
    planes = sampled(picture.permute(2, 0, 1).float(), at, mode="bicubic", outside="border")
    return planes.permute(1, 2, 0).clamp(0, 255).add(0.5).byte()


def off(found: np.ndarray, gone: np.ndarray) -> float:
    """By how many pixels most of the picture is misplaced at most: its outermost eighth has nothing
    to go by."""
    a, c = (places(homography(m, WIDE, HIGH), WIDE, HIGH, 8)[2:-2, 3:-3] for m in (found, gone))
    return float((a - c).norm(dim=-1).max())


PAN = moves(5, -3, 5, -3, 5, -3, 5, -3)
ZOOM = moves(-8, -6, 9, -5, -7, 6, 8, 7)


@pytest.mark.parametrize("gone", [np.zeros((4, 2), np.int16), PAN, ZOOM])
def test_corners_go_where_they_are_told_to(gone: np.ndarray) -> None:
    h = homography(gone, WIDE, HIGH)
    for corner, move in zip([(0, 0), (WIDE, 0), (0, HIGH), (WIDE, HIGH)], gone / 16, strict=True):
        there = h @ (*corner, 1)
        np.testing.assert_allclose(there[:2] / there[2], corner + move, atol=1e-6)
    found = moves_of(h, WIDE, HIGH)
    assert found is not None
    np.testing.assert_array_equal(found, gone)


def test_what_moves_cannot_tell_is_none(picture: Tensor) -> None:
    far = np.eye(3)
    far[0, 2] = 2048
    assert moves_of(far, WIDE, HIGH) is None
    assert not Camera(picture, lambda _: False).follow(seen(picture, PAN)[None]).any()
    horizon = np.eye(3)
    horizon[2, 0] = -2 / WIDE
    assert moves_of(horizon, WIDE, HIGH) is None


def test_places_are_centres_of_cells() -> None:
    np.testing.assert_allclose(places(np.eye(3), 9, 5, 4), [
        [[2, 2], [6, 2], [10, 2]], [[2, 6], [6, 6], [10, 6]]])
    horizon = np.eye(3)
    horizon[2, 0] = -1.5 / WIDE
    at = places(horizon, WIDE, HIGH)
    assert torch.isfinite(at).all() and (at[:, 160:] == -1e6).all() and (at[:, :100] >= 0).all()


@pytest.mark.parametrize("gone", [PAN, ZOOM, moves(20, 3, 21, 2, 19, 3, 20, 4)],
                         ids=["pan", "zoom", "far"])
def test_a_camera_is_followed(picture: Tensor, gone: np.ndarray) -> None:
    camera = Camera(picture)
    steps = [np.rint(gone * share).astype(np.int16) for share in (1 / 3, 2 / 3, 1)]
    found = camera.follow(torch.stack([seen(picture, step) for step in steps]))
    assert max(off(*pair) for pair in zip(found, steps, strict=True)) < 1
    back = Camera(picture).back(torch.stack([seen(picture, step) for step in steps[::-1]]))
    np.testing.assert_array_equal(back, found[::-1])


def test_what_passes_by_is_no_motion_of_the_camera(picture: Tensor) -> None:
    pictures = picture.repeat(4, 1, 1, 1)
    for i, one in enumerate(pictures):
        one[40:90, 20 + 12 * i:70 + 12 * i] = 128
    assert not Camera(picture).follow(pictures).any()
    found = Camera(picture).follow(torch.stack([seen(one, PAN) for one in pictures]))
    assert max(off(one, PAN) for one in found) < 1


@pytest.mark.parametrize("other", ["noise", "grey", "black"])
def test_another_picture_is_no_motion(picture: Tensor, other: str) -> None:
    torch.manual_seed(0)
    pictures = {"noise": torch.randint(0, 256, picture.shape, dtype=torch.uint8),
                "grey": torch.full_like(picture, 90), "black": torch.zeros_like(picture)}
    for a, c in ((picture, pictures[other]), (pictures[other], picture)):
        found = Camera(a).follow(c[None])
        assert found.shape == (1, 4, 2)
        homography(found[0], WIDE, HIGH)
    assert not Camera(pictures[other]).follow(pictures[other][None]).any()


def test_small_pictures_are_not_followed(picture: Tensor) -> None:
    small = picture[:48, :96]
    assert not Camera(small).follow(small.roll(3, 1)[None]).any()
    assert Camera(small).back(small[None][:0]).shape == (0, 4, 2)


@pytest.mark.parametrize("size", [(67, 131), (HIGH, WIDE), (64, 64), (250, 90)])
def test_any_size(size: tuple[int, int]) -> None:
    torch.manual_seed(1)
    picture = torch.randint(0, 256, (*size, 3), dtype=torch.uint8)
    assert not Camera(picture).follow(picture[None]).any()


@pytest.mark.parametrize("gone", [PAN, ZOOM], ids=["pan", "zoom"])
def test_a_background_goes_with_the_camera(picture: Tensor, gone: np.ndarray) -> None:
    """Decoded pictures are grey; where blocks are shown the source is seen."""
    rows, columns = 2 * -(-HIGH // 16), 2 * -(-WIDE // 16)
    grey = torch.full_like(picture, 128)
    difference = b.whole_blocks((picture.float() - 128).permute(2, 0, 1)).permute(1, 2, 0)
    cover = b.Cover(grey, difference, torch.ones(rows, columns))
    shown = torch.zeros(rows, columns)
    shown[4:14, 4:18] = 1
    made, expected = cover.over(grey, shown, gone), seen(picture, gone)
    assert (made[50:94, 55:125].float() - expected[50:94, 55:125]).abs().mean() < 0.5
    assert torch.equal(made[:20], grey[:20]) and torch.equal(made[:, :20], grey[:, :20])
    # Likeness counts where nothing has moved, and only there.
    assert torch.equal(cover.over(grey, None, gone), grey)
    assert torch.equal(cover.over(grey, None, np.zeros((4, 2), np.int16)), picture)
    whole = cover.over(grey, torch.ones(rows, columns), gone)
    assert (whole[20:-20, 20:-20].float() - expected[20:-20, 20:-20]).abs().mean() < 0.5
