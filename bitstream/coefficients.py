"""Planes of transform coefficients under adaptive probabilities by context; both ways.

Coefficients are coded from low to high frequencies, each for all blocks of a plane at once. What
their probabilities go by are magnitudes: of lower frequencies in the same block, and of what is
known of the four blocks around. All arithmetic is on integers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .adaptive import Adaptive, BitPlace, Index
from .bitpack import Bits
from .entropy import PROBABILITY_ONE
from .errors import BadSegment

__all__ = ["AROUND", "BLOCK", "EARLY", "MAX_LEVEL", "RULES", "Chances", "Plane", "Rules", "Walk",
           "above"]

BLOCK = 8
#: Largest magnitude of a coefficient: a step of 1 leaves no more.
MAX_LEVEL = 8 * 2 * 255
#: The four blocks around one.
AROUND = ((-1, 0), (1, 0), (0, -1), (0, 1))
# Lower frequencies first, those of one diagonal from its top.
_ORDER = sorted(np.ndindex(BLOCK, BLOCK), key=lambda place: (sum(place), place[0]))
_PLACES = {place: number for number, place in enumerate(_ORDER)}
# Contexts of frequencies go by the diagonal they lie in.
_BANDS = (0, 1, 2, 3, 3, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5)
# Magnitudes up to this one are told by one bit each.
_UNARY = 15


@dataclass(frozen=True)
class Plane:
    """Blocks of one plane.

    Attributes:
        told: bool [rows, columns], the blocks that are told of.
        levels: int16 [rows, columns, 8, 8], their coefficients in steps, vertical frequencies
            first; zero where nothing is told.
    """

    told: npt.NDArray[np.bool_]
    levels: npt.NDArray[np.int16]


class Known:
    """What is known when a frequency of some blocks is coded.

    Args:
        sizes: magnitudes int16 [frequencies, places], in the order of coding.
        number: of the frequency in that order.
        half: 1 where that of the blocks around is known, else 0.
        at: places of the blocks.
        width: places in a row of blocks.
    """

    def __init__(self, sizes: npt.NDArray[np.int16], number: int, half: int, at: Index,
                 width: int) -> None:
        self.sizes, self.number, self.half, self.at, self.width = sizes, number, half, at, width
        self.diagonal = sum(_ORDER[number])

    def own(self, up: int, left: int) -> Index:
        """Magnitudes of the frequency so much lower, 0 where there is none."""
        return self._at(up, left, self.at)

    def around(self, up: int, left: int) -> Index:
        """The sums of them over the four blocks around."""
        total = np.zeros(len(self.at), np.int64)
        for down, right in AROUND:
            total += self._at(up, left, self.at + down * self.width + right)
        return total

    def before(self, count: int) -> Index:
        """Sums of the frequencies that were coded last."""
        total = np.zeros(len(self.at), np.int64)
        for number in range(max(0, self.number - count), self.number):
            total += self.sizes[number][self.at]
        return total

    def _at(self, up: int, left: int, places: Index) -> Index:
        y, x = _ORDER[self.number]
        number = _PLACES.get((y - up, x - left))
        if number is None:
            return np.zeros(len(places), np.int64)
        found: Index = self.sizes[number][places].astype(np.int64)
        return found


#: Contexts of whether there is a coefficient, of whether it is more than 1, and of whether it goes
#: on from 0, to which the magnitude is added.
Contexts = tuple[Index, Index, Index]


@dataclass(frozen=True)
class Rules:
    """How probabilities of magnitudes are found.

    Attributes:
        some, more, on: first guesses by context, in 1/65536.
        contexts: of some blocks.
    """

    some: Index
    more: Index
    on: Index
    contexts: Callable[[Known], Contexts]


_EVEN = PROBABILITY_ONE // 2
# Of version 4. Sums of magnitudes around: none, 1, 2, 3 and 4, 5 to 8, more.
_EARLY_EDGES = np.array((1, 2, 3, 5, 9))


def _early(known: Known) -> Contexts:
    own = 2 * known.own(1, 0) + 2 * known.own(0, 1) + known.own(1, 1)
    near = known.around(1, 0) + known.around(0, 1)
    if known.half:
        near += 2 * known.around(0, 0)
    own, near = (np.searchsorted(_EARLY_EDGES, sums, "right") for sums in (own, near))
    last = np.minimum(known.before(6), 2)
    band = _BANDS[known.diagonal]
    return ((((known.half * 6 + band) * 6 + own) * 6 + near) * 3 + last, own * 6 + near,
            np.zeros_like(own))


def _early_rules() -> Rules:
    guesses = np.arange(2 * 6 * 6 * 6 * 3)
    near, own = guesses // 3 % 6, guesses // 18 % 6
    some = (3 + 6 * near + 9 * own) * PROBABILITY_ONE // 100
    return Rules(some, np.full(36, _EVEN // 2, np.int64), np.full(_UNARY, _EVEN, np.int64), _early)


# Of later versions. Half octaves of a weighted sum of magnitudes around, and first guesses for
# each, in per cent.
_EDGES = np.array((1, 2, 3, 5, 7, 11, 15, 22, 31, 45, 63, 90, 127, 181, 255, 362, 511, 724))
_SOME = (2, 2, 3, 6, 12, 20, 31, 43, 56, 67, 76, 82, 88, 91, 94, 96, 97, 97, 97)
_MORE = (10, 10, 10, 11, 14, 17, 22, 30, 40, 52, 63, 73, 80, 86, 90, 93, 95, 96, 98)
_ON = (25, 28, 33, 38, 44, 48, 52, 54, 57, 60, 63, 67, 70, 75, 80, 88, 90, 93, 95)
_SUMS = len(_SOME)


def _by_sums(known: Known) -> Contexts:
    total = (4 * (known.own(1, 0) + known.own(0, 1)) + 2 * (known.own(2, 0) + known.own(0, 2))
             + 3 * known.own(1, -1) + known.around(1, 0) + known.around(0, 1))
    if known.half:
        total += 3 * known.around(0, 0)
    size = np.searchsorted(_EDGES, total, "right")
    last = np.searchsorted((1, 3), known.before(14), "right")
    band = _BANDS[known.diagonal]
    part = int(np.searchsorted((1, 4), known.diagonal, "right"))
    return (((known.half * 6 + band) * _SUMS + size) * 3 + last,
            (known.half * 3 + part) * _SUMS + size, size * _UNARY)


def _rules() -> Rules:
    some, more, on = (np.array(guesses) * PROBABILITY_ONE // 100 for guesses in (_SOME, _MORE, _ON))
    return Rules(np.tile(some.repeat(3), 12), np.tile(more, 6), on.repeat(_UNARY), _by_sums)


EARLY, RULES = _early_rules(), _rules()


class Chances:
    """Probabilities of luma's bits, or of those of both chroma planes."""

    def __init__(self, bits: BitPlace, rules: Rules) -> None:
        self.bits, self.contexts = bits, rules.contexts
        self.is_told = Adaptive(bits, np.full(2 * 4 * 3 * 5, _EVEN, np.int64))
        self.is_some = Adaptive(bits, rules.some)
        self.is_more = Adaptive(bits, rules.more)
        self.goes_on = Adaptive(bits, rules.on)

    def even(self, count: int, wanted: Bits | None) -> Bits:
        """Bits that nothing is known of."""
        return self.bits.given(np.full(count, _EVEN, np.int64), wanted)


