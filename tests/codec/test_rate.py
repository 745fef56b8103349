"""Choosing qp for a wished rate: the arithmetic, without video."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import nvcodec
from nvcodec import EncodeOptions
from nvcodec.rate import MAX_QP, Band, Goal, QpSearch, RateControl
from nvcodec.usual import HAIR, Usual


def run(search: QpSearch, rate: Callable[[float], float]) -> float:
    """Let a search measure until it is content; its best size."""
    while (qp := search.ask()) is not None:
        assert 0 <= qp <= MAX_QP and qp not in search.seen
        search.tell(qp, rate(qp))
    assert len(search.seen) <= search.most
    return search.seen[search.best]


def s_curve(top: float, octaves: float, middle: float, width: float) -> Callable[[float], float]:
    """A rate that falls by `octaves` in all, mostly around qp `middle`, as real ones do."""
    return lambda qp: top * 2 ** (-octaves / (1 + math.exp((middle - qp) / width)))


CURVES = st.builds(s_curve, st.floats(0.01, 1.0), st.floats(0.5, 4.0), st.floats(10, 55),
                   st.floats(4, 30))


@given(CURVES, st.floats(0, 1), st.floats(0, 63))
@example(s_curve(1.0, 0.5, 10.0, 4.0), 0.1, 60.5)  # out of a flat end
@example(s_curve(1.0, 3.0, 10.0, 4.0), 0.4140625, 12.0)  # steep where sizes are usually flat
def test_search_lands_within_one_percent(rate: Callable[[float], float], part: float,
                                         start: float) -> None:
    wish = rate(MAX_QP) * (rate(0) / rate(MAX_QP)) ** part
    search = QpSearch(Band(0.99 * wish, 1.01 * wish), start, 97)
    assert run(search, rate) == pytest.approx(wish, 0.01)


@given(st.floats(1, 400), st.floats(-16, 63), st.floats(-16, 63))
def test_what_is_usual_falls_all_the_way(frames: float, a: float, b: float) -> None:
    usual = Usual(frames)
    assert usual.qp(usual.octaves(a)) == pytest.approx(a, abs=1e-6)
    assert (a < b) == (usual.octaves(a) < usual.octaves(b)) or abs(a - b) < 1e-9


@given(st.floats(2, 400), st.floats(0.4, 2.5), st.floats(0, 63), st.floats(0, 63))
def test_search_is_soon_done_where_sizes_fall_as_usual(frames: float, factor: float, start: float,
                                                       there: float) -> None:
    """Whatever a source takes more or less than others at all qp: two codings, a third where the
    second went too far, and a fourth where it lies close beside either."""
    usual = Usual(frames)

    def rate(qp: float) -> float:
        return factor * 2 ** -usual.octaves(qp)

    search = QpSearch(Band(0.99 * rate(there), 1.01 * rate(there)), start, frames)
    assert run(search, rate) == pytest.approx(rate(there), 0.011) and len(search.seen) <= 4


@given(st.floats(2, 400), st.floats(0.4, 2.5), st.floats(0, 62), st.floats(0.5, 2.0),
       st.booleans())
def test_the_slope_is_that_at_the_best_qp(frames: float, factor: float, qp: float, steep: float,
                                          twice: bool) -> None:
    """Known after one coding where a source behaves as usual, after two where it does not."""
    usual = Usual(frames)
    steep = steep if twice else 1.0
    search = QpSearch(Band(0.0, factor), qp, frames)
    for tried in (qp, max(0.0, qp - 20))[:1 + twice]:
        search.tell(tried, factor * 2 ** (-steep * usual.octaves(tried)))
    best = search.best
    wanted = steep * (usual.octaves(min(best + 1, 63)) - usual.octaves(min(best, 62)))
    assert search.measured_slope() == pytest.approx(min(max(wanted, 0.01), 0.2), rel=1e-3)


@given(CURVES, st.sampled_from([0.5, 0.9, 1.1, 2.0]), st.integers(0, 63))
def test_search_out_of_reach_ends_at_an_end(rate: Callable[[float], float], factor: float,
                                            start: float) -> None:
    wish = factor * (rate(0) if factor > 1 else rate(MAX_QP))
    search = QpSearch(Band(0.99 * wish, 1.01 * wish), start, 97)
    run(search, rate)
    assert search.best == (0 if factor > 1 else MAX_QP) and len(search.seen) <= 6


@given(CURVES, st.floats(0, 1), st.floats(-16, 63))
def test_search_finds_what_lies_beside_a_leap(rate: Callable[[float], float], part: float,
                                              start: float) -> None:
    """Below 0 sizes begin a third higher: a wish between the two takes the nearer, soon."""
    def leaping(qp: float) -> float:
        return rate(qp) if qp >= 0 else 4 / 3 * rate(0) * 2 ** (-qp / 40)

    top, end = leaping(-16), leaping(MAX_QP)
    wish = end * (top / end) ** part
    search = QpSearch(Band(0.99 * wish, 1.01 * wish), start, 97, least=-16.0)
    while (qp := search.ask()) is not None:
        assert -16 <= qp <= MAX_QP and qp not in search.seen
        search.tell(qp, leaping(qp))
    got, edges = search.seen[search.best], (leaping(0), leaping(-1e-9))
    if 1.01 * edges[0] < wish < 0.99 * edges[1]:
        assert abs(search.best) <= HAIR and len(search.seen) <= search.most
        assert abs(math.log(got / wish)) <= min(abs(math.log(e / wish)) for e in edges) + 0.001
    else:
        assert got == pytest.approx(wish, 0.011)


@given(CURVES, st.floats(0.1, 0.9), st.floats(0, 63), st.floats(0, 0.05), st.integers(0, 99))
def test_search_stands_noise(rate: Callable[[float], float], part: float, start: float,
                             noise: float, seed: int) -> None:
    """Rates that go up and down by some percent from qp to qp: the best found is not far off."""
    def noisy(qp: float) -> float:
        return rate(qp) * 2 ** (noise * math.sin(seed + 9 * qp) / 2)

    wish = rate(MAX_QP) * (rate(0) / rate(MAX_QP)) ** part
    size = run(QpSearch(Band(0.99 * wish, 1.01 * wish), start, 97), noisy)
    assert abs(math.log2(size / wish)) <= noise + 0.015


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=30), st.floats(0.01, 1.0),
       st.booleans())
def test_search_ends_on_a_wild_measure(sizes: list[float], wish: float, strict: bool) -> None:
    search = QpSearch(Band(0.99 * wish, wish, strict), 32, 97)
    size = run(search, lambda qp: sizes[int(7 * qp) % len(sizes)])
    seen = search.seen.values()
    if strict and min(seen) <= wish:
        assert size == max(s for s in seen if s <= wish)
    else:
        assert abs(search.band.octaves(size)) == min(abs(search.band.octaves(s)) for s in seen)


def test_search_stops_at_a_jump() -> None:
    search = QpSearch(Band(0.99, 1.01), 20, 97, most=40)
    assert run(search, lambda qp: 1.1 if qp < 30.5 else 0.95) in (1.1, 0.95)
    assert len(search.seen) < 30


@given(st.floats(0.7, 1.4), st.floats(30, 42), st.integers(30, 60), st.booleans())
def test_steering_wins_back_what_was_overspent(hardness: float, start: float, count: int,
                                               knows: bool) -> None:
    """Segments whose rate is off by a constant factor: the mean comes out, in small steps."""
    control = RateControl(0.02, start, 1e6 * count if knows else None, slope=0.06)
    for _ in range(count):
        before = control.qp
        control.add(hardness * 0.08 * 2 ** (-0.06 * before) * 1e6, 1e6)
        assert abs(control.qp - before) <= RateControl.STEP + 1e-9
    assert control.bits / control.pixels == pytest.approx(0.02, rel=0.02 if knows else 0.1)


def test_steering_does_not_follow_each_segment() -> None:
    """Hard and easy segments in turn, as the samples said: qp stays."""
    control = RateControl(0.02, 32.0, 40e6, slope=0.06)
    rates = [0.02 * 2**0.5, 0.02 * 2**-0.5]
    control.target = sum(rates) / 2
    control.learn(32.0, 0.06, [control.target] * 4)
    seen = []
    for i in range(40):
        control.add(rates[i % 2] * 2 ** (-0.06 * (control.qp - 32)) * 1e6, 1e6)
        seen.append(control.qp)
    assert max(abs(q - 32) for q in seen[:30]) < 3.5
    assert control.bits / control.pixels == pytest.approx(control.target, rel=0.02)


def test_goals() -> None:
    assert Goal(bpp=0.08).band(1000) == Band(9.9, 10.1)
    band = Goal(size=1000).band(1, audio_bytes=400)
    assert (band.low, band.high, band.strict) == (590, 600, True)
    assert Goal(bpp=0.08).miss(110, 100, 1000) == pytest.approx(0)
    size = Goal(size=1000)
    assert size.is_met(size.miss(985, 0, 1)) and not size.is_met(size.miss(1001, 0, 1))


@pytest.mark.usefixtures("tiny")
def test_only_one_wish_at_a_time(carphone: Path, tmp_path: Path) -> None:
    with pytest.raises(nvcodec.UsageError, match="qp and bpp"):
        EncodeOptions(qp=3, bpp=0.1)
    for wrong in ({"qp": 64}, {"bpp": 0.0}, {"size": -1}, {"coder": "x"}, {"keyint": 0}):
        with pytest.raises(nvcodec.UsageError):
            EncodeOptions(**wrong)  # type: ignore[arg-type]
    with pytest.raises(nvcodec.UsageError, match="no weights for model 'nope'"):
        nvcodec.encode(carphone, tmp_path / "a.mvt", EncodeOptions(model="nope"))
