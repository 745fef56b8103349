"""Video in, `.mvt` out, video back: what has to be equal before and after."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

import bitstream
import nvcodec
from nvcodec import DecodeOptions, EncodeOptions
from nvcodec.video.audio import read_audio
from nvcodec.video.color import ColorTags
from nvcodec.video.reader import open_video
from nvcodec.video.writer import VideoWriter


def times(path: Path) -> list[tuple[Fraction, Fraction]]:
    """Start and duration of each frame in seconds."""
    with open_video(path) as video:
        base = video.info.time_base
        return [(f.pts * base, f.duration * base) for f in video.frames()]


def make_clip(path: Path, pts: list[int], size: tuple[int, int] = (48, 64),
              base: Fraction = Fraction(1, 1000)) -> Path:
    """Frames of moving noise at the given times."""
    rng = np.random.default_rng(len(pts))
    picture = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    color = ColorTags(1, 1, 1, False)
    with VideoWriter(path, size[1], size[0], Fraction(25), base, color) as out:
        ends = [*pts[1:], pts[-1] + 40]
        for i, (a, b) in enumerate(zip(pts, ends, strict=True)):
            out.write(np.roll(picture, i, axis=1), a, b - a)
    return path


def there_and_back(source: Path, tmp_path: Path, suffix: str = ".mp4", **wished: object) -> Path:
    options = EncodeOptions(model="tiny", **wished)  # type: ignore[arg-type]
    nvcodec.encode(source, tmp_path / "a.mvt", options)
    back = tmp_path / f"back{suffix}"
    nvcodec.decode(tmp_path / "a.mvt", back, DecodeOptions())
    return back


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("case", [
    ([40 * i for i in range(12)], (48, 64)),          # even size
    ([40 * i for i in range(6)], (51, 67)),           # odd size
    ([0], (48, 64)),                                  # one frame
    ([0, 10, 50, 55, 200, 340, 341], (48, 64)),       # variable frame rate
    ([500 + 40 * i for i in range(5)], (48, 64)),     # does not begin at zero
], ids=["even", "odd", "one", "vfr", "late"])
def test_count_times_and_size(case: tuple[list[int], tuple[int, int]], tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", *case)
    back = there_and_back(source, tmp_path)
    assert times(back) == times(source)
    with open_video(source) as a, open_video(back) as b:
        assert (a.info.width, a.info.height) == (b.info.width, b.info.height)
        assert a.info.color == b.info.color


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("keyint", [1, 2, 5, 7, 200])
def test_segments_cover_every_frame(keyint: int, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", [40 * i for i in range(23)])
    back = there_and_back(source, tmp_path, keyint=keyint)
    assert times(back) == times(source)
    with bitstream.Reader(tmp_path / "a.mvt") as reader:
        counts = [s.frame_count for s in reader.segments]
    assert max(counts) == min(keyint, 23) and sum(counts) == 23


@pytest.mark.usefixtures("tiny")
def test_sound_is_copied(talkie: Path, tmp_path: Path) -> None:
    back = there_and_back(talkie, tmp_path, duration=0.5)
    with read_audio(talkie, duration=0.5) as a, read_audio(back) as b:
        before, after = list(a), list(b)
        assert [s.codec for s in a.streams] == [s.codec for s in b.streams] == ["aac"]
    assert [p.data for p in after] == [p.data for p in before]
    assert len(after) > 15
    silent = there_and_back(talkie, tmp_path / "x", duration=0.2, audio=False) if (
        tmp_path / "x").mkdir() is None else None
    assert silent is not None
    with read_audio(silent) as none:
        assert not none.streams


@pytest.mark.usefixtures("tiny")
def test_both_coders_give_the_same_pictures(carphone: Path, tmp_path: Path) -> None:
    sizes, pictures = {}, {}
    for coder in ("none", "table"):
        target = tmp_path / f"{coder}.mvt"
        report = nvcodec.encode(carphone, target,
                                EncodeOptions(model="tiny", coder=coder, duration=0.5, qp=9))
        nvcodec.decode(target, tmp_path / f"{coder}.mkv")
        with open_video(tmp_path / f"{coder}.mkv") as video:
            pictures[coder] = np.stack([f.rgb for f in video.frames()])
        sizes[coder] = report.file_bytes
    assert np.array_equal(pictures["none"], pictures["table"])
    assert sizes["table"] < sizes["none"]


@pytest.mark.usefixtures("tiny")
def test_decoding_a_part(carphone: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.mvt"
    nvcodec.encode(carphone, target, EncodeOptions(model="tiny", keyint=9, duration=2.0))
    nvcodec.decode(target, tmp_path / "whole.mkv")
    nvcodec.decode(target, tmp_path / "part.mkv", DecodeOptions(start=0.8, duration=0.5))
    with open_video(tmp_path / "whole.mkv") as a, open_video(tmp_path / "part.mkv") as b:
        whole = list(a.frames(0.8, 0.5))
        part = list(b.frames())
    assert [np.array_equal(x.rgb, y.rgb) for x, y in zip(whole, part, strict=True)] == [True] * 15
    assert part[0].pts == 0


@pytest.mark.usefixtures("tiny")
def test_stills(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    make_clip(source, [0], (31, 45))
    back = there_and_back(source, tmp_path, ".png")
    with open_video(back) as video:
        (frame,) = video.frames()
    assert frame.rgb.shape == (31, 45, 3)


@pytest.mark.usefixtures("tiny")
def test_ten_bits_and_rotation(tmp_path: Path) -> None:
    source = tmp_path / "a.mkv"
    with av.open(str(source), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p10le"
        stream.set_display_rotation(90)
        for i in range(5):
            frame = av.VideoFrame.from_ndarray(
                np.full((48, 64, 3), 40 * i, np.uint8), format="rgb24").reformat(
                    format="yuv420p10le")
            frame.pts = i
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    back = there_and_back(source, tmp_path)
    with open_video(back) as video:
        assert (video.info.width, video.info.height) == (48, 64)
        assert video.info.bit_depth == 8
    with bitstream.Reader(tmp_path / "a.mvt") as reader:
        assert reader.header.source_bits == 10
        assert reader.header.rotation in (90, 270)


@pytest.mark.usefixtures("tiny")
def test_tags_and_chapters_survive(tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    from nvcodec.video.info import Chapter

    chapters = (Chapter(Fraction(0), Fraction(1, 10), "one"),)
    with VideoWriter(source, 64, 48, Fraction(25), Fraction(1, 25), metadata={"title": "Küche"},
                     chapters=chapters) as out:
        for i in range(5):
            out.write(np.zeros((48, 64, 3), np.uint8), i, 1)
    back = there_and_back(source, tmp_path)
    with open_video(back) as video:
        assert video.info.metadata["title"] == "Küche"
        assert video.info.chapters == chapters


@pytest.mark.usefixtures("tiny")
def test_reported_bpp_is_the_file(talkie: Path, tmp_path: Path) -> None:
    report = nvcodec.encode(talkie, tmp_path / "a.mvt",
                            EncodeOptions(model="tiny", duration=0.2, verify=True))
    size = (tmp_path / "a.mvt").stat().st_size
    assert report.file_bytes == size and report.audio_bytes > 0 and report.verified
    assert report.bpp == pytest.approx(8 * (size - report.audio_bytes) / (5 * 160 * 90))
    assert nvcodec.inspect(tmp_path / "a.mvt")["bpp"] == pytest.approx(report.bpp)
    assert nvcodec.verify(tmp_path / "a.mvt")["frames"] == 5


def test_unknown_weights_say_which(tiny: str, bikes: Path, tmp_path: Path,
                                   monkeypatch: pytest.MonkeyPatch) -> None:
    nvcodec.encode(bikes, tmp_path / "a.mvt", EncodeOptions(model=tiny, duration=0.1))
    monkeypatch.delenv("NVCODEC_MODELS")
    with pytest.raises(nvcodec.UnsupportedFileError, match=r"needs .*'tiny'.* with") as caught:
        nvcodec.decode(tmp_path / "a.mvt", tmp_path / "a.mp4")
    assert caught.value.exit_code == 4
    assert not (tmp_path / "a.mp4").exists()


def test_nothing_is_left_after_an_error(tiny: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    whole = make_clip(tmp_path / "whole.mp4", [40 * i for i in range(30)])
    broken.write_bytes(whole.read_bytes()[:-200])
    with pytest.raises(nvcodec.NvcodecError):
        nvcodec.encode(broken, tmp_path / "a.mvt", EncodeOptions(model=tiny))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken.mp4", "whole.mp4"]
