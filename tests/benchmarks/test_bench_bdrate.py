from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from benchmarks.bdrate import Pchip, at_rate, bd_rate, front

ANCHOR = [(0.1, 34.0), (0.05, 31.0), (0.02, 28.0), (0.006, 25.0)]
# The pair of curves that public implementations of VCEG-M33 use as their example.
EXAMPLE_A = list(zip([686.76, 309.58, 157.11, 85.95], [40.28, 37.18, 34.24, 31.42], strict=True))
EXAMPLE_B = list(zip([893.34, 407.8, 204.93, 112.75], [40.39, 37.21, 34.17, 31.24], strict=True))


def cubic_bd_rate(anchor, test) -> float:
    """VCEG-M33 word for word: one cubic in quality through four points of log10(rate)."""
    low = max(min(q for _, q in c) for c in (anchor, test))
    high = min(max(q for _, q in c) for c in (anchor, test))
    areas = []
    for curve in (anchor, test):
        fit = np.polyint(np.polyfit([q for _, q in curve], [math.log10(r) for r, _ in curve], 3))
        areas.append(np.polyval(fit, high) - np.polyval(fit, low))
    return float(100 * (10 ** ((areas[1] - areas[0]) / (high - low)) - 1))


def test_equal_curves_give_zero():
    assert bd_rate(ANCHOR, ANCHOR) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0, 1.25, 3.0])
def test_scaled_rates_give_the_factor(factor):
    scaled = [(r * factor, q) for r, q in ANCHOR]
    assert bd_rate(ANCHOR, scaled) == pytest.approx(100 * (factor - 1), abs=1e-9)


def test_straight_lines_have_a_closed_form():
    # ln R = q and ln R = 0.5 q + 0.2 on q in 0..3: the mean difference is 0.2 - 0.5 * 1.5.
    line = [(math.exp(q), q) for q in (0.0, 1.0, 2.0, 3.0)]
    other = [(math.exp(0.5 * q + 0.2), q) for q in (0.0, 0.7, 1.9, 3.0)]
    assert bd_rate(line, other) == pytest.approx(100 * (math.exp(0.2 - 0.75) - 1), abs=1e-9)


def test_agrees_with_the_cubic_of_vceg_m33():
    assert bd_rate(EXAMPLE_A, EXAMPLE_B) == pytest.approx(
        cubic_bd_rate(EXAMPLE_A, EXAMPLE_B), abs=0.5)


def test_changing_sides_inverts_the_ratio():
    forth, back = bd_rate(EXAMPLE_A, EXAMPLE_B), bd_rate(EXAMPLE_B, EXAMPLE_A)
    assert forth is not None and back is not None
    assert (1 + forth / 100) * (1 + back / 100) == pytest.approx(1)


def test_says_nothing_without_overlap_or_points():
    assert bd_rate(ANCHOR, [(r, q + 20) for r, q in ANCHOR]) is None
    assert bd_rate(ANCHOR, ANCHOR[:2]) is None
    assert bd_rate(ANCHOR, [(0.1, 30.0), (0.05, 30.0), (0.02, 30.0)]) is None
    assert bd_rate([], ANCHOR) is None


def test_front_drops_what_a_cheaper_point_equals():
    points = [(0.03, 2.0), (0.01, 1.0), (0.02, 3.0), (0.05, 3.0), (0.06, 4.0)]
    assert front(points) == [(0.01, 1.0), (0.02, 3.0), (0.06, 4.0)]


def test_pchip_equals_scipy():
    x, y = [0.0, 0.4, 1.0, 2.5, 3.0], [1.0, 3.0, 3.1, 0.0, 2.0]
    ours, theirs = Pchip(zip(x, y, strict=True)), PchipInterpolator(x, y)
    for at in np.linspace(0, 3, 61):
        assert ours(float(at)) == pytest.approx(float(theirs(at)), abs=1e-12)
    assert ours.integral(0.3, 2.7) == pytest.approx(float(theirs.integrate(0.3, 2.7)), abs=1e-12)


def test_pchip_needs_different_x():
    with pytest.raises(ValueError, match="different x"):
        Pchip([(1.0, 2.0), (1.0, 3.0)])
    with pytest.raises(ValueError, match="outside"):
        Pchip([(1.0, 2.0), (2.0, 3.0)])(2.5)


def test_rate_is_interpolated_over_its_logarithm():
    assert at_rate([(0.01, 10.0), (0.1, 20.0)], 0.01 * math.sqrt(10)) == pytest.approx(15.0)
    assert at_rate([(0.01, 10.0)], 0.01) == 10.0


@given(st.dictionaries(st.floats(1e-3, 1), st.floats(-50, 50), max_size=8), st.floats(1e-4, 2))
@settings(deadline=None)
def test_never_extrapolates_nor_overshoots(known, bpp):
    value = at_rate(known.items(), bpp)
    if not known or not min(known) <= bpp <= max(known):
        assert value is None
    elif value is not None:
        below = max(r for r in known if r <= bpp)
        above = min(r for r in known if r >= bpp)
        low, high = sorted((known[below], known[above]))
        assert low - 1e-6 <= value <= high + 1e-6
