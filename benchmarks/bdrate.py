"""Rate-distortion curves: a metric at a given rate, and the Bjontegaard delta rate.

BD-rate: G. Bjontegaard, "Calculation of average PSNR differences between RD-curves", ITU-T
VCEG-M33, 2001: the mean difference of ln(rate) between two curves over the quality interval that
both cover, as a percentage. The curves are piecewise cubic Hermite polynomials (PCHIP; F. N.
Fritsch and J. Butland, "A method for constructing local monotone piecewise cubic interpolants",
SIAM J. Sci. Stat. Comput. 5, 1984) instead of one cubic through four points, as in later practice
(G. Bjontegaard, VCEG-AI11, 2008; JCTVC-L1100): they neither overshoot nor need exactly four points.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

#: Fewer points do not make a curve.
LEAST_POINTS = 3
#: Overlap of two curves, as a share of the smaller quality range, below which nothing is said.
LEAST_OVERLAP = 0.05

Point = tuple[float, float]


class Pchip:
    """Monotone piecewise cubic through points; defined between the first x and the last."""

    def __init__(self, points: Iterable[Point]) -> None:
        known = sorted(points)
        self.x: list[float] = [x for x, _ in known]
        self.y: list[float] = [y for _, y in known]
        if len(self.x) < 2 or any(b <= a for a, b in pairwise(self.x)):
            raise ValueError("a curve needs two points or more with different x")
        self.slopes = _slopes(self.x, self.y)

    def __call__(self, x: float) -> float:
        """The value at x; ValueError outside the points."""
        i, t = self._locate(x)
        h = self.x[i + 1] - self.x[i]
        a, b, m, n = self._cubic(i)
        square, cube = 3 * (b - a) - h * (2 * m + n), 2 * (a - b) + h * (m + n)
        return a + t * (h * m + t * (square + t * cube))

    def integral(self, low: float, high: float) -> float:
        """Exact integral from low to high, both inside."""
        return self._up_to(high) - self._up_to(low)

    def _up_to(self, x: float) -> float:
        end, t = self._locate(x)
        return sum(self._piece(i, 1.0) for i in range(end)) + self._piece(end, t)

    def _piece(self, i: int, t: float) -> float:
        h = self.x[i + 1] - self.x[i]
        a, b, m, n = self._cubic(i)
        square, cube = 3 * (b - a) - h * (2 * m + n), 2 * (a - b) + h * (m + n)
        return h * t * (a + t * (h * m / 2 + t * (square / 3 + t * cube / 4)))

    def _cubic(self, i: int) -> tuple[float, float, float, float]:
        return self.y[i], self.y[i + 1], self.slopes[i], self.slopes[i + 1]

    def _locate(self, x: float) -> tuple[int, float]:
        if not self.x[0] <= x <= self.x[-1]:
            raise ValueError(f"{x} is outside {self.x[0]}..{self.x[-1]}")
        i = min(bisect_right(self.x, x) - 1, len(self.x) - 2)
        return i, (x - self.x[i]) / (self.x[i + 1] - self.x[i])


def _slopes(x: Sequence[float], y: Sequence[float]) -> list[float]:
    """Fritsch-Butland: weighted harmonic mean of the neighbouring secants, 0 at an extremum."""
    h = [b - a for a, b in pairwise(x)]
    d = [(y[i + 1] - y[i]) / h[i] for i in range(len(h))]
    if len(d) == 1:
        return [d[0], d[0]]
    inner = []
    for i in range(1, len(d)):
        if d[i - 1] * d[i] <= 0:
            inner.append(0.0)
        else:
            w, v = 2 * h[i] + h[i - 1], h[i] + 2 * h[i - 1]
            inner.append((w + v) / (w / d[i - 1] + v / d[i]))
    return [_end(h[0], h[1], d[0], d[1]), *inner, _end(h[-1], h[-2], d[-1], d[-2])]


def _end(h0: float, h1: float, d0: float, d1: float) -> float:
    """One-sided three-point slope, limited so that the end piece stays monotone."""
    slope = ((2 * h0 + h1) * d0 - h0 * d1) / (h0 + h1)
    if slope * d0 <= 0:
        return 0.0
    if d0 * d1 <= 0 and abs(slope) > 3 * abs(d0):
        return 3 * d0
    return slope


def at_rate(points: Iterable[Point], bpp: float) -> float | None:
    """The metric at `bpp` from (bpp, metric) points, over ln(bpp); None outside the points."""
    known = {rate: value for rate, value in points if rate > 0}
    if bpp in known:
        return known[bpp]
    if len(known) < 2 or not min(known) < bpp < max(known):
        return None
    by_log = {math.log(r): v for r, v in known.items()}  # rates a rounding apart share one
    if len(by_log) < 2:
        return None
    return Pchip(by_log.items())(math.log(bpp))


def front(points: Iterable[Point]) -> list[Point]:
    """(rate, quality) points by rising rate, without those that a cheaper one equals or beats."""
    kept: list[Point] = []
    for rate, quality in sorted(points, key=lambda p: (p[0], -p[1])):
        if not kept or quality > kept[-1][1]:
            kept.append((rate, quality))
    return kept


def bd_rate(anchor: Iterable[Point], test: Iterable[Point]) -> float | None:
    """Percent of the anchor's bits that `test` needs more (+) or fewer (-) at equal quality.

    Points are (rate, quality); higher quality must be better. None where a curve has too few
    points on its front, or where the two hardly share a quality interval.
    """
    curves = [front(anchor), front(test)]
    if min(len(c) for c in curves) < LEAST_POINTS:
        return None
    low = max(c[0][1] for c in curves)
    high = min(c[-1][1] for c in curves)
    if high - low < LEAST_OVERLAP * min(c[-1][1] - c[0][1] for c in curves):
        return None
    a, b = (Pchip((q, math.log(r)) for r, q in c).integral(low, high) for c in curves)
    return 100 * (math.exp((b - a) / (high - low)) - 1)
