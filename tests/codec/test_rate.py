"""Choosing qp for a wished rate."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nvcodec
from nvcodec import EncodeOptions
from nvcodec.rate import MAX_QP, RateControl, search_qp, slope_of


@given(top=st.floats(0.01, 1.0), slope=st.floats(0.02, 0.2), target=st.floats(0.001, 1.0),
       start=st.integers(0, 63))
def test_search_finds_the_nearest_qp(top: float, slope: float, target: float, start: int) -> None:
    def rate(qp: int) -> float:
        return top * 2 ** (-slope * qp)

    qp, seen = search_qp(rate, target, start, most=8)
    best = min(range(MAX_QP + 1), key=lambda q: abs(math.log2(rate(q) / target)))
    assert abs(qp - best) <= 1
    assert seen[qp] == rate(qp) and len(seen) <= 8
    assert 0.01 <= slope_of(seen) <= 0.5


@given(st.lists(st.floats(0.5, 2.0), min_size=1, max_size=30), st.integers(0, 63))
def test_search_ends_on_a_wild_measure(noise: list[float], start: int) -> None:
    qp, seen = search_qp(lambda q: 0.1 * noise[q % len(noise)], 0.1, start)
    assert qp in seen and len(seen) <= 6


@given(st.floats(0.5, 2.0), st.integers(10, 50))
def test_feedback_wins_back_what_was_overspent(hardness: float, start: int) -> None:
    """Segments whose real rate is off by a constant factor: the mean still comes out."""
    control = RateControl(target=0.02, qp=start, slope=0.06)
    bits = pixels = 0.0
    for _ in range(40):
        spent = hardness * 0.08 * 2 ** (-0.06 * control.qp) * 1e6
        bits, pixels = bits + spent, pixels + 1e6
        control.add(spent, 1e6)
    assert bits / pixels == pytest.approx(0.02, rel=0.05)


def test_a_fixed_qp_stays() -> None:
    control = RateControl(0.0, 17, fixed=True)
    control.add(1e9, 1.0)
    assert control.qp == 17


@pytest.mark.usefixtures("tiny")
def test_only_one_wish_at_a_time(carphone: Path, tmp_path: Path) -> None:
    with pytest.raises(nvcodec.UsageError, match="qp and bpp"):
        EncodeOptions(qp=3, bpp=0.1)
    for wrong in ({"qp": 64}, {"bpp": 0.0}, {"size": -1}, {"coder": "x"}, {"keyint": 0}):
        with pytest.raises(nvcodec.UsageError):
            EncodeOptions(**wrong)  # type: ignore[arg-type]
    with pytest.raises(nvcodec.UsageError, match="no weights for model 'nope'"):
        nvcodec.encode(carphone, tmp_path / "a.mvt", EncodeOptions(model="nope"))


@pytest.mark.usefixtures("tiny")
def test_out_of_reach_is_said(carphone: Path, tmp_path: Path) -> None:
    """Untrained weights spend the same at every qp: no wish can be met, and the report says so."""
    report = nvcodec.encode(carphone, tmp_path / "a.mvt",
                            EncodeOptions(model="tiny", bpp=1e-4, duration=0.3))
    assert report.wanted_bpp == 1e-4
    assert "out of this model's reach" in report.warnings[0]
