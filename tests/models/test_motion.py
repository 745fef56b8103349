"""Motion from two decoded pictures, and where it takes the second one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.models.motion import carried_on, motion
from tests.models.scenes import view

SIDE = 96


@given(st.integers(-12, 12), st.integers(-12, 12))
@settings(max_examples=20, deadline=None)
def test_a_moved_scene_is_found_where_it_is(dx: int, dy: int) -> None:
    flow = motion(view(0, 0), view(dx, dy))
    inner = flow[0, :, 5:-5, 5:-5].flatten(1)
    wanted = torch.tensor([dx, dy], dtype=torch.float32)
    assert (inner.median(1).values - wanted).abs().max() < 0.35


@pytest.mark.parametrize(("dx", "dy"), [(4, 0), (-8, 4), (0, -6)])
def test_a_scene_that_moves_on_is_foreseen(dx: int, dy: int) -> None:
    last, coming = view(dx, dy), view(2 * dx, 2 * dy)
    foreseen = carried_on(last, motion(view(0, 0), last), torch.tensor([0.5, 1.0]))
    inner = (slice(16, -16), slice(16, -16))
    off = (foreseen[0, 1] - coming[0])[inner].abs().mean()
    assert off < 0.3 * (last[0] - coming[0])[inner].abs().mean()
    half = (foreseen[0, 0] - view(dx + dx // 2, dy + dy // 2)[0])[inner].abs().mean()
    assert half < 0.3 * (last[0] - coming[0])[inner].abs().mean()


def test_what_stands_still_stays_to_the_last_digit_but_one() -> None:
    picture = view(0, 0)
    flow = motion(picture, picture)
    assert flow.abs().max() < 1e-6
    kept = carried_on(picture, flow, torch.tensor([0.25, 1.0]))
    torch.testing.assert_close(kept, picture[:, None].expand_as(kept), atol=1e-5, rtol=0)


def test_noise_of_a_level_of_8_bits_is_no_motion_and_changes_none() -> None:
    noise = torch.randn(1, SIDE, SIDE, 3, generator=torch.Generator().manual_seed(1)) / 127.5
    still = motion(view(0, 0), view(0, 0) + noise)
    assert still.abs().max() < 0.05
    moved = motion(view(0, 0), view(5, 3))
    again = motion(view(0, 0), view(5, 3) + noise)
    assert (moved - again).abs().median() < 0.05


def test_flat_pictures_do_not_move() -> None:
    flow = motion(torch.zeros(2, 16, 24, 3), torch.full((2, 16, 24, 3), 0.5))
    assert flow.shape == (2, 2, 4, 6)
    assert not flow.any()


@pytest.mark.parametrize("size", [(8, 8), (8, 200), (40, 16)])
def test_small_pictures_will_do(size: tuple[int, int]) -> None:
    first, second = torch.rand(2, 1, *size, 3) * 2 - 1
    flow = motion(first, second)
    assert flow.shape == (1, 2, size[0] // 4, size[1] // 4)
    assert carried_on(second, flow, torch.tensor([1.0])).isfinite().all()


def test_each_clip_of_a_batch_moves_on_its_own() -> None:
    a, b = (torch.cat(v) for v in ((view(0, 0), view(3, 1)), (view(5, 0), view(3, -4))))
    both = motion(a, b)
    torch.testing.assert_close(both[1:], motion(a[1:], b[1:]), atol=1e-4, rtol=1e-4)


def test_edges_repeat_and_gradients_reach_the_picture() -> None:
    picture = view(0, 0).requires_grad_(True)
    flow = torch.zeros(1, 2, SIDE // 4, SIDE // 4)
    flow[:, 0] = 8
    moved = carried_on(picture, flow, torch.tensor([1.0]))
    torch.testing.assert_close(moved[0, 0, :, 8:], picture[0, :, :-8], atol=1e-4, rtol=0)
    torch.testing.assert_close(moved[0, 0, 5, 2], picture[0, 5, 0], atol=1e-4, rtol=0)
    moved[0, 0, :, 8:].sum().backward()
    assert picture.grad is not None
    assert picture.grad[0, :, :-10].sum() > 0.9 * SIDE * (SIDE - 10) * 3


def test_a_body_does_not_drag_the_background_that_it_passes() -> None:
    body = view(0, 0)[:, 8:40, 8:40].flip(3) * 0.8
    pictures = []
    for x in (24, 32):
        picture = view(3, 5).clone()
        picture[:, 32:64, x:x + 32] = body
        pictures.append(picture)
    flow = motion(*pictures)
    assert (flow[0, 0, 10:14, 10:14] > 4).all()  # inside the body
    around = torch.ones(24, 24, dtype=torch.bool)
    around[6:18, 4:18] = False  # all but the body, where it was, and three cells of four pixels
    assert flow[0, :, around].abs().max() < 0.5
