"""Arithmetic of backgrounds."""

from __future__ import annotations

import pytest
import torch

from nvcodec.models import background as b


def test_planes_and_blocks_go_there_and_back() -> None:
    torch.manual_seed(0)
    rgb = 255 * torch.rand(40, 24, 3)
    planes = b.planes_of(rgb)
    torch.testing.assert_close(b.rgb_of(planes), rgb, atol=1e-3, rtol=0)
    grey = b.planes_of(torch.full((1, 1, 3), 90.0))
    torch.testing.assert_close(grey[0, 0], torch.tensor([90.0, 0, 0]), atol=1e-4, rtol=0)
    blocks = b.blocks_of(planes[..., 0])
    assert blocks.shape == (5, 3, 8, 8)
    torch.testing.assert_close(b.plane_of(blocks), planes[..., 0], atol=1e-3, rtol=0)
    # Orthonormal, and vertical frequencies first.
    torch.testing.assert_close(blocks.square().sum(), planes[..., 0].square().sum())
    rows = b.blocks_of(torch.arange(8.0)[:, None].expand(8, 8))[0, 0]
    assert rows[1, 0].abs() > 1 and rows[0, 1].abs() < 1e-4


@pytest.mark.parametrize("size", [(1, 1), (9, 5), (32, 32), (67, 51)])
def test_a_background_covers_what_is_like_its_reference(size: tuple[int, int]) -> None:
    reference = torch.full((*size, 3), 100, dtype=torch.uint8)
    rows, columns = (2 * -(-n // 16) for n in size)
    change = torch.full((8 * rows, 8 * columns, 3), 50.0)
    cover = b.Cover(reference, change, torch.ones(rows, columns))
    assert (cover.over(reference + 3) == 150).all()
    assert (cover.over(reference + 40) == 140).all()
    half = cover.over(reference + 7)  # half way from the same to the other
    assert ((half > 107) & (half < 150)).all()
    nothing = b.Cover(reference, change, torch.zeros(rows, columns))
    assert torch.equal(nothing.over(reference), reference)


def test_a_background_lies_where_it_is_told_of() -> None:
    reference = torch.full((64, 64, 3), 100, dtype=torch.uint8)
    told = torch.zeros(8, 8)
    told[:, :4] = 1
    made = b.Cover(reference, torch.full((64, 64, 3), 50.0), told).over(reference)
    assert (made[:, :24] == 150).all() and (made[:, 40:] == 100).all()
    passing = reference.clone()
    passing[20:40, 8:20] = 220
    made = b.Cover(reference, torch.full((64, 64, 3), 50.0), told).over(passing)
    assert (made[22:38, 10:18] == 220).all() and (made[56:, :16] == 150).all()


def test_blocks_that_are_shown_are_so_whatever_is_decoded() -> None:
    """But for their borders to others, which may belong to those."""
    reference = torch.full((64, 64, 3), 100, dtype=torch.uint8)
    cover = b.Cover(reference, torch.full((64, 64, 3), 50.0), torch.ones(8, 8))
    other = torch.full_like(reference, 220)
    shown = torch.zeros(8, 8)
    shown[:4] = 1
    made = cover.over(other, shown)
    assert (made[:24] == 150).all() and (made[32:] == 220).all()
    assert torch.equal(cover.over(other, torch.zeros(8, 8)), other)
