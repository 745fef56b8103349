"""What stands still in a segment: a picture of it, as blocks of transform coefficients.

A background is told as the difference to a decoded picture of its segment, the last of `turn`. Luma
and both chroma planes (at half the size) are cut into blocks of 8x8 pixels; the discrete cosine
transform of each is divided by a step and rounded. What is not told of is not background.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .adaptive import Adaptive, BitPlace, Sink, Source
from .camera import code_moves, is_plausible
from .coefficients import AROUND, BLOCK, EARLY, MAX_LEVEL, RULES, Chances, Plane, Walk
from .entropy import PROBABILITY_ONE
from .errors import BadSegment
from .header import BACKGROUNDS, EARLY_BACKGROUNDS, FADING_BACKGROUNDS, Header
from .segment import Segment

__all__ = ["MAX_LEVEL", "MAX_STEP", "MAX_TURNS", "Background", "Plane", "background_of",
           "plane_sizes"]

MAX_STEP = 63
#: Pictures wait for the reference: it is in one of so many first latent frames.
MAX_TURNS = 16
_FIXED = struct.Struct("<BBB")
# Of the byte that holds the step.
_HAS_MAPS, _HAS_MOVES = 0x80, 0x40


@dataclass(frozen=True)
class Background:
    """A background as files have it.

    Attributes:
        turn: latent frame whose last picture the planes are added to, 0..15.
        step: of the coefficients, in eighths of an octave, 0..63: `step_size` levels of 8 bits.
        planes: luma, blue and red difference.
        shown: bool [T', rows, columns], for each latent frame the luma blocks that are told of and
            shown whatever is decoded there; None where nothing is said of that.
        fade: 0, or the diagonal of frequencies at which half of the reference is taken, in
            sixteenths, up to 255: of higher ones less, of lower ones more.
        moves: int16 [P, 4, 2], for each coded picture how far the corners of the reference have
            gone in it, in 1/16 pixel (x, y): those above, left and right, then those below; None
            where the camera stands still.
    """

    turn: int
    step: int
    planes: tuple[Plane, Plane, Plane]
    shown: npt.NDArray[np.bool_] | None = None
    fade: int = 0
    moves: npt.NDArray[np.int16] | None = None

    @property
    def step_size(self) -> float:
        """Step of the coefficients, 1 to 235, in levels of 8 bits."""
        return float(2 ** (self.step / 8))

    def pack(self) -> bytes:
        """Return its bytes.

        Raises:
            ValueError: a field, or a coefficient, is out of range.
        """
        if not 0 <= self.turn < MAX_TURNS or not 0 <= self.step <= MAX_STEP:
            raise ValueError(f"turn {self.turn} or step {self.step} is out of range")
        if not 0 <= self.fade < 256:
            raise ValueError(f"fade {self.fade} is out of range")
        if any(_largest(plane.levels) > MAX_LEVEL for plane in self.planes):
            raise ValueError(f"a coefficient is above {MAX_LEVEL} steps; use a larger step")
        sink = Sink()
        luma, *chroma = self.planes
        rules = RULES if self.fade else EARLY
        Walk(Chances(sink, rules), luma.told.shape).run(luma)
        chances = Chances(sink, rules)
        for plane in chroma:
            Walk(chances, plane.told.shape, luma.told).run(plane)
        if self.shown is not None:
            _maps(sink, luma.told, len(self.shown), self.shown)
        if self.moves is not None:
            code_moves(sink, len(self.moves), self.moves)
        steps = (self.step | (0 if self.shown is None else _HAS_MAPS)
                 | (0 if self.moves is None else _HAS_MOVES))
        return _FIXED.pack(self.turn, self.fade, steps) + sink.encoder.finish()

    @classmethod
    def parse(cls, data: bytes, width: int, height: int, turns: int = 1, pictures: int = 1,
              latest: int = BACKGROUNDS) -> Background:
        """Read the bytes of a background of pictures of a size, of a segment of so many latent
        frames and coded pictures, of the `latest` kind or an earlier one.

        Raises:
            BadSegment, BadTokens: they are damaged.
        """
        if len(data) < _FIXED.size:
            raise _bad("is cut short")
        turn, fade, steps = _FIXED.unpack_from(data)
        step = steps & ~(_HAS_MAPS | _HAS_MOVES)
        body = data[_FIXED.size :]
        sizes = plane_sizes(width, height)
        if turn >= MAX_TURNS or len(body) % 4:
            raise _bad("has impossible fields")
        kind = (BACKGROUNDS if steps & _HAS_MOVES else
                FADING_BACKGROUNDS if fade else EARLY_BACKGROUNDS)
        if kind > latest:
            raise _bad("is of a later version than its file")
        source = Source(body)
        source.expect(sum(rows * columns for rows, columns in sizes))
        rules = RULES if fade else EARLY
        luma = Walk(Chances(source, rules), sizes[0]).run()
        chances = Chances(source, rules)
        blue, red = (Walk(chances, size, luma.told).run() for size in sizes[1:])
        shown = None
        if steps & _HAS_MAPS:
            source.expect(turns * int(luma.told.sum()))
            shown = _maps(source, luma.told, turns)
        moves = None
        if steps & _HAS_MOVES:
            source.expect(8 * pictures)
            moves = code_moves(source, pictures)
            if not is_plausible(moves, width, height):
                raise _bad("has a camera that turns the picture over")
        source.decoder.finish()
        return cls(turn, step, (luma, blue, red), shown, fade, moves)


def background_of(segment: Segment, header: Header) -> Background | None:
    """A segment's background, None where it has none.

    Raises:
        BadSegment, BadTokens: it is damaged.
    """
    if not segment.background:
        return None
    turns = header.token_shape(segment.frame_count, segment.spacing)[0]
    pictures = header.pictures_of(turns, segment.spacing)
    background = Background.parse(segment.background, header.width, header.height, turns, pictures,
                                  header.backgrounds)
    if background.turn >= turns:
        raise _bad("stands on a picture that its segment does not have")
    return background


def plane_sizes(width: int, height: int) -> tuple[tuple[int, int], ...]:
    """Rows and columns of blocks of the three planes of pictures of a size."""
    rows, columns = -(-height // (2 * BLOCK)), -(-width // (2 * BLOCK))
    return (2 * rows, 2 * columns), (rows, columns), (rows, columns)


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
                          for down, right in AROUND), np.zeros(len(at), np.int64))
            truth = None
            if wanted is not None:
                truth = wanted[turn][rows[odd == half], columns[odd == half]].astype(np.uint8)
            now[at] = code.code(((turn > 0) * 4 + half * 2 + last[at]) * 5 + around, truth)
        shown[turn, rows, columns] = now[places]
    return shown


def _bad(what: str) -> BadSegment:
    return BadSegment(f"a background {what}; get another copy of the file")
