"""Pictures made between two others."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.models.between import between, pictures_between
from tests.models.scenes import view

INNER = (slice(16, -16), slice(16, -16))


@pytest.mark.parametrize(("dx", "dy"), [(8, 0), (-8, 4), (4, -8)])
def test_what_moves_is_halfway_halfway(dx: int, dy: int) -> None:
    first, last = view(0, 0), view(dx, dy)
    made = between(first, last, [0.25, 0.5])[0]
    for share, picture in zip((0.25, 0.5), made, strict=True):
        wanted = view(round(dx * share), round(dy * share))[0]
        off = (picture - wanted)[INNER].abs().mean()
        mixed = (torch.lerp(first, last, share)[0] - wanted)[INNER].abs().mean()
        assert off < 0.35 * mixed


def test_the_ends_are_the_pictures_themselves() -> None:
    first, last = view(0, 0), view(5, -3)
    made = between(first, last, [0.0, 1.0])[0]
    torch.testing.assert_close(made[0], first[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(made[1], last[0], atol=1e-4, rtol=0)


def test_each_pair_of_a_batch_has_its_own() -> None:
    firsts, lasts = (torch.cat(v) for v in ((view(0, 0), view(2, 2)), (view(6, 0), view(2, -4))))
    both = between(firsts, lasts, [0.5])
    torch.testing.assert_close(both[1:], between(firsts[1:], lasts[1:], [0.5]),
                               atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_pictures_that_do_not_agree_keep_their_texture(share: float) -> None:
    first, last = torch.rand(2, 1, 64, 96, 3, generator=torch.Generator().manual_seed(3)) - 0.5
    made = between(first, last, [share])[0, 0]
    plain = torch.lerp(first, last, share)[0]
    assert plain.std() < 0.85 * first.std()
    torch.testing.assert_close(made.std(), first.std(), atol=0, rtol=0.15)
    torch.testing.assert_close(made.mean(), plain.mean(), atol=2e-3, rtol=0)


@settings(max_examples=20, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), count=st.integers(1, 3),
       level=st.integers(0, 255))
def test_pictures_of_any_size(height: int, width: int, count: int, level: int) -> None:
    flat = torch.full((height, width, 3), level, dtype=torch.uint8)
    made = pictures_between(flat, flat, [(i + 1) / (count + 1) for i in range(count)])
    assert made.dtype == torch.uint8
    assert torch.equal(made, flat.expand(count, -1, -1, -1))
