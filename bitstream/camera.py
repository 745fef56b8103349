"""How a camera has moved since a background's reference: where the corners of the picture went.

In each picture of a segment those of the reference are somewhere else; the four of them tell a
homography, which takes all of the reference there.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .adaptive import Adaptive, BitPlace, Index
from .coefficients import above
from .entropy import PROBABILITY_ONE
from .errors import BadSegment

__all__ = ["MAX_MOVE", "code_moves", "is_plausible"]

# Moves are in this part of a pixel.
_UNIT = 16
MAX_MOVE = 32767
# Most bits of a number that is coded.
_WIDEST = 22
# The first corner, the two beside it, and the one across from it have contexts of their own.
_KINDS = np.array((0, 1, 1, 2))
_EVEN = PROBABILITY_ONE // 2


def _corners(width: int, height: int) -> Index:
    """Positions (x, y) of a picture's corners in units of moves, int64 [4, 2]: above, left and
    right, then below."""
    return np.array([[0, 0], [width, 0], [0, height], [width, height]], np.int64) * _UNIT


def is_plausible(moves: npt.NDArray[np.int16], width: int, height: int) -> bool:
    """Whether the corners [P, 4, 2] still go around the picture the same way, in each picture: all
    four triangles of three of them have an eighth of the area that they had, or more."""
    there = (_corners(width, height) + moves.astype(np.int64))[:, [0, 1, 3, 2]]
    ahead, behind = (np.roll(there, n, 1) - there for n in (-1, 1))
    areas = ahead[..., 0] * behind[..., 1] - ahead[..., 1] * behind[..., 0]
    return bool((8 * areas >= width * height * _UNIT**2).all())


def code_moves(bits: BitPlace, pictures: int,
               wanted: npt.NDArray[np.int16] | None = None) -> npt.NDArray[np.int16]:
    """Moves of the corners in so many pictures, int16 [P, 4, 2], both ways.

    Each corner is expected to stay or to go on as far as it went last, whichever the file says; of
    the others it is coded what they are off more than the first, or than their neighbours.

    Raises:
        BadSegment: they are out of range.
    """
    steady = _one(bits, None if wanted is None else _goes_on(wanted))
    left = None
    if wanted is not None:
        off = wanted.astype(np.int64)
        for _ in range(1 + steady):
            off[1:] -= off[:-1].copy()
        left = _apart(off)
    found = _together(_numbers(bits, pictures, left))
    for _ in range(1 + steady):
        found = found.cumsum(0)
    if np.abs(found).max(initial=0) > MAX_MOVE:
        raise _impossible()
    return found.astype(np.int16)


def _one(bits: BitPlace, wanted: bool | None) -> int:
    truth = None if wanted is None else np.array([wanted], np.uint8)
    return int(bits.given(np.array([_EVEN]), truth)[0])


def _goes_on(moves: npt.NDArray[np.int16]) -> bool:
    """Whether going on is nearer to what comes next than staying."""
    off = [np.abs(np.diff(moves.astype(np.int64), n, 0)).sum() for n in (1, 2)]
    return bool(off[1] < off[0])


def _apart(off: Index) -> Index:
    """What corners are off -> what is coded: of the first all, of those beside it what they have
    more, of the last what those two do not say."""
    a, b, c, d = off.swapaxes(0, 1)
    return np.stack((a, b - a, c - a, d - b - c + a), 1)


def _together(coded: Index) -> Index:
    a, b, c, d = coded.swapaxes(0, 1)
    return np.stack((a, a + b, a + c, a + b + c + d), 1)


def _numbers(bits: BitPlace, pictures: int, wanted: Index | None) -> Index:
    """Whole numbers [P, 4, 2]: how many bits their magnitudes have, by corner; these bits, high to
    low, but for the first; and signs."""
    count = pictures * 8
    kinds = np.tile(_KINDS.repeat(2), pictures)
    flat = None if wanted is None else wanted.reshape(-1)
    sizes = None if flat is None else np.abs(flat)
    code = Adaptive(bits, np.full(3 * _WIDEST, _EVEN, np.int64))
    width, left = np.zeros(count, np.int64), np.arange(count)
    while len(left):
        at = int(width[left[0]])
        if at == _WIDEST:
            raise _impossible()
        more = code.code(kinds[left] * _WIDEST + at,
                         above(None if sizes is None else sizes[left] >> at, 0))
        left = left[more > 0]
        width[left] += 1
    found = np.minimum(width, 1)
    for shift in range(int(width.max(initial=0)) - 2, -1, -1):
        on = np.flatnonzero(width > shift + 1)
        truth = above(None if sizes is None else sizes[on] >> shift & 1, 0)
        found[on] = found[on] * 2 + bits.given(np.full(len(on), _EVEN), truth)
    some = np.flatnonzero(found)
    truth = above(None if flat is None else -flat[some], 0)
    negative = bits.given(np.full(len(some), _EVEN), truth)
    found[some[negative > 0]] *= -1
    return found.reshape(pictures, 4, 2)


def _impossible() -> BadSegment:
    return BadSegment("a background has impossible moves; get another copy of the file")
