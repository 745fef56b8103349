"""Context model of the table coder: which earlier bits tell about the next one.

A segment's tokens [T', H', W'] are coded latent frame by latent frame; a frame in passes over
positions that lie some steps apart; a pass bit by bit, all its positions at once. The table coder
has 4 passes, (row % 2, column % 2) = (0,0), (1,1), (0,1), (1,0); a learned prior may have more.
Every bit gets a small integer, its context, computed from bits that a decoder already has:

- current vote: the 8 neighbours in this frame that belong to earlier passes vote with their bit;
- previous vote: the 8 neighbours one frame earlier and the same place two frames earlier do so;
- the bit at the same place one frame earlier;
- drift: how many earlier bits of this token differ from the token one frame earlier;
- stir: how many tokens around, and here before, last differed from their past.

A neighbour's vote counts the more the fewer of its earlier bits differ from this token's, so that
tokens that look alike predict each other. Where nothing stirs nobody votes: the few contexts left
there soon learn that nothing changes, and a still picture costs next to nothing. The first frame
of a segment has no past; there the context is the current vote and the two bits before. All
arithmetic is on small integers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .bitpack import Bits, Tokens, join_bits

__all__ = ["CONTEXTS", "INTRA_CONTEXTS", "PASSES", "QP_BUCKETS", "Coder", "Pass", "code_frames"]
__all__ += ["code_tokens", "is_earlier", "qp_bucket"]

# The positions of a pass: first row, first column, and the step from one to the next, both ways.
Pass: TypeAlias = tuple[int, int, int]

PASSES: tuple[Pass, ...] = ((0, 0, 2), (1, 1, 2), (0, 1, 2), (1, 0, 2))
QP_BUCKETS = 4

_Signs: TypeAlias = npt.NDArray[np.int8]
_Index: TypeAlias = npt.NDArray[np.int64]

# Called for every pass and bit with the bit's number, the slice of the token grid
# (frame, rows, columns) and int64 contexts [K]; returns the K bits as uint8, in row order.
Coder: TypeAlias = Callable[[int, tuple[int, slice, slice], _Index], Bits]

_NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))
# A voter loses one of its lives for each bit that differs; its vote weighs lives squared.
_LIVES = 4
# Vote sums lie within +-9 * 16.
_REACH = 9 * _LIVES**2


def _levels(edges: tuple[int, ...], scale: int) -> _Index:
    """Scaled level (number of edges at or below) of each vote sum, to be indexed with the sum, from
    the end where that is below zero."""
    sums = np.roll(np.arange(-_REACH, _REACH + 1), -_REACH)
    return np.searchsorted(np.array(edges), sums, side="right").astype(np.int64) * scale


# A later frame's context is ((current * 7 + previous) * 4 + drift) * 8 + stir * 2 + bit before.
_INTRA_LEVELS = _levels((-40, -24, -14, -8, -4, -1, 1, 4, 8, 14, 24, 40), 9)
_CURRENT_LEVELS = _levels((-16, -8, -4, -1, 1, 4, 8, 16), 7 * 32)
_PREVIOUS_LEVELS = _levels((-20, -7, -1, 1, 7, 20), 32)
# Earlier bits that differ from the token one frame earlier: none, 1 or 2, 3 to 5, more.
_DRIFT_LEVELS = np.array([0, 1, 1, 2, 2, 2] + [3] * 19, np.int64) * 8
# Tokens of 9 that changed: none, 1 or 2, more. Level 0 is kept for "nothing known yet".
_STIR_LEVELS = np.array([3, 2, 2] + [1] * 7, np.int64) * 2

INTRA_CONTEXTS = 13 * 9
# Contexts of one bit: first those of first frames, then those of later ones.
CONTEXTS = INTRA_CONTEXTS + 9 * 7 * 4 * 4 * 2


def is_earlier(passes: Sequence[Pass], number: int, down: int, right: int) -> bool:
    """Whether the positions `down` and `right` of those of a pass belong to earlier passes."""
    row, column, _ = passes[number]
    return any(
        (row + down - first) % step == 0 and (column + right - left) % step == 0
        for first, left, step in passes[:number]
    )


def qp_bucket(qp: int) -> int:
    """Bucket 0..3 of qp 0..63; each has its own statistics."""
    return qp * QP_BUCKETS // 64


@dataclass
class _Frame:
    """One latent frame and its past, all padded by one position on each side.

    Attributes:
        signs: int8 [bits, H'+2, W'+2], -1 or 1 where decoded, else 0.
        past: the signs of one and two frames earlier; fewer where there are none.
        moved: int8 [H'+2, W'+2], 1 where the last decoded token differs from the one before it.
    """

    signs: _Signs
    past: list[_Signs]
    moved: _Signs

    def view(self, plane: _Signs, where: Pass, move: tuple[int, int] = (0, 0)) -> _Signs:
        """Part of plane [..., H'+2, W'+2] at one pass's positions, moved."""
        row, column, step = where
        height, width = plane.shape[-2:]
        top, left = 1 + row + move[0], 1 + column + move[1]
        return plane[..., top : height - 1 + move[0] : step, left : width - 1 + move[1] : step]


