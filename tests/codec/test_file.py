"""`nvcodec.open`: facts, frames and tokens by time, reading no more than they need."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bitstream
import nvcodec
from nvcodec.codec.span import Span
from nvcodec.video.reader import open_video
from tests.bitstream.bitstream_samples import make_file, make_header
from tests.codec.test_round_trip import make_clip


@pytest.fixture(scope="module")
def coded_once(tiny_release: Path, carphone: Path,
               tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("coded") / "a.mvt"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NVCODEC_MODELS", str(tiny_release))
        nvcodec.encode(carphone, target, nvcodec.EncodeOptions(
            model="tiny", keyint=9, duration=1.5, coder="table"))
    return target


@pytest.fixture
def coded(tiny: str, coded_once: Path) -> Path:
    """45 frames at 30000/1001 fps in segments of 9, with their weights at hand."""
    return coded_once


def overhead(path: Path) -> int:
    """Bytes that opening a file takes: preamble, header, index, tail."""
    with bitstream.Reader(path) as reader:
        return reader.bytes_read


def test_facts_need_no_torch(coded: Path) -> None:
    facts = nvcodec.inspect(coded, segments=True)
    with nvcodec.open(coded) as video:
        assert (video.width, video.height, video.frame_count) == (176, 144, 45)
        assert video.fps == Fraction(30000, 1001) and not video.is_vfr
        assert video.duration == 45 / video.fps
        assert (video.model, video.coder, video.bpp) == ("tiny", "table", facts["bpp"])
        assert (video.token_bits, video.time_stride, video.spatial_stride) == (18, 4, 8)
        assert [vars(s) for s in video.segments] == facts["segment_list"]
        assert sum(s.bytes for s in video.segments) < video.file_bytes == coded.stat().st_size
        assert [s.tokens for s in video.segments] == [3 * 18 * 22] * 5
        assert video.segments[2].start == pytest.approx(float(18 / video.fps), abs=1e-6)
        assert video.metadata == facts["meta"] and video.problems == ()
    code = ("import sys, nvcodec\nwith nvcodec.open(sys.argv[1]) as v: list(v.tokens())\n"
            "print('torch' in sys.modules or 'av' in sys.modules)")
    out = subprocess.run([sys.executable, "-c", code, str(coded)], capture_output=True, text=True,
                         check=True)
    assert out.stdout.strip() == "False"


def test_frames_are_those_of_decode(coded: Path, tmp_path: Path) -> None:
    nvcodec.decode(coded, tmp_path / "a.mkv")
    with open_video(tmp_path / "a.mkv") as lossless, nvcodec.open(coded) as video:
        wanted = [f.rgb for f in lossless.frames()]
        frames = list(video.frames())
        times = [f.pts * video.time_base for f in frames]
        assert times == [i / video.fps for i in range(45)]
        assert {f.duration * video.time_base for f in frames} == {1 / video.fps}
        assert all(np.array_equal(f.rgb, w) for f, w in zip(frames, wanted, strict=True))
        assert frames[0].rgb.dtype == np.uint8 and frames[0].rgb.flags.c_contiguous
        # Parts are the same frames at the same times, wherever they begin.
        for start, duration, first, last in (
                (0.5, 0.2, 15, 21), (0.3003, 0.0001, 9, 10), (0.7, None, 21, 45), (0, 0.01, 0, 1)):
            part = list(video.frames(start, duration))
            assert [f.pts for f in part] == [f.pts for f in frames[first:last]]
            assert all(np.array_equal(f.rgb, w) for f, w in zip(part, wanted[first:], strict=False))
        assert list(video.frames(9.0)) == []


def test_tokens_by_segment(coded: Path) -> None:
    with nvcodec.open(coded) as video, bitstream.Reader(coded) as reader:
        grids = list(video.tokens())
        assert [g.number for g in grids] == list(range(5))
        for grid, segment in zip(grids, reader.iter_segments(), strict=True):
            assert (grid.pts, grid.qp, grid.bytes) == (
                segment.pts, segment.qp, len(segment.payload))
            assert grid.tokens.dtype == np.uint32 and grid.tokens.shape == (3, 18, 22)
            low, high = grid.factors
            assert max(low.max(), high.max()) < 512
            for kind in (np.uint16, np.uint32):
                back = nvcodec.unfactorize(low.astype(kind), high.astype(kind))
                assert back.dtype == np.uint32 and np.array_equal(back, grid.tokens)
        assert [g.number for g in video.tokens(0.5, 0.3)] == [1, 2]


@pytest.mark.parametrize(("start", "duration", "wanted"), [
    (None, None, [0, 1, 2, 3, 4]), (0.5, 0.2, [1, 2]), (0.3003, 0.3003, [1]), (1.4, None, [4]),
])
def test_only_the_segments_of_a_part_are_read(
        start: float | None, duration: float | None, wanted: list[int], coded: Path,
        tmp_path: Path) -> None:
    """Counted by the bytes that left the file; at 0.3003 s a segment begins."""
    with nvcodec.open(coded) as video:
        sizes = [s.bytes for s in video.segments]
        due = overhead(coded) + sum(sizes[i] for i in wanted)
        assert len(list(video.tokens(start, duration))) == len(wanted)
        assert video.bytes_read == due
        frames = sum(1 for _ in video.frames(start, duration))
        assert video.bytes_read == 2 * due - overhead(coded)
    report = nvcodec.decode(coded, tmp_path / "part.mkv", nvcodec.DecodeOptions(
        start=start, duration=duration))
    assert (report.bytes_read, report.frames) == (due, frames)


@pytest.mark.usefixtures("tiny")
def test_sound_of_other_parts_is_not_read(tmp_path: Path) -> None:
    """Segments of 0.2 s, each with as much sound beside it."""
    source = tmp_path / "a.mvt"
    clip = make_clip(tmp_path / "small.mp4", [40 * i for i in range(25)])
    nvcodec.encode(clip, tmp_path / "silent.mvt", nvcodec.EncodeOptions(model="tiny", keyint=5))
    with (bitstream.Reader(tmp_path / "silent.mvt") as pictures, source.open("wb") as sink,
          bitstream.Writer(sink, pictures.header) as writer):
        writer.write_audio(bitstream.AudioStream(0, "pcm_s16le", 1, 1000, 8000, 1, "mono"))
        for i, segment in enumerate(pictures.iter_segments()):
            writer.write_segment(segment)
            packets = tuple(bitstream.Packet(bytes(1600), 200 * i + 100 * k, None, 100)
                            for k in range(2))
            writer.write_audio(bitstream.AudioPackets(0, packets))
    options = nvcodec.DecodeOptions(start=0.4, duration=0.2)
    report = nvcodec.decode(source, tmp_path / "part.mkv", options)
    assert report.frames == 5
    with bitstream.Reader(source) as reader:
        segment, (config, *audio) = reader.segments[2], reader.index.audio
        due = reader.bytes_read + segment.size + config.size + audio[2].size + 3 * 12
    assert report.bytes_read == due < source.stat().st_size / 2


def entries(starts: Sequence[int], lengths: Sequence[int],
            known: bool) -> list[bitstream.SegmentEntry]:
    """Segments of frames one tick apart; their last frame's duration may be unknown."""
    return [bitstream.SegmentEntry(0, 0, a, a + n - (not known), n, 0)
            for a, n in zip(starts, lengths, strict=True)]


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2)), min_size=1, max_size=6),
       st.integers(-2, 20), st.integers(1, 9), st.booleans())
