from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from benchmarks.clips import bundled_clips, probe, unique_names
from benchmarks.master import filters, make_master
from benchmarks.process import Runner
from nvcodec.errors import InputError
from nvcodec.video.reader import open_video


def frames_of(path):
    with open_video(path) as video:
        return [f.rgb for f in video.frames()]


def test_probe_tells_size_rate_and_matrix(make_clip):
    clip = probe(make_clip())
    assert (clip.width, clip.height, clip.fps, clip.frames) == (640, 360, Fraction(25), 5)
    assert clip.matrix == "bt709" and not clip.full_range and len(clip.sha256) == 64


def test_bundled_clips_are_there():
    assert [p.name for p in bundled_clips()] == ["bigbuckbunny.mp4", "bikes.mp4"]


def test_a_master_of_the_right_size_keeps_its_pixels(make_clip, ffmpeg, tmp_path):
    path = make_clip()
    master = make_master(Runner(), ffmpeg, probe(path), tmp_path, 0)
    assert master.frames == 5 and master.fps == "25"
    for a, b in zip(frames_of(path), frames_of(master.path), strict=True):
        assert np.array_equal(a, b)


def test_a_master_is_made_once(make_clip, ffmpeg, tmp_path):
    clip = probe(make_clip())
    first = make_master(Runner(), ffmpeg, clip, tmp_path, 3)
    again = make_master(Runner(), "/no/ffmpeg", clip, tmp_path, 3)
    assert again == first and first.frames == 3


@pytest.mark.parametrize(("width", "height"), [(320, 240), (360, 640), (1280, 720), (642, 362)])
def test_other_sizes_are_scaled_and_cropped(make_clip, ffmpeg, tmp_path, width, height):
    clip = probe(make_clip(width, height, 2))
    master = make_master(Runner(), ffmpeg, clip, tmp_path, 0)
    with open_video(master.path) as video:
        info = video.info
        assert (info.width, info.height, master.frames) == (640, 360, 2)
        assert info.color_tagged.matrix == 1 and info.color_tagged.full_range is False


def test_one_frame_is_a_clip(make_clip, ffmpeg, tmp_path):
    assert make_master(Runner(), ffmpeg, probe(make_clip(frames=1)), tmp_path, 97).frames == 1


def test_a_truncated_clip_is_named(make_clip, ffmpeg, tmp_path):
    whole = make_clip(frames=20).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(InputError, match=r"cut\.mp4: .*truncated"):
        make_master(Runner(), ffmpeg, probe(cut), tmp_path, 0)
    assert not list(tmp_path.glob("*.part")) and not list(tmp_path.glob("*.mkv"))


def test_no_video_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        probe(tmp_path / "none.mp4")
    text = tmp_path / "text.mp4"
    text.write_text("hello")
    with pytest.raises(InputError, match=r"text\.mp4"):
        probe(text)


def test_raw_video_is_told_by_its_name(ffmpeg, tmp_path):
    path = tmp_path / "videoSRC07_64x48_30.yuv"
    path.write_bytes(bytes(64 * 48 * 3 // 2) * 3)
    clip = probe(path)
    assert (clip.name, clip.width, clip.height, clip.fps, clip.frames) == (
        "videoSRC07", 64, 48, Fraction(30), 3)
    assert make_master(Runner(), ffmpeg, clip, tmp_path, 0).frames == 3
    path.write_bytes(bytes(100))
    with pytest.raises(InputError, match="truncated"):
        probe(path)
    bare = tmp_path / "clip.yuv"
    bare.write_bytes(b"1")
    with pytest.raises(InputError, match="size and rate"):
        probe(bare)


def test_names_are_unique_and_no_clip_counts_twice(make_clip, tmp_path):
    first = probe(make_clip())
    other = tmp_path / make_clip().name
    other.write_bytes(make_clip(frames=1).read_bytes())
    names = [c.name for c in unique_names([first, probe(other), first])]
    assert len(names) == 2 == len(set(names)) and all(first.name in n for n in names)


def test_filters_name_the_source_matrix(make_clip):
    clip = probe(make_clip())
    assert "in_color_matrix=bt709:in_range=tv" in filters(clip)
    assert "lanczos" in filters(clip) and "crop=640:360" in filters(clip)
