"""What stands still in a segment: a picture of it, as blocks of transform coefficients.

A background is told as the difference to a decoded picture of its segment, the last of `turn`. Luma
and both chroma planes (at half the size) are cut into blocks of 8x8 pixels; the discrete cosine
transform of each is divided by a step and rounded. What is not told of is not background.

Coefficients are coded from low to high frequencies, each for all blocks of a plane at once, under
adaptive probabilities by context: magnitudes of lower frequencies in the same block, and what is
known of the four blocks around. All arithmetic is on integers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .adaptive import Adaptive, BitPlace, Index, Sink, Source
from .bitpack import Bits
from .entropy import PROBABILITY_ONE
from .errors import BadSegment
from .header import Header
from .segment import Segment

__all__ = ["MAX_LEVEL", "MAX_STEP", "Background", "Plane", "background_of", "plane_sizes"]

BLOCK = 8
MAX_STEP = 63
#: Pictures wait for the reference: it is in one of so many first latent frames.
MAX_TURNS = 16
#: Largest magnitude of a coefficient: a step of 1 leaves no more.
MAX_LEVEL = 8 * 2 * 255
_FIXED = struct.Struct("<HB")
# Of the byte that holds the step.
_HAS_MAPS = 0x80
# Lower frequencies first, those of one diagonal from its top.
_ORDER = sorted(np.ndindex(BLOCK, BLOCK), key=lambda place: (sum(place), place[0]))
_PLACES = {place: number for number, place in enumerate(_ORDER)}
# Contexts of frequencies go by the diagonal they lie in.
_BANDS = (0, 1, 2, 3, 3, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5)
# Sums of magnitudes around: none, 1, 2, 3 and 4, 5 to 8, more.
_LEVELS = np.searchsorted((1, 2, 3, 5, 9), np.arange(64), side="right")
_AROUND = ((-1, 0), (1, 0), (0, -1), (0, 1))
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


@dataclass(frozen=True)
class Background:
    """A background as files have it.

    Attributes:
        turn: latent frame whose last picture the planes are added to, 0..15 in files.
        step: of the coefficients, in eighths of an octave, 0..63: `step_size` levels of 8 bits.
        planes: luma, blue and red difference.
        shown: bool [T', rows, columns], for each latent frame the luma blocks that are told of and
            shown whatever is decoded there; None where nothing is said of that.
    """

    turn: int
    step: int
    planes: tuple[Plane, Plane, Plane]
    shown: npt.NDArray[np.bool_] | None = None

    @property
    def step_size(self) -> float:
        """Step of the coefficients, 1 to 235, in levels of 8 bits."""
        return float(2 ** (self.step / 8))

    def pack(self) -> bytes:
        """Return its bytes.

        Raises:
            ValueError: a field, or a coefficient, is out of range.
        """
        if not 0 <= self.turn < 1 << 16 or not 0 <= self.step <= MAX_STEP:
            raise ValueError(f"turn {self.turn} or step {self.step} is out of range")
        if any(_largest(plane.levels) > MAX_LEVEL for plane in self.planes):
            raise ValueError(f"a coefficient is above {MAX_LEVEL} steps; use a larger step")
        sink = Sink()
        luma, *chroma = self.planes
        _Walk(_Chances(sink), luma.told.shape).run(luma)
        chances = _Chances(sink)
        for plane in chroma:
            _Walk(chances, plane.told.shape, luma.told).run(plane)
        if self.shown is not None:
            _maps(sink, luma.told, len(self.shown), self.shown)
        steps = self.step | (0 if self.shown is None else _HAS_MAPS)
        return _FIXED.pack(self.turn, steps) + sink.encoder.finish()

    @classmethod
    def parse(cls, data: bytes, width: int, height: int, turns: int = 1) -> Background:
        """Read the bytes of a background of pictures of a size, of a segment of so many latent
        frames.

        Raises:
            BadSegment, BadTokens: they are damaged.
        """
        if len(data) < _FIXED.size:
            raise _bad("is cut short")
        turn, steps = _FIXED.unpack_from(data)
        step = steps & ~_HAS_MAPS
        body = data[_FIXED.size :]
        sizes = plane_sizes(width, height)
        if step > MAX_STEP or len(body) % 4:
            raise _bad("has impossible fields")
        source = Source(body)
        source.expect(sum(rows * columns for rows, columns in sizes))
        luma = _Walk(_Chances(source), sizes[0]).run()
        chances = _Chances(source)
        blue, red = (_Walk(chances, size, luma.told).run() for size in sizes[1:])
        shown = None
        if steps & _HAS_MAPS:
            source.expect(turns * int(luma.told.sum()))
            shown = _maps(source, luma.told, turns)
        source.decoder.finish()
        return cls(turn, step, (luma, blue, red), shown)


def background_of(segment: Segment, header: Header) -> Background | None:
    """A segment's background, None where it has none.

    Raises:
        BadSegment, BadTokens: it is damaged.
    """
    if not segment.background:
        return None
    turns = header.token_shape(segment.frame_count, segment.spacing)[0]
    background = Background.parse(segment.background, header.width, header.height, turns)
    if background.turn >= min(turns, MAX_TURNS):
        raise _bad("stands on a picture that its segment does not have, or too late")
    return background


def plane_sizes(width: int, height: int) -> tuple[tuple[int, int], ...]:
    """Rows and columns of blocks of the three planes of pictures of a size."""
    rows, columns = -(-height // (2 * BLOCK)), -(-width // (2 * BLOCK))
    return (2 * rows, 2 * columns), (rows, columns), (rows, columns)


class _Chances:
    """Probabilities of luma's bits, or of those of both chroma planes."""

    def __init__(self, bits: BitPlace) -> None:
        self.bits = bits
        guesses = np.arange(2 * 6 * 6 * 6 * 3)
        near, own = guesses // 3 % 6, guesses // 18 % 6
        some = (3 + 6 * near + 9 * own) * PROBABILITY_ONE // 100
        even = PROBABILITY_ONE // 2
        self.is_told = Adaptive(bits, np.full(2 * 4 * 3 * 5, even, np.int64))
        self.is_some = Adaptive(bits, some)
        self.is_more = Adaptive(bits, np.full(36, even // 2, np.int64))
        self.goes_on = Adaptive(bits, np.full(_UNARY, even, np.int64))

    def even(self, count: int, wanted: Bits | None) -> Bits:
        """Bits that nothing is known of."""
        return self.bits.given(np.full(count, PROBABILITY_ONE // 2, np.int64), wanted)


class _Walk:
    """One plane, bit by bit.

    Args:
        chances: of its bits.
        size: rows and columns of blocks.
        luma: which blocks of the luma plane are told of, where this is another one.
    """

    def __init__(self, chances: _Chances, size: tuple[int, ...],
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
                above = sum(self.told[row, x : x + self.size[1]][where] for x in (0, 1, 2))
                beside = sum(self.told[row + 1, x : x + self.size[1]][where] for x in (0, 2))
                contexts = ((half * 4 + above) * 3 + beside) * 5 + below[row, where]
                truth = None if wanted is None else wanted[row, where].astype(np.uint8)
                inner[row, where] = self.chances.is_told.code(contexts, truth)
        return inner.astype(bool)

    def _coefficients(self, number: int, half: int, at: Index,
                      wanted: npt.NDArray[np.int16] | None) -> npt.NDArray[np.int16]:
        """Those of one frequency in half of the blocks, as on a chessboard."""
        own, near, last = self._contexts(number, half, at)
        band = _BANDS[sum(_ORDER[number])]
        levels = None if wanted is None else np.abs(wanted).astype(np.int64)
        some = self.chances.is_some.code((((half * 6 + band) * 6 + own) * 6 + near) * 3 + last,
                                 _above(levels, 0))
        sizes = some.astype(np.int64)
        left = np.flatnonzero(some)
        more = self.chances.is_more.code(own[left] * 6 + near[left],
                                 _above(levels if levels is None else levels[left], 1))
        left = left[more > 0]
        sizes[left] += 1
        for size in range(2, _UNARY):
            if not len(left):
                break
            more = self.chances.goes_on.code(np.full(len(left), size),
                                     _above(levels if levels is None else levels[left], size))
            left = left[more > 0]
            sizes[left] += 1
        if len(left):
            sizes[left] += self._rest(None if levels is None else levels[left] - _UNARY, len(left))
        signs = np.zeros(len(sizes), np.uint8)
        told = np.flatnonzero(sizes)
        negative = None if wanted is None else _above(-wanted[told], 0)
        signs[told] = self.chances.even(len(told), negative)
        if int(sizes.max()) > MAX_LEVEL:
            raise _bad("has impossible coefficients")
        self.sizes[number][at] = sizes
        return np.where(signs > 0, -sizes, sizes).astype(np.int16)

    def _contexts(self, number: int, half: int, at: Index) -> tuple[Index, Index, Index]:
        """What is known of a frequency: levels 0..5 of the block's own lower frequencies beside it
        and of the blocks around, and 0..2 of what was coded last."""
        y, x = _ORDER[number]
        lower = [_PLACES[p] for p in ((y - 1, x), (y, x - 1)) if min(p) >= 0]
        corner = [_PLACES[y - 1, x - 1]] if min(y, x) > 0 else []
        own = self._sum([*lower, *lower, *corner], at)
        near = np.zeros(len(at), np.int64)
        for down, right in _AROUND:
            beside = at + down * self.told.shape[1] + right
            near += self._sum([*lower, *[number] * 2 * half], beside)
        last = self._sum(range(max(0, number - 6), number), at)
        return _LEVELS[np.minimum(own, 63)], _LEVELS[np.minimum(near, 63)], np.minimum(last, 2)

    def _sum(self, numbers: Iterable[int], at: Index) -> Index:
        """Sum of some frequencies' magnitudes."""
        total = np.zeros(len(at), np.int64)
        for number in numbers:
            total += self.sizes[number][at]
        return total

    def _rest(self, wanted: Index | None, count: int) -> Index:
        """Numbers from 0 on: how many bits they have when 1 is added, then these bits."""
        rest = None if wanted is None else wanted + 1
        width = np.zeros(count, np.int64)
        left = np.arange(count)
        while len(left):
            if int(width.max()) > MAX_LEVEL.bit_length():
                raise _bad("has impossible coefficients")
            bits = None if rest is None else rest[left] >> width[left]
            more = self.chances.even(len(left), _above(bits, 1))
            left = left[more > 0]
            width[left] += 1
        value = np.ones(count, np.int64)
        for shift in range(int(width.max(initial=0)) - 1, -1, -1):
            on = np.flatnonzero(width > shift)
            bits = None if rest is None else (rest[on] >> shift & 1)
            value[on] = value[on] * 2 + self.chances.even(len(on), _above(bits, 0))
        return value - 1


def _largest(levels: npt.NDArray[np.int16]) -> int:
    """Magnitude of the largest, as an integer of Python: -32768 has none in 16 bits."""
    return max(int(levels.max(initial=0)), -int(levels.min(initial=0)))


def _maps(bits: BitPlace, told: npt.NDArray[np.bool_], turns: int,
          wanted: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.bool_]:
    """Which of the blocks that are told of are shown, bool [turns, rows, columns].

    Of each turn one half is coded first, as on a chessboard, by what was shown at and around each
    block a turn before, and then the other, by what is shown around it.
    """
    later, before = np.arange(40) // 20, np.arange(40) // 5 % 2
    code = Adaptive(bits, (8 + later * (14 * before - 7)) * PROBABILITY_ONE // 16)
    rows, columns = np.nonzero(told)
    width = told.shape[1] + 2
    places = (rows + 1) * width + columns + 1
    odd = (rows + columns) % 2
    now = np.zeros((told.shape[0] + 2) * width, np.int64)
    shown = np.zeros((turns, *told.shape), bool)
    for turn in range(turns):
        last = now.copy()
        for half in (0, 1):
            at = places[odd == half]
            around = sum(((now if half else last)[at + down * width + right]
                          for down, right in _AROUND), np.zeros(len(at), np.int64))
            truth = None
            if wanted is not None:
                truth = wanted[turn][rows[odd == half], columns[odd == half]].astype(np.uint8)
            now[at] = code.code(((turn > 0) * 4 + half * 2 + last[at]) * 5 + around, truth)
        shown[turn, rows, columns] = now[places]
    return shown


def _above(values: npt.NDArray[np.integer] | None, least: int) -> Bits | None:
    return None if values is None else (values > least).astype(np.uint8)


def _bad(what: str) -> BadSegment:
    return BadSegment(f"a background {what}; get another copy of the file")