@settings(max_examples=80, deadline=None)
def test_a_part_has_all_its_segments_and_few_others(
        shape: list[tuple[int, int]], first: int, length: int, known: bool) -> None:
    """Every segment with a frame inside; others only where the index cannot tell."""
    starts, clock = [], 0
    for frames, gap in shape:
        starts.append(clock)
        clock += frames + gap
    lengths = [frames for frames, _ in shape]
    span = Span(first, first + length)
    inside = [i for i, (a, n) in enumerate(zip(starts, lengths, strict=True))
              if any(span.first <= t < span.last for t in range(a, a + n))]
    chosen = span.choose(entries(starts, lengths, known))
    assert set(inside) <= set(chosen)
    for extra in set(chosen) - set(inside):
        assert known and starts[extra] + lengths[extra] == first and (
            extra + 1 == len(starts) or starts[extra + 1] > first)


def test_misuse_says_so_at_once(coded: Path, tmp_path: Path) -> None:
    with nvcodec.open(coded) as video:
        for call in (lambda: video.frames(-1), lambda: video.tokens(duration=0)):
            with pytest.raises(nvcodec.UsageError, match="is not a time"):
                call()
        frames = video.frames()
        assert next(frames).pts == 0
    with pytest.raises(nvcodec.UsageError, match="is closed; keep it open"):
        list(video.tokens())
    with pytest.raises(nvcodec.InputError, match="No such file"):
        nvcodec.open(tmp_path / "none.mvt")
    (tmp_path / "junk.mvt").write_bytes(b"junk" * 40)
    with pytest.raises(nvcodec.CorruptFileError):
        nvcodec.open(tmp_path / "junk.mvt")


def test_damage_is_an_error_or_passed_over(coded: Path, tmp_path: Path) -> None:
    data = bytearray(coded.read_bytes())
    with nvcodec.open(coded) as video:
        data[video.segments[1].offset + 40] ^= 1
        whole = [f.pts for f in video.frames()]
    bad = tmp_path / "bad.mvt"
    bad.write_bytes(data)
    with nvcodec.open(bad) as video, pytest.raises(nvcodec.CorruptFileError, match=r"bad\.mvt"):
        list(video.frames())
    with nvcodec.open(bad, recover=True) as video:
        assert [f.pts for f in video.frames()] == whole[:9] + whole[18:]
        assert [g.number for g in video.tokens()] == [0, 2, 3, 4]
        assert len(video.problems) == 2


def test_weights_that_are_not_here_cost_the_frames_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.mvt"
    path.write_bytes(make_file(make_header(model="elsewhere")))
    with nvcodec.open(path) as video:
        assert sum(g.tokens.size for g in video.tokens()) == 72
        assert video.metadata["title"] == "Größe"
        with pytest.raises(nvcodec.UnsupportedFileError, match="needs model 'elsewhere'"):
            next(video.frames())


def test_every_public_name_is_there() -> None:
    for name in nvcodec.__all__:
        assert getattr(nvcodec, name) is not None and name in dir(nvcodec)
        assert name == "__version__" or getattr(nvcodec, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'missing'"):
        nvcodec.missing  # noqa: B018