class Walk:
    """One plane, bit by bit.

    Args:
        chances: of its bits.
        size: rows and columns of blocks.
        luma: which blocks of the luma plane are told of, where this is another one.
    """

    def __init__(self, chances: Chances, size: tuple[int, ...],
                 luma: npt.NDArray[np.bool_] | None = None) -> None:
        self.chances, self.size, self.luma = chances, (size[0], size[1]), luma
        #: What is told, and magnitudes by frequency, for one block more on each side.
        self.told = np.zeros((size[0] + 2, size[1] + 2), np.int64)
        self.sizes = np.zeros((BLOCK * BLOCK, 0), np.int16)

    def run(self, plane: Plane | None = None) -> Plane:
        """Code a plane, or give back the one that was coded."""
        told = self._told(None if plane is None else plane.told)
        rows, columns = np.nonzero(told)
        self.chances.bits.expect(len(rows) * BLOCK * BLOCK)
        self.sizes = np.zeros((BLOCK * BLOCK, self.told.size), np.int16)
        levels = np.zeros((*self.size, BLOCK, BLOCK), np.int16)
        halves = [(rows[(rows + columns) % 2 == side], columns[(rows + columns) % 2 == side])
                  for side in (0, 1)]
        for number, (y, x) in enumerate(_ORDER):
            for half, (r, c) in enumerate(halves):
                if len(r):
                    wanted = None if plane is None else plane.levels[r, c, y, x]
                    at = (r + 1) * self.told.shape[1] + c + 1
                    levels[r, c, y, x] = self._coefficients(number, half, at, wanted)
        return Plane(told, levels)

    def _told(self, wanted: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.bool_]:
        """Which blocks are told of, row by row, every other block first, by how many around are."""
        inner = self.told[1:-1, 1:-1]
        below = np.zeros(self.size, np.int64)
        if self.luma is not None:
            below = self.luma.reshape(self.size[0], 2, self.size[1], 2).sum((1, 3))
        for row in range(self.size[0]):
            for half in (0, 1):
                where = slice(half, None, 2)
                over = sum(self.told[row, x : x + self.size[1]][where] for x in (0, 1, 2))
                beside = sum(self.told[row + 1, x : x + self.size[1]][where] for x in (0, 2))
                contexts = ((half * 4 + over) * 3 + beside) * 5 + below[row, where]
                truth = None if wanted is None else wanted[row, where].astype(np.uint8)
                inner[row, where] = self.chances.is_told.code(contexts, truth)
        return inner.astype(bool)

    def _coefficients(self, number: int, half: int, at: Index,
                      wanted: npt.NDArray[np.int16] | None) -> npt.NDArray[np.int16]:
        """Those of one frequency in half of the blocks, as on a chessboard."""
        known = Known(self.sizes, number, half, at, self.told.shape[1])
        is_some, is_more, goes_on = self.chances.contexts(known)
        levels = None if wanted is None else np.abs(wanted).astype(np.int64)
        some = self.chances.is_some.code(is_some, above(levels, 0))
        sizes = some.astype(np.int64)
        left = np.flatnonzero(some)
        more = self.chances.is_more.code(is_more[left],
                                         above(levels if levels is None else levels[left], 1))
        left = left[more > 0]
        sizes[left] += 1
        for size in range(2, _UNARY):
            if not len(left):
                break
            truth = above(levels if levels is None else levels[left], size)
            more = self.chances.goes_on.code(goes_on[left] + size, truth)
            left = left[more > 0]
            sizes[left] += 1
        if len(left):
            sizes[left] += self._rest(None if levels is None else levels[left] - _UNARY, len(left))
        signs = np.zeros(len(sizes), np.uint8)
        told = np.flatnonzero(sizes)
        negative = None if wanted is None else above(-wanted[told], 0)
        signs[told] = self.chances.even(len(told), negative)
        if int(sizes.max()) > MAX_LEVEL:
            raise _impossible()
        self.sizes[number][at] = sizes
        return np.where(signs > 0, -sizes, sizes).astype(np.int16)

    def _rest(self, wanted: Index | None, count: int) -> Index:
        """Numbers from 0 on: how many bits they have when 1 is added, then these bits."""
        rest = None if wanted is None else wanted + 1
        width = np.zeros(count, np.int64)
        left = np.arange(count)
        while len(left):
            if int(width.max()) > MAX_LEVEL.bit_length():
                raise _impossible()
            bits = None if rest is None else rest[left] >> width[left]
            more = self.chances.even(len(left), above(bits, 1))
            left = left[more > 0]
            width[left] += 1
        value = np.ones(count, np.int64)
        for shift in range(int(width.max(initial=0)) - 1, -1, -1):
            on = np.flatnonzero(width > shift)
            bits = None if rest is None else (rest[on] >> shift & 1)
            value[on] = value[on] * 2 + self.chances.even(len(on), above(bits, 0))
        return value - 1


def above(values: npt.NDArray[np.integer] | None, least: int) -> Bits | None:
    """Which values are above another one, where they are known."""
    return None if values is None else (values > least).astype(np.uint8)


def _impossible() -> BadSegment:
    return BadSegment("a background has impossible coefficients; get another copy of the file")
