"""Files land on the rate that was wished for, measured on real files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import nvcodec
from nvcodec import EncodeOptions, EncodeReport, Progress
from nvcodec.codec import clip
from nvcodec.codec.clip import Clip, Window
from nvcodec.codec.events import ignore
from nvcodec.video.reader import open_video
from nvcodec.video.stills import write_png

pytestmark = pytest.mark.usefixtures("scalable")


def coded(source: Path, tmp_path: Path, **wish: object) -> EncodeReport:
    """Encode, and check that the report is the file and that the file is whole."""
    options = EncodeOptions(model="tiny", force=True, **wish)  # type: ignore[arg-type]
    target = tmp_path / "a.mvt"
    report = nvcodec.encode(source, target, options)
    facts = nvcodec.inspect(target)
    assert facts["bytes"] == report.file_bytes and facts["bpp"] == pytest.approx(report.bpp)
    assert nvcodec.verify(target)["frames"] == report.frames
    return report


def span(source: Path, tmp_path: Path, **part: object) -> tuple[float, float]:
    """bpp at qp 63 and at qp 0."""
    low, high = (coded(source, tmp_path, qp=qp, **part).bpp for qp in (63, 0))
    assert low < 0.7 * high
    return low, high


@pytest.mark.parametrize("part", [
    {"duration": 0.5},                               # one segment
    {"duration": 0.5, "keyint": 9},                  # two
    {"duration": 1.0, "keyint": 7},                  # many, with a short one at the end
    {"start": 0.7, "duration": 0.7, "keyint": 7},    # not from the start
], ids=["one", "two", "many", "part"])
@pytest.mark.parametrize("where", [0.3, 0.7])
def test_bpp(part: dict[str, float], where: float, carphone: Path, tmp_path: Path) -> None:
    low, high = span(carphone, tmp_path, **part)
    wish = low + where * (high - low)
    report = coded(carphone, tmp_path, bpp=wish, verify=True, **part)
    assert report.bpp == pytest.approx(wish, rel=0.02) == report.wanted_bpp
    assert not report.warnings and report.reach is None and 1 < report.passes < 10


def test_bitrate(carphone: Path, tmp_path: Path) -> None:
    with open_video(carphone) as video:
        fps, pixels = float(video.info.fps), video.info.width * video.info.height
    low, high = span(carphone, tmp_path, duration=0.5)
    kbit = (low + high) / 2 * pixels * fps / 1000
    report = coded(carphone, tmp_path, bitrate=kbit, duration=0.5)
    assert report.bpp * pixels * fps / 1000 == pytest.approx(kbit, rel=0.02)


@pytest.mark.parametrize("keyint", [97, 7])
def test_size_counts_the_sound_and_is_a_limit(keyint: int, talkie: Path, tmp_path: Path) -> None:
    part = {"keyint": keyint}
    small, large = (coded(talkie, tmp_path, qp=qp, **part).file_bytes for qp in (63, 0))
    wish = (small + large) // 2
    report = coded(talkie, tmp_path, size=wish, **part)
    assert report.audio_bytes > 1000
    assert 0.98 * wish <= report.file_bytes <= wish
    silent = coded(talkie, tmp_path, size=wish - report.audio_bytes, audio=False, **part)
    assert 0.98 <= silent.file_bytes / (wish - report.audio_bytes) <= 1
    with pytest.raises(nvcodec.UsageError, match="audio alone"):
        coded(talkie, tmp_path, size=report.audio_bytes // 2, **part)


def test_bpp_leaves_the_sound_out(talkie: Path, tmp_path: Path) -> None:
    part = {"keyint": 6}
    low, high = span(talkie, tmp_path, **part)
    report = coded(talkie, tmp_path, bpp=(low + high) / 2, **part)
    assert report.audio_bytes and report.bpp == pytest.approx((low + high) / 2, rel=0.02)


@pytest.mark.parametrize("keyint", [97, 5])
def test_out_of_reach_says_what_is(keyint: int, carphone: Path, tmp_path: Path) -> None:
    part = {"duration": 0.6, "keyint": keyint}
    low, high = span(carphone, tmp_path, **part)
    for wish, nearest, qp in ((low / 3, low, 63), (high * 3, high, 0)):
        report = coded(carphone, tmp_path, bpp=wish, **part)
        assert report.bpp == pytest.approx(nearest, rel=0.01) and set(report.qp) == {qp}
        assert report.reach == pytest.approx((low, high), rel=0.35 if keyint == 5 else 1e-6)
        (warning,) = report.warnings
        assert "out of this model's reach" in warning and "qp 63" in warning
        assert f"{report.bpp:.4g}" in warning and "\n" not in warning


def test_a_size_out_of_reach(carphone: Path, tmp_path: Path) -> None:
    report = coded(carphone, tmp_path, size=200, duration=0.3)
    assert set(report.qp) == {63} and report.warnings[0].startswith("200 bytes")


def test_a_still(tmp_path: Path) -> None:
    x = np.linspace(0, 20, 160)
    noise = np.random.default_rng(0).normal(0, 30, (96, 160))
    picture = 127 + 60 * np.sin(x[:96, None] * x) + noise
    source = tmp_path / "a.png"
    write_png(source, np.repeat(picture.clip(0, 255).astype(np.uint8)[..., None], 3, 2))
    sizes = [coded(source, tmp_path, qp=qp).file_bytes for qp in (63, 0)]
    wish = sum(sizes) // 2
    assert 0.98 * wish <= coded(source, tmp_path, size=wish).file_bytes <= wish
    report = coded(source, tmp_path, bpp=8 * wish / picture.size)
    assert report.bpp == pytest.approx(8 * wish / picture.size, rel=0.02)


def test_memory_too_small_reads_the_file_again(carphone: Path, tmp_path: Path,
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames that may not be kept are decoded once more: the same file comes out."""
    part = {"start": 0.5, "duration": 0.8, "keyint": 7}
    low, high = span(carphone, tmp_path, **part)
    wish = (low + 2 * high) / 3
    first = coded(carphone, tmp_path, bpp=wish, **part)
    data = (tmp_path / "a.mvt").read_bytes()
    monkeypatch.setattr(clip, "KEPT_BYTES", 0)
    assert coded(carphone, tmp_path, bpp=wish, **part).passes == first.passes
    assert (tmp_path / "a.mvt").read_bytes() == data


