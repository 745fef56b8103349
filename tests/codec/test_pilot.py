"""Steering and landing of long files, with a coder that only pretends: quick, and any content."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import bitstream
from nvcodec.codec.audio import AudioCopier
from nvcodec.codec.ratesearch import HELD, Coded, Pilot, Source, Take
from nvcodec.rate import Goal, RateControl
from nvcodec.segments import Cutter

KEYINT = 25
#: What a first frame takes more than those behind it, as a share of a whole segment as real ones do
#: (5 or 6 frames of 161).
PREMIUM = 0.9
INFO: Any = SimpleNamespace(width=640, height=360, fps=25, time_base=1, start_time=0, audio=())
HEADER = bitstream.Header(
    width=640, height=360, padded_width=640, padded_height=360, fps_num=25, fps_den=1,
    time_base_num=1, time_base_den=25, model="x", model_sha256=bytes(32), keyint=KEYINT)


def code(frames: Iterable[Any], qp: float, _: str, premium: float = 0.0) -> Coded:
    """Frames are (number, hardness): rate falls with qp as that of real weights does. The first
    takes so much more than those behind it."""
    held = list(frames)
    octaves = -2.3 / (1 + math.exp((42 - qp) / 11)) + 0.005 * math.sin(40 * qp)
    size = (sum(h for _, h in held) + premium * held[0][1]) * 640 * 360 / 8 * 0.05 * 2**octaves
    pts = tuple(n for n, _ in held)
    return Coded(bitstream.Segment(pts, bytes(round(size)), round(qp), 1), 0)


def encode(hardness: list[float], bpp: float, path: str, known: bool,
           cuts: frozenset[int] = frozenset()) -> tuple[Any, list[float]]:
    """Run a pilot over spans of KEYINT frames of the given hardness as an encode does, with shots
    that begin at the frames `cuts`: totals, and every qp."""
    frames = [(i, hardness[i // KEYINT]) for i in range(KEYINT * len(hardness) - KEYINT // 3)]
    source = Source(path, INFO, HEADER, 0.0, len(frames) if known else None, 0.0)
    parts = [frames[i * len(frames) // 4:][:KEYINT] for i in range(4)]
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setattr("nvcodec.codec.ratesearch.load", lambda *_: parts)
        writer = bitstream.Writer(io.BytesIO(), HEADER)
        audio = AudioCopier("-", INFO, None, None, stack)
        coder = partial(code, premium=PREMIUM if cuts else 0.0)
        pilot = Pilot(Goal(bpp), coder, source, writer.bytes_written)
        stream = Cutter(frames, KEYINT, lambda f: f[0] in cuts)
        held, done = list[Take](), list[Take]()
        while stream or pilot.waiting:
            while pilot.is_full(held):
                done.append(held.pop(0))
                audio.store(writer, done[-1].coded.chunk)
            clip = pilot.clip(stream, first=not held and not done)  # type: ignore[arg-type]
            held.append(Take(clip, pilot.qp, coder(clip, pilot.qp, "")))
            assert sum(t.coded.chunk.frame_count for t in held) <= HELD * KEYINT
            pilot.add(held[-1])
        pilot.finish(held, writer, audio, whole=not done)
        for take in held:
            audio.store(writer, take.coded.chunk)
        totals = writer.close()
    return totals, [t.qp for t in done + held]


def off(totals: bitstream.Totals, bpp: float) -> float:
    """By how much a file misses, relative."""
    return 8 * totals.file_bytes / (totals.frames * 640 * 360) / bpp - 1


def calm(qps: list[float]) -> bool:
    """Whether qp moved in small steps, the end apart."""
    return all(abs(b - a) <= RateControl.STEP + 1e-9 for a, b in pairwise(qps[:-HELD]))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0.8, 1.25), min_size=1, max_size=60), st.floats(0.02, 0.03))
def test_files_land_whatever_the_content(hardness: list[float], bpp: float) -> None:
    totals, qps = encode(hardness, bpp, "x", True)
    assert abs(off(totals, bpp)) < 0.02 and calm(qps)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0.92, 1.08), min_size=1, max_size=60), st.floats(0.022, 0.03),
       st.booleans())
def test_pipes_land_on_content_that_varies_a_little(hardness: list[float], bpp: float,
                                                    known: bool) -> None:
    totals, qps = encode(hardness, bpp, "-", known)
    assert abs(off(totals, bpp)) < 0.02 and calm(qps)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0.8, 1.25), min_size=1, max_size=30), st.floats(0.022, 0.032),
       st.frozensets(st.integers(0, 750), min_size=1, max_size=80), st.booleans())
@example([1.125], 0.0234375, frozenset([5]), False)  # met at two qp, by chance
def test_files_of_many_shots_land(hardness: list[float], bpp: float, cuts: frozenset[int],
                                  pipe: bool) -> None:
    """Each shot begins anew, which the samples of a long source do not know, and a pipe has but its
    first whole segment to go by: of 4,000 such files one was off by 2.5%, of as many pipes 5.3%."""
    totals, qps = encode(hardness, bpp, "-" if pipe else "x", not pipe, cuts)
    assert abs(off(totals, bpp)) < (0.08 if pipe else 0.03)
    if len(hardness) <= HELD and not pipe:
        assert len(set(qps)) == 1


@pytest.mark.parametrize("hardness", [
    [0.7] * 30 + [1.4] * 30, [1.4] * 30 + [0.7] * 30, [0.7, 1.4] * 20, [1.0] * 58 + [0.5, 1.6],
], ids=["harder", "easier", "in turn", "at the end"])
@pytest.mark.parametrize("pipe", [True, False])
def test_scenes_that_change(hardness: list[float], pipe: bool) -> None:
    totals, qps = encode(hardness, 0.025, "-" if pipe else "x", not pipe)
    assert abs(off(totals, 0.025)) < 0.02 and calm(qps)
    if not pipe:  # samples told what comes: it is not steered to and fro
        assert max(qps[:-HELD]) - min(qps[:-HELD]) < 13
