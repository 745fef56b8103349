"""Vectors of squares, told by one bit of the tokens in them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.models.motion import carried_on
from nvcodec.models.steering import DIGITS, PLACES, SQUARE, UNIT, departure, spelled, spread, told
from tests.models.scenes import view

MOST = 2**DIGITS - 1
QP = torch.tensor([0])


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 7), st.integers(0, 7), st.data())
@settings(max_examples=40, deadline=None)
def test_what_is_spelled_is_told(rows: int, columns: int, down: int, right: int,
                                 data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(-MOST, MOST), min_size=4 * rows * columns,
                                max_size=4 * rows * columns))
    vectors = UNIT * torch.tensor(values, dtype=torch.float32).view(2, 2, rows, columns)
    size = rows * SQUARE + down, columns * SQUARE + right
    bits = spelled(vectors, *size)
    assert bits.shape == (2, *size)
    assert torch.equal(told(bits), vectors)


def test_no_departure_is_no_bit_and_one_takes_few() -> None:
    assert len(set(PLACES)) == 2 * (1 + DIGITS)
    assert not spelled(torch.zeros(1, 2, 2, 2), 16, 16).any()
    vectors = torch.zeros(1, 2, 2, 2)
    vectors[0, :, 1, 0] = torch.tensor([-UNIT, 4 * UNIT])
    bits = spelled(vectors, 16, 16)
    assert bits.sum() == 3 and bits[0, 8:, :8].sum() == 3


def test_vectors_are_rounded_and_bounded() -> None:
    vectors = torch.tensor([-0.2, 0.3, -99.0, 99.0]).view(1, 2, 1, 2)
    assert told(spelled(vectors, 8, 16)).flatten().tolist() == [
        0, UNIT, -MOST * UNIT, MOST * UNIT]


def test_motion_is_smooth_from_square_to_square() -> None:
    even = spread(torch.full((1, 2, 2, 3), 1.5), torch.Size((36, 50)))
    torch.testing.assert_close(even, torch.full((1, 2, 36, 50), 1.5))
    step = spread(torch.tensor([0.0, 8.0]).view(1, 1, 1, 2).repeat(1, 2, 1, 1),
                  torch.Size((16, 32)))
    assert step.diff(dim=3).abs().max() < 0.6
    assert not spread(torch.zeros(1, 2, 0, 3), torch.Size((10, 48))).any()


def test_a_departure_is_found_and_makes_the_picture_better() -> None:
    last, coming = view(0, 0), view(6, -3)
    flow = torch.zeros(1, 2, 24, 24)
    true = flow + torch.tensor([6.0, -3.0]).view(1, 2, 1, 1)
    vectors = departure(last, flow, true, coming, QP)
    assert torch.equal(vectors, torch.tensor([6.0, -3.0]).view(1, 2, 1, 1))
    steered = carried_on(last, flow + spread(vectors, flow.shape[2:]), torch.ones(1))[:, 0]
    inner = (slice(None), slice(8, -8), slice(8, -8))
    assert (steered - coming)[inner].abs().mean() < 0.1 * (last - coming)[inner].abs().mean()


def test_what_makes_nothing_better_is_not_told() -> None:
    still = view(0, 0)
    wrong = torch.full((1, 2, 24, 24), 5.0)
    assert not departure(still, torch.zeros(1, 2, 24, 24), wrong, still, QP).any()


@pytest.mark.parametrize(("qp", "steered"), [(0, True), (63, False)])
def test_bits_are_dearer_at_high_qp(qp: int, steered: bool) -> None:
    last, coming = (0.02 * view(x, 0) for x in (0, 6))
    true = torch.tensor([6.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 24, 24)
    vectors = departure(last, torch.zeros(1, 2, 24, 24), true, coming, torch.tensor([qp]))
    assert bool(vectors.any()) is steered