def test_a_file_that_reads_differently_is_left_as_it_is(carphone: Path, tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    def late(self: Window) -> Iterator[object]:
        with open_video(self.path) as video:
            yield from video.frames(self.start + 0.2)

    monkeypatch.setattr(clip, "KEPT_BYTES", 0)
    monkeypatch.setattr(Window, "__iter__", late)
    report = coded(carphone, tmp_path, bpp=0.02, duration=0.3)
    assert report.frames == 9 and report.warnings


def test_a_clip_is_the_same_each_time(carphone: Path) -> None:
    with open_video(carphone) as video:
        frames = list(video.frames(1.0, 0.4))
        tick = video.info.time_base
    for again in (None, Window(str(carphone), float(frames[0].pts * tick), 50)):
        part = Clip(iter(frames), keep=again is None, again=again)
        assert part.is_lasting
        for _ in range(3):
            seen = list(part)
            assert [f.pts for f in seen] == [f.pts for f in frames]
            assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(seen, frames, strict=True))


def test_listeners_can_stop_a_search(carphone: Path, tmp_path: Path) -> None:
    stages: list[str] = []

    def listen(progress: Progress) -> None:
        stages.append(progress.stage)
        if progress.stage.startswith("search"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nvcodec.encode(carphone, tmp_path / "b.mvt",
                       EncodeOptions(model="tiny", bpp=0.02, duration=0.3), listen)
    assert list(tmp_path.iterdir()) == [] and stages[0] == "encode"


def test_progress_ends_where_the_file_does(carphone: Path, tmp_path: Path) -> None:
    events: list[Progress] = []
    options = EncodeOptions(model="tiny", bpp=0.025, duration=0.5, keyint=4)
    report = nvcodec.encode(carphone, tmp_path / "b.mvt", options, events.append)
    done = [e.frames for e in events if e.stage == "encode"]
    assert done == sorted(done) and done[-1] == report.frames
    assert events[-1].stage == "encode"
    assert {e.stage.split()[0] for e in events} == {"encode", "search"}
    assert nvcodec.encode(carphone, tmp_path / "c.mvt", EncodeOptions(
        model="tiny", qp=9, duration=0.2), ignore).passes == 1


@pytest.mark.parametrize("keyint", [97, 6])
def test_standard_input(keyint: int, tmp_path: Path) -> None:
    """Read once, its length unknown: the first segment is the sample, the last are searched."""
    grid = np.add.outer(np.arange(96), np.arange(128))
    frames = [b"FRAME\n" + (128 + 90 * np.sin((grid + 3 * i) / (3 + i / 9))).astype(
        np.uint8).tobytes() + bytes([128]) * 6144 for i in range(27)]
    stream = b"".join([b"YUV4MPEG2 W128 H96 F25:1 Ip C420jpeg\n", *frames])

    (tmp_path / "a.y4m").write_bytes(stream)
    wish = sum(span(tmp_path / "a.y4m", tmp_path, keyint=keyint)) / 2
    done = subprocess.run(
        [sys.executable, "-m", "nvcodec", "encode", "-", "-o", str(tmp_path / "a.mvt"), "-f",
         "--model", "tiny", "--keyint", str(keyint), "--json", "--bpp", str(wish)],
        input=stream, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["bpp"] == pytest.approx(wish, rel=0.02) and not report["warnings"]
    assert report["frames"] == 27
