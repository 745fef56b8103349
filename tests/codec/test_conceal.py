"""Damage costs the segment it is in: what is told, what is left out, what is filled in."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import bitstream
import nvcodec
from nvcodec import DecodeOptions, EncodeOptions
from nvcodec.cli.app import run
from nvcodec.codec.pictures import SegmentDecoder
from nvcodec.video.reader import open_video


@pytest.fixture
def coded(tiny: str, carphone: Path, tmp_path: Path) -> Path:
    """12 frames in three segments, of 5, 5 and 2."""
    target = tmp_path / "a.mvt"
    nvcodec.encode(carphone, target, EncodeOptions(
        model=tiny, coder="none", keyint=5, duration=0.4, audio=False))
    return target


def spoil(source: Path, *segments: int, index: bool = False) -> Path:
    """A copy with a flipped bit in these segments' tokens, and in INDX."""
    data = bytearray(source.read_bytes())
    with bitstream.Reader(source) as reader:
        for number in segments:
            entry = reader.segments[number]
            data[entry.offset + entry.size // 2] ^= 1
    if index:
        data[data.rindex(b"INDX") + 10] ^= 1
    target = source.with_name("bad.mvt")
    target.write_bytes(data)
    return target


def frames_of(path: Path) -> tuple[list[np.ndarray[Any, Any]], list[int]]:
    with open_video(path) as video:
        frames = list(video.frames())
    return [f.rgb for f in frames], [f.pts for f in frames]


def decoded(source: Path, **options: Any) -> tuple[Any, list[np.ndarray[Any, Any]], list[int]]:
    target = source.with_name("back.mkv")
    report = nvcodec.decode(source, target, DecodeOptions(force=True, **options))
    return report, *frames_of(target)


def test_the_last_picture_is_held_for_a_lost_segment(coded: Path) -> None:
    _, whole, times = decoded(coded)
    for index in (False, True):  # without INDX the chunk itself tells its times
        report, pictures, again = decoded(spoil(coded, 1, index=index), conceal=True)
        assert again == times and report.frames == 12 and report.concealed == 5
        for k in (*range(5), 10, 11):
            assert np.array_equal(pictures[k], whole[k])
        for k in range(5):
            assert np.array_equal(pictures[5 + k], whole[4])
        (gap,) = report.gaps
        assert (gap.first, gap.frames, gap.concealed) == (5, 5, True)
        assert gap.start == pytest.approx(5 * 1001 / 30000, abs=1e-5)


def test_lost_ends_are_held(coded: Path) -> None:
    _, whole, times = decoded(coded)
    report, pictures, again = decoded(spoil(coded, 0, 2), conceal=True)
    assert again == times and [g.first for g in report.gaps] == [0, 10]
    assert all(np.array_equal(p, whole[5]) for p in pictures[:5])
    assert all(np.array_equal(p, whole[9]) for p in pictures[10:])
    with pytest.raises(nvcodec.CorruptFileError, match="no whole segment"):
        decoded(spoil(coded, 0, 1, 2), conceal=True)


def test_a_part_is_filled_in_as_in_the_whole(coded: Path) -> None:
    bad = spoil(coded, 1)
    _, whole, _ = decoded(bad, conceal=True)
    report, part, _ = decoded(bad, conceal=True, start=6 * 1001 / 30000, duration=0.09)
    assert len(part) == report.concealed == 3
    assert all(np.array_equal(a, b) for a, b in zip(part, whole[6:9], strict=True))


@pytest.mark.parametrize("index", [False, True])
def test_a_pipe_is_filled_in_alike(coded: Path, index: bool,
                                   monkeypatch: pytest.MonkeyPatch) -> None:
    bad = spoil(coded, 1, 2, index=index)
    _, whole, times = decoded(bad, conceal=True)
    reader = io.BufferedReader(_Pipe(bad.read_bytes()))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=reader))
    target = coded.with_name("piped.mkv")
    report = nvcodec.decode("-", target, DecodeOptions(conceal=True))
    pictures, again = frames_of(target)
    assert again == times and report.concealed == 7 and report.frames == 12
    assert all(np.array_equal(a, b) for a, b in zip(pictures, whole, strict=True))


