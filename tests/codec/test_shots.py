"""Segments begin where shots do."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import accumulate, islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import bitstream
import nvcodec
from nvcodec import EncodeOptions
from nvcodec.cli.app import run
from nvcodec.codec.compare import frames_of
from nvcodec.codec.encode import encode_part, join
from nvcodec.codec.shots import marked
from nvcodec.codec.split import Part
from nvcodec.segments import BLOCK, SHORTEST, Cutter
from nvcodec.video.color import ColorTags
from nvcodec.video.info import Frame
from nvcodec.video.writer import VideoWriter

Pictures = NDArray[np.uint8]
#: Longer than what is looked at here.
NEVER = 10**6


def shot(clip: Path, count: int, skip: int = 0) -> Pictures:
    """Frames of a clip, the middle 144 rows and 176 columns."""
    frames = np.stack(list(islice(frames_of(clip), skip, skip + count)))
    top, left = ((n - m) // 2 for n, m in zip(frames.shape[1:3], (144, 176), strict=True))
    return frames[:, top:top + 144, left:left + 176]


def cuts(pictures: Pictures, anew: int = NEVER) -> list[int]:
    """Numbers of the pictures that a shot is said to begin with."""
    frames = [Frame(p, 2 * i, 2) for i, p in enumerate(pictures)]
    seen = list(marked(frames, anew))
    assert [f.pts for f in seen] == [f.pts for f in frames]
    assert all(a.rgb is b.rgb for a, b in zip(seen, frames, strict=True))
    return [i for i, f in enumerate(seen) if f.cut]


@pytest.mark.parametrize("length", [1, 2, 7])
def test_cuts_are_found_where_they_are(length: int, bikes: Path, carphone: Path,
                                       bunny: Path) -> None:
    """Between clips, and nowhere inside them; a shot of one picture is none, nor is the last
    picture."""
    parts = [shot(bikes, 9), shot(carphone, length), shot(bunny, 9)]
    expected = [9, 9 + length] if length > 1 else []
    assert cuts(np.concatenate(parts)) == expected


def test_whole_clips(bikes: Path, carphone: Path) -> None:
    """And one that was cut by somebody is as many as that somebody made."""
    assert cuts(shot(carphone, 120)) == []
    assert cuts(np.stack(list(frames_of(bikes)))) == [30, 76, 137, 187, 242]


def test_what_looks_like_a_cut_is_none(bikes: Path) -> None:
    """A flash, strobes, noise, a pan of a dozen pixels a frame, and one shot that fades into
    another."""
    still = shot(bikes, 1)[0].astype(float)
    rng = np.random.default_rng(0)
    standing = np.repeat(still[None], 12, 0)
    flash, strobes = standing.copy(), standing.copy()
    flash[5] = 255 - still
    strobes[::2] = 255 - still
    noise = (standing + rng.normal(0, 12, standing.shape)).clip(0, 255)
    wide = next(frames_of(bikes))
    pan = np.stack([wide[60:204, 12 * i:12 * i + 176] for i in range(12)])
    share = np.linspace(0, 1, 12)[:, None, None, None]
    fade = (1 - share) * standing + share * (255 - standing)
    for pictures in (flash, strobes, noise, pan, fade):
        assert cuts(pictures.astype(np.uint8)) == []


def test_pictures_without_texture_or_size(carphone: Path) -> None:
    """Black to white is a cut; the smallest and the narrowest pictures are looked at as well."""
    flat = np.zeros((8, 16, 16, 3), np.uint8)
    assert cuts(flat) == []
    flat[4:] = 255
    for height, width in ((1, 1), (16, 3), (2, 200), (200, 2)):
        pictures = np.zeros((8, height, width, 3), np.uint8)
        pictures[4:] = 255
        assert cuts(pictures) == [4]
    assert cuts(shot(carphone, 1)) == [] and cuts(shot(carphone, 2)[:0]) == []
    assert cuts(np.concatenate((shot(carphone, 5), 255 - shot(carphone, 1)))) == []


def test_parts_see_what_the_whole_sees(bikes: Path, carphone: Path) -> None:
    """Wherever a cut lies beside the beginning of a block."""
    for first in range(6, 11):
        pictures = np.concatenate((shot(bikes, first), shot(carphone, 24 - first)))
        whole = cuts(pictures, anew=8)
        assert [i for i in whole if i >= 8] == [8 + i for i in cuts(pictures[8:], anew=8)]
        # A block begins with the eighth anyway, and one picture before it is no shot.
        assert whole == ([first] if first not in (7, 8) else [])


@given(st.integers(0, 200), st.integers(1, 40), st.sets(st.integers(0, 199), max_size=30))
def test_segments_cover_every_frame(count: int, keyint: int, at: set[int]) -> None:
    stream = Cutter(range(count), keyint, at.__contains__)
    lengths = []
    while stream:
        lengths.append(len(list(stream.segment())))
        assert stream.taken == sum(lengths)
    assert sum(lengths) == count and all(1 <= n <= keyint for n in lengths)
    starts = {0, *accumulate(lengths)}
    assert starts >= {*range(0, count, BLOCK * keyint)}
    for start, length in zip([0, *accumulate(lengths)], lengths, strict=False):
        inside = at & {*range(start + SHORTEST, start + length)}
        assert not inside
        ends = start + length
        assert (length == keyint or ends == count or ends % (BLOCK * keyint) == 0
                or (ends in at and length >= SHORTEST))


@pytest.fixture
def joined(tmp_path: Path, bikes: Path, carphone: Path) -> Path:
    """Three shots, of 11, 14 and 8 frames."""
    pictures = np.concatenate((shot(bikes, 11), shot(carphone, 14), shot(bikes, 8, skip=60)))
    path, base = tmp_path / "joined.mp4", Fraction(1, 25)
    with VideoWriter(path, 176, 144, 1 / base, base, ColorTags(1, 1, 1, False)) as out:
        for i, picture in enumerate(pictures):
            out.write(np.ascontiguousarray(picture), i, 1)
    return path


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(("keyint", "flags", "counts"), [
    (161, {}, [11, 14, 8]), (161, {"cuts": False}, [33]), (161, {"spacing": 2}, [11, 14, 8]),
    (9, {}, [9, 9, 7, 8]), (161, {"duration": 0.52}, [11, 2])])
def test_files_have_segments_at_cuts(keyint: int, flags: dict[str, object], counts: list[int],
                                     joined: Path, tmp_path: Path) -> None:
    target = tmp_path / "joined.mvt"
    report = nvcodec.encode(joined, target, EncodeOptions(
        model="tiny", coder="table", keyint=keyint, verify=True,
        **flags))  # type: ignore[arg-type]
    with bitstream.Reader(target) as reader:
        assert [s.frame_count for s in reader.segments] == counts
    assert report.segments == len(counts) and report.frames == sum(counts)
    with nvcodec.open(target) as video:
        times = [f.pts for f in video.frames()]
    assert times == sorted(times) and len(times) == sum(counts)


@pytest.mark.usefixtures("tiny")
def test_the_command_line_has_a_switch(joined: Path, tmp_path: Path,
                                       capsys: pytest.CaptureFixture[str]) -> None:
    for flags, segments in (([], 3), (["--cuts"], 3), (["--no-cuts"], 1)):
        assert run(["encode", str(joined), "-o", str(tmp_path / "a.mvt"), "--model", "tiny", "-f",
                    "--prior", "table", "--json", *flags]) == 0
        assert json.loads(capsys.readouterr().out)["segments"] == segments


@pytest.mark.usefixtures("tiny")
def test_parts_with_cuts_join_to_the_same_bytes(joined: Path, tmp_path: Path) -> None:
    options = EncodeOptions(model="tiny", coder="none", keyint=6, audio=False)
    parts = [Part(0, 1), Part(1, 1), Part(2, None)]
    coded = [c for part in parts for c in encode_part(str(joined), options, part)]
    join(joined, tmp_path / "parts.mvt", options, coded)
    nvcodec.encode(joined, tmp_path / "whole.mvt", options)
    assert (tmp_path / "parts.mvt").read_bytes() == (tmp_path / "whole.mvt").read_bytes()


@pytest.mark.usefixtures("scalable")
@pytest.mark.parametrize("keyint", [161, 16, 6])
def test_rates_are_met_across_cuts(keyint: int, joined: Path, tmp_path: Path) -> None:
    """All of a short source is searched, however many segments it has."""
    target = tmp_path / "rate.mvt"
    sizes = [nvcodec.encode(joined, target, EncodeOptions(
        model="tiny", qp=qp, keyint=keyint, force=True)).bpp for qp in (10, 50)]
    wish = sum(sizes) / 2
    report = nvcodec.encode(joined, target, EncodeOptions(
        model="tiny", bpp=wish, keyint=keyint, force=True))
    assert report.bpp == pytest.approx(wish, rel=0.021) and report.segments >= 3
    if keyint == 161:
        assert len(set(report.qp)) == 1
