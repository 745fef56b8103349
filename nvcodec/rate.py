"""From a wished rate to qp: where a file may land, a search over real sizes, and steering.

qp is a real number from `least` (best) to 63 (smallest). Nothing here knows video or networks.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean

from nvcodec.usual import HAIR, Usual

MAX_QP = 63.0
#: A search ends within GOOD of the wish (relative); a file has met it within FAIR.
GOOD, FAIR = 0.01, 0.02
#: Octaves of rate for one qp step, until measurements say better, and what is believed of those.
TYPICAL_SLOPE = 0.05
SLOPES = (0.01, 0.2)
#: By how many octaves sizes may fall where they usually fall by one. Steps outwards go so much too
#: far, and are never smaller, in octaves.
STEEPNESS = (0.05, 5.0)
OVERSHOOT, LEAST_STEP = 1.1, 0.02
#: (octaves that sizes usually are, octaves above the aim).
Point = tuple[float, float]


@dataclass(frozen=True)
class Band:
    """Sizes low..high that will do, in any unit; `strict`: rather too small than above high."""

    low: float
    high: float
    strict: bool = False

    @property
    def aim(self) -> float:
        """The middle; never below a byte, so that its logarithm exists."""
        return max((self.low + self.high) / 2, 1e-9)

    def holds(self, size: float) -> bool:
        """Whether a size will do."""
        return self.low <= size <= self.high

    def less(self, taken: float) -> Band:
        """What is left for the rest when `taken` is spent."""
        return Band(self.low - taken, self.high - taken, self.strict)

    def octaves(self, size: float) -> float:
        """How far above the aim a size is."""
        return math.log2(max(size, 1e-9) / self.aim)


@dataclass(frozen=True)
class Goal:
    """What a file shall come to: `size` bytes with its audio, else `bpp` bits/pixel without."""

    bpp: float | None = None
    size: int | None = None

    def band(self, pixels: int, audio_bytes: int = 0) -> Band:
        """Bytes of everything but audio that meet the goal, for a file of so many pixels."""
        if self.size is not None:
            return Band((1 - GOOD) * self.size, self.size, strict=True).less(audio_bytes)
        wished = (self.bpp or 0.0) * pixels / 8
        return Band((1 - GOOD) * wished, (1 + GOOD) * wished)

    def miss(self, file_bytes: int, audio_bytes: int, pixels: int) -> float:
        """How far a finished file is off, relative: above 0 is too large."""
        if self.size is not None:
            return file_bytes / self.size - 1
        return 8 * (file_bytes - audio_bytes) / pixels / (self.bpp or 1.0) - 1

    def is_met(self, miss: float) -> bool:
        """Whether that is near enough; a size is a limit."""
        return -FAIR <= miss <= (FAIR if self.size is None else 0.0)


class QpSearch:
    """Finds the qp whose size lies in a band: ask what to try, tell what it took.

    Sizes are taken to fall with qp on the whole, not at each step, and much as they usually do:
    where they do exactly so, the second is right. Within a bracket it goes by interpolation of
    the logarithm: a line through its ends, a parabola where a third point shows a mild bend, and
    two thirds of the way to the middle where it shows a strong one. Every size told is kept in
    `seen`.

    Args:
        band: sizes that end the search.
        start: the first qp to try.
        frames: of a segment.
        most: sizes told before it gives up.
        least: the lowest qp. Where it is below 0, sizes leap there: nothing lies between those of
            0 and of a hair less.
    """

    def __init__(self, band: Band, start: float, frames: float, most: int = 12,
                 least: float = 0.0) -> None:
        self.band, self.most, self.least = band, most, least
        self.usual = Usual(frames)
        self.seen: dict[float, float] = {}
        self.start = self._unseen(clamp_qp(start, least))

    def tell(self, qp: float, size: float) -> None:
        """Note what a qp took."""
        self.seen[qp] = size

    def ask(self) -> float | None:
        """The qp to try next; None when there is nothing more to gain."""
        if not self.seen:
            return self.start
        if len(self.seen) >= self.most or any(map(self.band.holds, self.seen.values())):
            return None
        errors = sorted(map(self._point, self.seen))
        pairs = [(a, b) for a, b in pairwise(errors) if (a[1] > 0) != (b[1] > 0)]
        if not pairs:
            there = self._outwards(errors)
        else:
            falling = [(a, b) for a, b in pairs if a[1] > 0]
            a, b = min(falling or pairs, key=lambda p: abs(p[0][1]) + abs(p[1][1]))
            there = self._between(a, b, errors)
        return None if there is None else self._unseen(clamp_qp(self.usual.qp(there), self.least))

    @property
    def best(self) -> float:
        """The qp told of that comes nearest to the band; a strict one is kept to if possible."""
        sizes, band = self.seen, self.band
        fitting = [q for q in sizes if sizes[q] <= band.high]
        if band.strict:
            return (max(fitting, key=lambda q: sizes[q]) if fitting
                    else min(sizes, key=lambda q: sizes[q]))
        return min(sizes, key=lambda q: abs(band.octaves(sizes[q])))

    def measured_slope(self) -> float:
        """Octaves of size for one qp step at the best: what is usual there, times how much more or
        less sizes fell between it and its neighbour."""
        near = sorted(sorted(self.seen, key=lambda q: abs(q - self.best))[:2])
        steepness = _steepness([self._point(q) for q in near])
        above = min(self.best + 1, MAX_QP)
        usual = self.usual.octaves(above) - self.usual.octaves(above - 1)
        return min(max(steepness * usual, SLOPES[0]), SLOPES[1])

    def _point(self, qp: float) -> Point:
        return self.usual.octaves(qp), self.band.octaves(self.seen[qp])

    def _unseen(self, qp: float) -> float | None:
        """A qp to try; where it lies in the leap below 0, one of the two sides."""
        asked = (0.0, -HAIR) if -HAIR <= qp < 0 else (qp,)
        return next((q for q in asked if q not in self.seen), None)

    def _outwards(self, errors: list[Point]) -> float | None:
        """All were too large, or all too small: go on to that side, somewhat too far."""
        sign = 1 if errors[0][1] > 0 else -1
        there, error = errors[-1] if sign > 0 else errors[0]
        if there == self.usual.octaves(MAX_QP if sign > 0 else self.least):
            return None
        step = OVERSHOOT * abs(error) / _steepness(errors[::-sign])
        return there + sign * max(step, LEAST_STEP)

    def _between(self, a: Point, b: Point, errors: list[Point]) -> float | None:
        width = b[0] - a[0]
        if a[0] < self.usual.octaves(0.0) <= b[0]:
            return self.usual.octaves(-HAIR / 2)
        if self.usual.qp(b[0]) - self.usual.qp(a[0]) < 1e-3:  # a jump: nothing lies between
            return None
        there = a[0] + width * a[1] / (a[1] - b[1])
        outside = [e for e in errors if not a[0] <= e[0] <= b[0]]
        if outside:
            third = min(outside, key=lambda e: min(abs(e[0] - a[0]), abs(e[0] - b[0])))
            near, far = (a, b) if third[0] < a[0] else (b, a)
            there = _curved(near, far, third) if _bends_mildly(near, far, third) else (
                (there + 2 * self._middle(a[0], b[0])) / 3)
        return min(max(there, a[0] + 0.04 * width), b[0] - 0.04 * width)

    def _middle(self, a: float, b: float) -> float:
        """Half way between two places by qp: where sizes do not fall as usual, that halves most."""
        return self.usual.octaves((self.usual.qp(a) + self.usual.qp(b)) / 2)


@dataclass
class RateControl:
    """Steers qp from segment to segment so that the whole comes to `target`, without pumping.

    A segment's hardness is the rate that it would have at qp 0. The next segments are taken to be
    as hard as the last ones on average, and later parts of the source as their samples were, times
    what the samples so far were off. What was over- or underspent is made good over all that is
    left, or over HORIZON segments where nobody knows how much that is.

    Attributes:
        target: wished bits per pixel of everything but audio.
        qp: the choice for the next segment.
        total: pixels of the whole source, None where unknown.
        slope: octaves of rate lost for each qp step.
        bits: spent so far (what the container takes included), for `pixels`.
        least: the lowest qp.
    """

    HORIZON = 6
    #: Segments whose mean stands for the next ones.
    RECENT = 4
    #: The most that qp moves from one segment to the next.
    STEP = 2.0

    target: float
    qp: float
    total: float | None = None
    slope: float = TYPICAL_SLOPE
    bits: float = 0.0
    least: float = 0.0
    pixels: float = field(default=0.0, init=False)
    _samples: list[float] = field(default_factory=list, init=False)
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=RateControl.RECENT),
                                  init=False)
    _found: float = field(default=0.0, init=False)
    _promised: float = field(default=0.0, init=False)

    @property
    def first_rate(self) -> float:
        """Bits per pixel for the segments, before there is one."""
        return self._wanted(self.total) if self.total else self.target

    def learn(self, qp: float, slope: float, rates: Iterable[float]) -> None:
        """Take over a search on evenly spread samples: the qp it chose, each sample's bpp there."""
        self.qp, self.slope = qp, slope
        self._samples = [self._hardness(rate) for rate in rates]
        self._recent.append(fmean(self._samples))

    def add(self, bits: float, pixels: float) -> None:
        """Tell what a segment coded at `qp` took; moves `qp` for the next."""
        hardness = self._hardness(bits / pixels)
        if self.total and self._samples:
            part = min(int(len(self._samples) * self.pixels / self.total), len(self._samples) - 1)
            self._promised += self._samples[part]
            self._found += hardness
        self.bits += bits
        self.pixels += pixels
        self._recent.append(hardness)
        left = self.HORIZON * pixels if self.total is None else self.total - self.pixels
        left = max(left, pixels)
        ideal = math.log2(self._expected(left, pixels) / self._wanted(left)) / self.slope
        self.qp = clamp_qp(min(max(ideal, self.qp - self.STEP), self.qp + self.STEP), self.least)

    def _expected(self, left: float, pixels: float) -> float:
        """Mean hardness of the `left` pixels to come; segments have `pixels`."""
        near = fmean(self._recent)
        if self.total is None or not self._samples:
            return near
        length = self.total / len(self._samples)
        start = min(self.pixels + self.RECENT * pixels, self.total)
        mean = fmean(self._samples)  # a promise of its own until segments have shown how good
        bias = (self._found + 2 * mean) / (self._promised + 2 * mean)
        spent = near * max(start - self.pixels, pixels)
        for i, hardness in enumerate(self._samples):
            spent += bias * hardness * max((i + 1) * length - max(start, i * length), 0.0)
        return spent / left

    def _wanted(self, left: float) -> float:
        """Bits per pixel that `left` pixels may take for the whole to come out."""
        wanted = (self.target * (self.pixels + left) - self.bits) / left
        return min(max(wanted, self.target / 3), self.target * 3)

    def _hardness(self, bpp: float) -> float:
        return max(bpp, 1e-9) * 2 ** (self.slope * self.qp)


