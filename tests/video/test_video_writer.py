"""Writing: what goes in comes out again, or nothing appears at all."""

from __future__ import annotations

import itertools
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from nvcodec.errors import InputError, OutputError, UsageError
from nvcodec.video.atomic import AtomicFile, atomic_output
from nvcodec.video.color import ColorTags
from nvcodec.video.info import Chapter
from nvcodec.video.reader import open_video
from nvcodec.video.writer import VideoWriter

TICK = Fraction(1, 25)


def save(
    path: Any, frames: Any, pts: Any = None, base: Fraction = TICK, last: int = 1, **how: Any
) -> Path:
    height, width = frames[0].shape[:2]
    pts = list(range(len(frames))) if pts is None else pts
    durations = [b - a for a, b in itertools.pairwise(pts)] + [last]
    fps = how.pop("fps", Fraction(25))
    with VideoWriter(path, width, height, fps, base, **how) as out:
        for rgb, at, duration in zip(frames, pts, durations, strict=False):
            out.write(rgb, at, duration)
    return Path(path)


def read(path: Any) -> tuple[Any, list[Any]]:
    with open_video(path) as video:
        return video.info, list(video.frames())


def psnr(one: Any, two: Any) -> float:
    error = np.mean((np.asarray(one, float) - np.asarray(two, float)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def smooth(width: int, height: int, count: int) -> list[Any]:
    """Frames without hard edges, so that 4:2:0 costs little."""
    y, x = np.mgrid[0:height, 0:width]
    ramps = [np.stack([x * 2 + i, y * 2 + 40, x + y + 20], -1) for i in range(count)]
    return [np.clip(ramp * 0.8, 0, 255).astype(np.uint8) for ramp in ramps]


# -- pictures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["mp4", "m4v", "mov", "mkv", "webm", "y4m"])
@pytest.mark.parametrize("size", [(96, 64), (65, 49), (64, 33), (2, 2)])
def test_size_and_pictures_come_back(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    frames = smooth(*size, 4)
    info, back = read(save(tmp_path / f"o.{suffix}", frames))
    assert (info.width, info.height) == size and len(back) == 4
    for mine, theirs in zip(frames, back, strict=False):
        assert psnr(mine, theirs.rgb) > (99 if suffix == "mkv" else 38)


def test_codecs_are_those_promised(tmp_path: Path, pictures: Any) -> None:
    for suffix, codec, pix_fmt in (
        ("mp4", "h264", "yuv420p"), ("mkv", "ffv1", "bgr0"), ("webm", "vp9", "yuv420p"),
    ):  # fmt: skip
        info, _ = read(save(tmp_path / f"o.{suffix}", pictures()))
        assert (info.codec, info.pix_fmt) == (codec, pix_fmt)
    assert read(save(tmp_path / "odd.mp4", pictures(65, 48)))[0].pix_fmt == "yuv444p"
    with av.open(str(tmp_path / "o.mp4")) as container:
        assert container.streams.video[0].profile == "High"


def test_crf_trades_size_for_quality(tmp_path: Path, pictures: Any) -> None:
    frames = pictures(160, 120, 8)
    sizes = [save(tmp_path / f"{crf}.mp4", frames, crf=crf).stat().st_size for crf in (0.5, 12, 40)]
    default = save(tmp_path / "d.mp4", frames).stat().st_size
    assert sizes[0] > sizes[1] == default > sizes[2]


# -- time --------------------------------------------------------------------------------------

TIMES = {
    "constant": (Fraction(1001, 30000), [0, 1, 2, 3, 4], 1),
    "fine": (Fraction(1, 90000), [0, 3003, 6006, 9009, 12012], 3003),
    "variable": (Fraction(1, 1000), [0, 33, 40, 500, 517], 250),
    "late": (Fraction(1, 12800), [777, 1289, 1801, 2313, 9999], 512),
    "nanoseconds": (Fraction(1, 10**9), [1, 33366667, 66733334, 100100000, 133466667], 33366667),
    "tiny": (Fraction(1, 15360), [0, 1, 2, 512, 514], 3),
}


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
@pytest.mark.parametrize("name", TIMES)
def test_mp4_keeps_every_tick(tmp_path: Path, pictures: Any, suffix: str, name: str) -> None:
    base, pts, last = TIMES[name]
    path = save(tmp_path / f"o.{suffix}", pictures(count=5), pts, base, last)
    info, back = read(path)
    assert [f.pts * info.time_base for f in back] == [t * base for t in pts]
    assert back[-1].duration * info.time_base == last * base
    assert info.time_base == Fraction(1, base.denominator)


@pytest.mark.parametrize("suffix", ["mkv", "webm"])
@pytest.mark.parametrize("name", ["constant", "variable", "late"])
def test_mkv_and_webm_round_to_milliseconds(
    tmp_path: Path, pictures: Any, suffix: str, name: str
) -> None:
    base, pts, last = TIMES[name]
    info, back = read(save(tmp_path / f"o.{suffix}", pictures(count=5), pts, base, last))
    for frame, tick in zip(back, pts, strict=True):
        assert abs(frame.pts * info.time_base - tick * base) <= Fraction(1, 2000)


def test_many_frames_stay_in_step(tmp_path: Path) -> None:
    frame = np.full((16, 16, 3), 90, np.uint8)
    pts = [round(i * 3003 / 2) for i in range(400)]
    info, back = read(save(tmp_path / "o.mp4", [frame] * 400, pts, Fraction(1, 90000), 1501))
    assert [f.pts * info.time_base for f in back] == [Fraction(t, 90000) for t in pts]


def test_negative_times_are_shifted_together(tmp_path: Path, pictures: Any, caplog: Any) -> None:
    info, back = read(save(tmp_path / "o.mp4", pictures(count=4), [-2, -1, 0, 1]))
    assert [f.pts * info.time_base for f in back] == [n * TICK for n in range(4)]
    assert "shifted by 0.080 s" in caplog.text


@pytest.mark.parametrize("name", ["y4m", "%02d.png"])
def test_formats_without_times_say_so(
    tmp_path: Path, pictures: Any, caplog: Any, name: str
) -> None:
    save(tmp_path / f"c.{name}", pictures(count=3), [0, 33, 67], Fraction(1, 1000))
    assert not caplog.text
    save(tmp_path / f"o.{name}", pictures(count=3), [0, 1, 9])
    assert "frame times are lost" in caplog.text


# -- tags --------------------------------------------------------------------------------------


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotation_is_a_tag_that_the_reader_applies(
    tmp_path: Path, pictures: Any, rotation: int
) -> None:
    frames = pictures(96, 64, 2)
    info, back = read(save(tmp_path / "o.mp4", frames, rotation=rotation))
    assert info.rotation == rotation
    assert psnr(back[0].rgb, np.rot90(frames[0], -rotation // 90)) > 25


@pytest.mark.parametrize("suffix", ["mp4", "mov", "png", "mkv", "webm", "y4m"])
def test_pixel_aspect(tmp_path: Path, pictures: Any, suffix: str, caplog: Any) -> None:
    frames = pictures(count=1)
    path = save(tmp_path / f"o.{suffix}", frames, sample_aspect_ratio=Fraction(128, 117))
    aspect = read(path)[0].sample_aspect_ratio
    if suffix in ("mkv", "webm", "y4m"):
        assert aspect == 1 and "pixel aspect 128/117 is not stored" in caplog.text
    else:
        assert abs(aspect - Fraction(128, 117)) < Fraction(1, 1000) and not caplog.text


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_metadata_and_chapters(tmp_path: Path, pictures: Any, suffix: str) -> None:
    chapters = (
        Chapter(Fraction(0), Fraction(1, 10), "One"),
        Chapter(Fraction(1, 10), Fraction(1, 5), "Zwei ü"),
    )
    path = save(tmp_path / f"o.{suffix}", pictures(), metadata={"title": "Täg"}, chapters=chapters)
    info, _ = read(path)
    assert {key.lower(): value for key, value in info.metadata.items()}["title"] == "Täg"
    assert info.chapters == chapters


def test_rgb_sources_get_a_definite_matrix(tmp_path: Path, pictures: Any) -> None:
    path = save(tmp_path / "o.mp4", pictures(), color=ColorTags(0, 1, 13, True))
    assert read(path)[0].color_tagged == ColorTags(6, 1, 13, False)


# -- files -------------------------------------------------------------------------------------


def test_existing_targets_are_kept_without_force(tmp_path: Path, pictures: Any) -> None:
    for name in ("o.mp4", "o.png"):
        path = tmp_path / name
        path.write_text("mine")
        with pytest.raises(OutputError, match="exists already; use -f"):
            save(path, pictures(count=1))
        assert path.read_text() == "mine"
        save(path, pictures(count=1), force=True)
        assert len(read(path)[1]) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["o.mp4", "o.png"]


def test_an_error_leaves_nothing(tmp_path: Path, pictures: Any) -> None:
    path = tmp_path / "o.mp4"
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), VideoWriter(path, 64, 48, Fraction(25), TICK) as out:
            out.write(pictures()[0], 0, 1)
            assert not path.exists()
            raise error
    assert list(tmp_path.iterdir()) == []


def test_no_frame_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no frame"):
        VideoWriter(tmp_path / "o.mp4", 64, 48, Fraction(25), TICK).close()
    assert list(tmp_path.iterdir()) == []


def test_misuse_is_named(tmp_path: Path, pictures: Any) -> None:
    rgb = pictures()[0]
    out = VideoWriter(tmp_path / "o.mp4", 64, 48, Fraction(25), TICK)
    out.write(rgb, 5, 1)
    for frame, pts in ((rgb[:40], 6), (rgb.astype(float), 6), (rgb, 5), (rgb, 4)):
        with pytest.raises(UsageError):
            out.write(frame, pts, 1)
    out.close()
    out.close()
    with pytest.raises(UsageError, match="closed"):
        out.write(rgb, 7, 1)
    assert len(read(tmp_path / "o.mp4")[1]) == 1


@pytest.mark.parametrize(
    ("name", "how"),
    [("o.avi", {}), ("o", {}), ("o.mp4", {"rotation": 45}), ("o.mp4", {"crf": 52}),
     ("o.webm", {"crf": 64}), ("o.mp4", {"fps": Fraction(0)}),
     ("o.mp4", {"sample_aspect_ratio": Fraction(0)}), ("o.mp4", {"base": Fraction(-1)})],
)  # fmt: skip
def test_senseless_arguments(tmp_path: Path, pictures: Any, name: str, how: Any) -> None:
    with pytest.raises(UsageError):
        save(tmp_path / name, pictures(count=1), **how)
    assert list(tmp_path.iterdir()) == []


def test_unwritable_targets(tmp_path: Path, pictures: Any) -> None:
    (tmp_path / "d.mp4").mkdir()
    for path, words in (
        (tmp_path / "no" / "o.mp4", "no such folder"),
        (tmp_path / "d.mp4", "is a folder"),
    ):
        with pytest.raises(OutputError, match=words):
            save(path, pictures(count=1))


def test_a_full_disk_is_an_output_error(pictures: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    link = tmp_path / "full.mkv"
    link.symlink_to("/dev/full")
    noise = [rng.integers(0, 256, (240, 320, 3), dtype=np.uint8) for _ in range(4)]
    with pytest.raises(OutputError, match=r"cannot be written .*space"):
        save(link, noise, force=True)


def test_png_one_and_many(tmp_path: Path, pictures: Any) -> None:
    frames = pictures(65, 49, 3)
    assert np.array_equal(read(save(tmp_path / "one.png", frames[:1]))[1][0].rgb, frames[0])
    with pytest.raises(OutputError, match="%05d"):
        save(tmp_path / "two.png", frames)
    save(tmp_path / "n_%05d.png", frames)
    names = sorted(path.name for path in tmp_path.glob("n_*.png"))
    assert names == ["n_00001.png", "n_00002.png", "n_00003.png"]
    _, back = read(tmp_path / "n_%05d.png")
    assert all(np.array_equal(a.rgb, b) for a, b in zip(back, frames, strict=True))


def test_standard_output_is_y4m(tmp_path: Path) -> None:
    code = (
        "import numpy as np\n"
        "from fractions import Fraction as F\n"
        "from nvcodec.video.writer import VideoWriter\n"
        "with VideoWriter('-', 64, 48, F(30000, 1001), F(1001, 30000)) as out:\n"
        "    for i in range(3): out.write(np.full((48, 64, 3), 100, np.uint8), i, 1)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    path = tmp_path / "o.y4m"
    path.write_bytes(done.stdout)
    info, frames = read(path)
    assert (len(frames), info.fps, info.width) == (3, Fraction(30000, 1001), 64)
    assert np.abs(frames[0].rgb.astype(int) - 100).max() <= 1


def test_atomic_output(tmp_path: Path) -> None:
    path = tmp_path / "a.mvt"
    with atomic_output(path) as part:
        part.write_bytes(b"x")
        assert not path.exists() and part.parent == tmp_path
    assert path.read_bytes() == b"x"
    with pytest.raises(OutputError), atomic_output(path) as part:
        pytest.fail("entered")
    with pytest.raises(ZeroDivisionError), atomic_output(path, force=True) as part:
        part.write_bytes(b"y")
        raise ZeroDivisionError
    assert path.read_bytes() == b"x" and list(tmp_path.iterdir()) == [path]


def test_a_target_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    file = AtomicFile(tmp_path / "a.mvt")
    file.path.write_bytes(b"new")
    file.target.write_bytes(b"other")
    with pytest.raises(OutputError, match="appeared"):
        file.commit()
    assert file.target.read_bytes() == b"other" and list(tmp_path.iterdir()) == [file.target]


def test_devices_are_written_directly() -> None:
    with atomic_output("/dev/null") as part:
        assert str(part) == "/dev/null"


def test_atomic_needs_no_av() -> None:
    code = (
        "import sys, nvcodec.video.atomic; sys.exit('av' in sys.modules or 'torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_to_read_is_left_by_an_aborted_writer(tmp_path: Path, pictures: Any) -> None:
    out = VideoWriter(tmp_path / "o.mp4", 64, 48, Fraction(25), TICK)
    out.write(pictures()[0], 0, 1)
    out.abort()
    with pytest.raises(InputError, match="no such file"):
        open_video(tmp_path / "o.mp4")
