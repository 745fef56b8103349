"""From a wished rate to qp: a search over real coded sizes first, feedback from segment to segment.

Sizes are bits per pixel (bpp) of everything but audio. qp runs from 0 (best) to 63 (smallest).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

MAX_QP = 63
#: Octaves of rate for one qp step, until measurements say better.
TYPICAL_SLOPE = 0.06


@dataclass
class RateControl:
    """Chooses each segment's qp so that the file ends up at `target` bpp.

    Attributes:
        target: wished bpp over the whole file.
        qp: the choice for the next segment.
        slope: octaves of rate lost for each qp step.
        fixed: keep `qp` whatever the segments take (no target).
    """

    target: float
    qp: int
    slope: float = TYPICAL_SLOPE
    fixed: bool = False
    _bits: float = field(default=0.0, init=False)
    _pixels: float = field(default=0.0, init=False)

    def add(self, bits: float, pixels: float) -> None:
        """Tell what a segment took; moves `qp` for the next.

        The next segment (taken as this one again) shall win back what was over- or underspent.
        """
        if self.fixed:
            return
        self._bits += bits
        self._pixels += pixels
        wanted = self.target * (self._pixels + pixels) - self._bits
        allowed = max(wanted / pixels, self.target / 4)
        octaves = math.log2(max(bits, 1.0) / pixels / allowed)
        self.qp = _clamp(self.qp + octaves / self.slope)


def search_qp(measure: Callable[[int], float], target: float, start: int = 32,
              most: int = 6) -> tuple[int, dict[int, float]]:
    """The qp whose bpp is nearest to `target` (in octaves) after at most `most` measurements.

    `measure(qp)` gives the real bpp of a sample and is taken to fall with qp. Steps follow the
    line through the last two measurements in log rate, within what earlier ones bracket.
    Returns (qp, every measured qp with its bpp).
    """
    seen: dict[int, float] = {}
    qp, low, high = start, 0, MAX_QP
    while len(seen) < most and qp not in seen:
        seen[qp] = max(measure(qp), 1e-9)
        if seen[qp] > target:
            low = max(low, min(qp + 1, MAX_QP))
        else:
            high = min(high, max(qp - 1, 0))
        qp = min(max(_step(seen, qp, target), low), max(low, high))
    best = min(seen, key=lambda q: abs(math.log2(seen[q] / target)))
    return best, seen


def slope_of(seen: dict[int, float]) -> float:
    """Octaves of rate for one qp step over what was measured, within sane bounds."""
    if len(seen) < 2:
        return TYPICAL_SLOPE
    low, high = min(seen), max(seen)
    return min(max(math.log2(seen[low] / seen[high]) / (high - low), 0.01), 0.5)


def _step(seen: dict[int, float], qp: int, target: float) -> int:
    near = sorted(seen, key=lambda q: abs(q - qp))[:2]
    slope = slope_of({q: seen[q] for q in near})
    return _clamp(qp + math.log2(seen[qp] / target) / slope)


def _clamp(qp: float) -> int:
    return min(max(round(qp), 0), MAX_QP)