class _Pass:
    """Contexts of one pass over one latent frame."""

    def __init__(self, frame: _Frame, passes: Sequence[Pass], number: int) -> None:
        where = passes[number]
        self._inter = bool(frame.past)
        known = [move for move in _NEIGHBOURS if is_earlier(passes, number, *move)]
        voters = [frame.view(frame.signs, where, move) for move in known]
        self._split = len(voters)
        if self._inter:
            voters += [frame.view(frame.past[0], where, move) for move in _NEIGHBOURS]
            voters += [frame.view(plane, where) for plane in frame.past[1:]]
        target = frame.view(frame.signs, where)
        bits, positions = target.shape[0], target[0].size
        # Signs of all voters, bit by bit: [bits, voters, K].
        self._signs = np.empty((bits, len(voters), *target.shape[1:]), np.int8)
        for place, voter in enumerate(voters):
            self._signs[:, place] = voter
        self._signs = self._signs.reshape(bits, len(voters), positions)
        self._lives = np.full((len(voters), positions), _LIVES, np.int8)
        if self._inter:
            stir = self._stir(frame, where, bool(known))
            self._lives[:, stir == _STIR_LEVELS[0]] = 0
            self._before = frame.view(frame.past[0], where).reshape(bits, positions)
            self._drift = np.zeros(positions, np.uint8)
            self._base = (self._before > 0) + (INTRA_CONTEXTS + stir)
        else:
            self._own = np.zeros((bits + 2, positions), np.int8)

    @staticmethod
    def _stir(frame: _Frame, where: Pass, has_known: bool) -> _Index:
        moved = sum(frame.view(frame.moved, where, move) for move in (*_NEIGHBOURS, (0, 0)))
        levels: _Index = _STIR_LEVELS[np.ravel(moved)]
        return levels if has_known or len(frame.past) > 1 else np.zeros_like(levels)

    def contexts(self, bit: int) -> _Index:
        """Return int64 contexts [K] of one bit, 0 <= context < CONTEXTS."""
        votes = self._lives * self._lives
        votes *= self._signs[bit]
        current = np.add.reduce(votes[: self._split], 0, np.int16)
        if not self._inter:
            own: _Index = self._own[bit + 1] * np.int64(3) + self._own[bit] + 4
            own += _INTRA_LEVELS.take(current)
            return own
        previous = np.add.reduce(votes[self._split :], 0, np.int16)
        context: _Index = self._base[bit] + _CURRENT_LEVELS.take(current)
        context += _PREVIOUS_LEVELS.take(previous)
        context += _DRIFT_LEVELS.take(self._drift)
        return context

    def learn(self, bit: int, signs: _Signs) -> None:
        """Take the bit that contexts() was last asked for, as signs int8 [K] in {-1, 1}."""
        self._lives -= (self._signs[bit] != signs).view(np.int8)
        np.maximum(self._lives, 0, out=self._lives)
        if self._inter:
            self._drift += (self._before[bit] != signs).view(np.uint8)
        else:
            self._own[bit + 2] = signs


def code_tokens(
    shape: tuple[int, int, int], bits: int, coder: Coder, passes: Sequence[Pass] = PASSES
) -> Tokens:
    """Walk a token grid in coding order; return the tokens that coder's answers make up.

    Args:
        shape: T', H', W'.
        bits: bits of one token, 1..24.
        coder: gives the bits, from the tokens when encoding, from the payload when decoding.
        passes: of a latent frame; every position is in one of them.

    Returns:
        uint32 [T', H', W'].
    """
    tokens = np.empty(shape, np.uint32)
    frames = code_frames(shape[1:], bits, coder, passes)
    for place, frame in zip(range(shape[0]), frames, strict=False):
        tokens[place] = frame
    return tokens


def code_frames(
    size: tuple[int, int], bits: int, coder: Coder, passes: Sequence[Pass] = PASSES
) -> Iterator[Tokens]:
    """As `code_tokens`, for grids of `size` H', W': one latent frame's tokens after the other.

    Each is walked when it is asked for, and there is no end to them.
    """
    height, width = size
    moved = np.zeros((height + 2, width + 2), np.int8)
    past: list[_Signs] = []
    for place in count():
        frame = _Frame(np.zeros((bits, height + 2, width + 2), np.int8), past, moved)
        for number in range(len(passes)):
            _code_pass(frame, passes, number, place, coder)
        past = [frame.signs, *past[:1]]
        yield join_bits((frame.signs[:, 1:-1, 1:-1] > 0).view(np.uint8))


def _code_pass(
    frame: _Frame, passes: Sequence[Pass], number: int, place: int, coder: Coder
) -> None:
    where = passes[number]
    target = frame.view(frame.signs, where)
    if not target.size:
        return
    row, column, step = where
    grid = (place, slice(row, None, step), slice(column, None, step))
    model = _Pass(frame, passes, number)
    for bit in range(target.shape[0]):
        coded = coder(bit, grid, model.contexts(bit))
        signs = (coded.view(np.int8) << 1) - np.int8(1)
        model.learn(bit, signs)
        target[bit] = signs.reshape(target.shape[1:])
    if frame.past:
        before = frame.view(frame.past[0], where)
        frame.view(frame.moved, where)[:] = (target != before).any(0)