def clamp_qp(qp: float, least: float) -> float:
    """The nearest qp there is."""
    return min(max(float(qp), least), MAX_QP)


def first_qp(bpp: float, frames: float, least: float) -> float:
    """The qp at which segments of so many frames usually take a rate."""
    return clamp_qp(Usual(frames).qp(-math.log2(max(bpp, 1e-9))), least)


def _steepness(outermost: list[Point]) -> float:
    """Octaves that sizes fall for one that they usually do, between the outermost two points."""
    if len(outermost) < 2:
        return 1.0
    (a, above), (b, below) = outermost[:2]
    return min(max((above - below) / ((b - a) or 1.0), STEEPNESS[0]), STEEPNESS[1])


def _bends_mildly(near: Point, far: Point, third: Point) -> bool:
    """Whether a parabola octaves(error) through three points runs one way inside near..far.

    Chandrupatla's test for a bracket; `third` lies beyond `near`.
    """
    x = (near[0] - far[0]) / (third[0] - far[0])
    if third[1] == far[1]:
        return False
    y = (near[1] - far[1]) / (third[1] - far[1])
    return y * y < x and (1 - y) ** 2 < 1 - x


def _curved(*points: Point) -> float:
    """Where the parabola octaves(error) through three points meets error 0."""
    total = 0.0
    for i, (there, error) in enumerate(points):
        for other in (e for j, (_, e) in enumerate(points) if j != i):
            there *= other / (other - error)
        total += there
    return total