@pytest.mark.parametrize("index", [False, True])
def test_parts_begin_alike_however_they_are_read(coded: Path, index: bool) -> None:
    """A lost beginning counts, whether the index tells of it or its own chunk does."""
    bad = spoil(coded, 0, index=index)
    part = {"start": 6 * 1001 / 30000, "duration": 0.09}
    _, pictures, _ = decoded(bad, recover=True, **part)
    with nvcodec.open(bad, recover=True) as video:
        frames = list(video.frames(**part))
        assert float(video.duration) == pytest.approx(0.4, abs=1e-3)
    assert [f.pts for f in frames] == [6 * 1001, 7 * 1001, 8 * 1001]
    assert all(np.array_equal(f.rgb, p) for f, p in zip(frames, pictures, strict=True))


@pytest.mark.parametrize("pipe", [False, True])
def test_a_part_ends_the_work(coded: Path, pipe: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments behind it are not decoded, but for the first picture if its beginning is lost."""
    calls: list[tuple[int, int]] = []
    frames = SegmentDecoder.frames

    def counted(self: SegmentDecoder, segment: bitstream.Segment, last: int, *rest: Any) -> Any:
        calls.append((segment.first_pts // 1001, sum(t < last for t in segment.pts)))
        return frames(self, segment, last, *rest)

    monkeypatch.setattr(SegmentDecoder, "frames", counted)

    def part(source: Path) -> list[np.ndarray[Any, Any]]:
        calls.clear()
        if pipe:
            reader = io.BufferedReader(_Pipe(source.read_bytes()))
            monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=reader))
        target = source.with_name("part.mkv")
        nvcodec.decode("-" if pipe else source, target,
                       DecodeOptions(conceal=True, duration=0.09, force=True))
        return frames_of(target)[0]

    with nvcodec.open(coded) as video:
        whole = [f.rgb for f in video.frames()]
    assert len(part(coded)) == 3 and calls == [(0, 3)]
    pictures = part(spoil(coded, 0))
    assert calls == [(5, 1)]
    assert len(pictures) == 3 and all(np.array_equal(p, whole[5]) for p in pictures)


def test_cut_files_end_with_their_last_whole_segment(coded: Path,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    cut = coded.with_name("cut.mvt")
    with bitstream.Reader(coded) as reader:
        cut.write_bytes(coded.read_bytes()[:reader.segments[2].offset + 30])
    with pytest.raises(nvcodec.CorruptFileError, match=r"after 10 whole frames \(0.334 s\)"):
        decoded(cut)
    for options in ({"recover": True}, {"conceal": True}):
        report, pictures, _ = decoded(cut, **options)
        assert len(pictures) == 10 and report.concealed == 0 and len(report.warnings) == 1


def test_every_damaged_segment_is_named(coded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index in (False, True):
        assert run(["verify", str(spoil(coded, 0, 2, index=index)), "--json"]) == 3
        out, err = capsys.readouterr()
        rows = json.loads(out)["damaged"]
        assert [(r["segment"], r["first"], r["frames"]) for r in rows] == [(0, 0, 5), (2, 10, 2)]
        assert "segment 0 of 3, frames 0-4 (0.000-0.167 s)" in err
        assert "segment 2 of 3, frames 10-11 (0.334-0.400 s)" in err and err.count("\n") == 1


def test_the_command_line_says_where(coded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad, target = str(spoil(coded, 1)), coded.with_name("c.mkv")
    assert run(["decode", bad, "-o", str(target)]) == 3
    err = capsys.readouterr().err
    assert "frames 5-9 (0.167-0.334 s) are lost" in err and "--conceal" in err
    assert not target.exists()
    assert run(["decode", bad, "-o", str(target), "--conceal", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["gaps"][0]["first"] == 5
    assert "warning: frames 5-9 (0.167-0.334 s): concealed" in err


class _Pipe(io.RawIOBase):
    """Bytes that come once."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._data.read(min(len(buffer), 1000))
        buffer[:len(part)] = part
        return len(part)
