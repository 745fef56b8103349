"""What is missing, broken or no video: one-line errors that name the file and the remedy."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nvcodec.errors import InputError, UsageError
from nvcodec.video.audio import read_audio
from nvcodec.video.reader import open_video


def test_missing_folder_empty_text(tmp_path: Path) -> None:
    empty, text = tmp_path / "empty.mp4", tmp_path / "notes.txt"
    empty.touch()
    text.write_text("hello\n" * 100)
    for path, words in (
        (tmp_path / "none.mp4", "no such file"),
        (tmp_path, "is a folder"),
        (empty, "empty"),
        (text, "not a readable video|no video stream"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            open_video(path)
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable(clip: Any, pictures: Any) -> None:
    path = clip("x.mp4", pictures())
    path.chmod(0)
    with pytest.raises(InputError, match="permissions"):
        open_video(path)


def test_audio_only(song: Any) -> None:
    with pytest.raises(InputError, match="only audio"):
        open_video(song("song.m4a"))


def test_no_network_and_no_playlists(tmp_path: Path) -> None:
    path = tmp_path / "list.m3u8"
    path.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    for name in (path, "http://127.0.0.1:9/a.mp4"):
        with pytest.raises(InputError):
            open_video(name)


def test_truncated_header(clip: Any, pictures: Any) -> None:
    path = clip("cut.mp4", pictures(count=10))
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(InputError, match="whole video file"):
        open_video(path)


def noisy(clip: Any, count: int, options: dict[str, str]) -> Path:
    """An mp4 of noise, whose bytes are nearly all picture data."""
    rng = np.random.default_rng(1)
    noise = [rng.integers(0, 256, (96, 128, 3), dtype=np.uint8) for _ in range(count)]
    return Path(clip("bad.mp4", noise, options=options, mux={"movflags": "faststart"}))


def spoil(path: Path, where: float) -> None:
    data = bytearray(path.read_bytes())
    at = round(len(data) * where)
    data[at : at + 4000] = np.random.default_rng(2).bytes(4000)
    path.write_bytes(data)


def test_damage_names_the_frame(clip: Any) -> None:
    path = noisy(clip, 20, {"g": "1", "bf": "0"})
    spoil(path, 1 / 2)
    with open_video(path) as video, pytest.raises(InputError, match="damaged at frame ") as caught:
        list(video.frames())
    assert 5 <= int(str(caught.value).split("at frame ")[1].split()[0]) <= 14
    with open_video(path, tolerate_damage=True) as video:
        assert 15 <= len(list(video.frames())) <= 20


def test_size_change_names_the_frame(tmp_path: Path, clip: Any, pictures: Any) -> None:
    one = clip("one.ts", pictures(64, 48, 4), options={"bf": "0"})
    two = clip("two.ts", pictures(96, 80, 4), options={"bf": "0"})
    path = tmp_path / "both.ts"
    path.write_bytes(one.read_bytes() + two.read_bytes())
    with open_video(path) as video, pytest.raises(InputError, match="64x48 to 96x80 at frame 4"):
        list(video.frames())


def test_reading_on_after_closing_is_an_error(clip: Any, pictures: Any) -> None:
    path = clip("c.mp4", pictures(count=9), audio="aac")
    with open_video(path) as video:
        frames, again = video.frames(), video.frames()
        next(frames)
        next(again)  # takes the file over
        with pytest.raises(UsageError, match="one iterator"):
            list(frames)
        with read_audio(path) as audio:
            packets = iter(audio)
            next(packets)
    with pytest.raises(UsageError, match="closed"):
        list(again)
    assert list(packets) == [] and list(audio) == []


def test_damage_after_seeking_is_placed(clip: Any) -> None:
    path = noisy(clip, 40, {"g": "10", "bf": "0"})
    spoil(path, 7 / 8)
    with open_video(path) as video, pytest.raises(InputError, match=r"key frame before 1\.200 s"):
        list(video.frames(1.2))


def test_a_cut_file_says_where_it_ends(clip: Any, pictures: Any, caplog: Any) -> None:
    options, mux = {"bf": "0", "g": "1"}, {"movflags": "faststart"}
    path = clip("cut.mp4", pictures(count=50), options=options, mux=mux)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with open_video(path, tolerate_damage=True) as video:
        assert 10 < len(list(video.frames())) < 40
    assert "cut short" in caplog.text
