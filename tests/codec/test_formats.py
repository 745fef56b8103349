"""What people bring and what they get: every promised codec and container, there and back."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import av
import pytest

import nvcodec
from nvcodec import DecodeOptions, EncodeOptions
from nvcodec.cli.app import run
from nvcodec.video.reader import open_video

imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
FRAMES = 5
#: File name -> how ffmpeg makes it. AV1's encoder takes no smaller pictures than 64x64.
SOURCES = {
    "h264.mp4": "-c:v libx264 -pix_fmt yuv420p",
    "h264.mkv": "-c:v libx264 -pix_fmt yuv420p -bf 2",
    "hevc.mov": "-c:v libx265 -x265-params log-level=none:pools=1 -tag:v hvc1",
    "hevc10.mkv": "-c:v libx265 -x265-params log-level=none:pools=1 -pix_fmt yuv420p10le",
    "av1.mp4": "-c:v libsvtav1 -preset 12 -pix_fmt yuv420p",
    "av1.webm": "-c:v libsvtav1 -preset 12 -pix_fmt yuv420p",
    "vp9.webm": "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -pix_fmt yuv420p",
    "prores.mov": "-c:v prores_ks -pix_fmt yuv422p10le",
    "mjpeg.mov": "-c:v mjpeg -pix_fmt yuvj422p",
    "mjpeg.mkv": "-c:v mjpeg -pix_fmt yuvj420p",
    "raw.y4m": "-pix_fmt yuv420p",
    "looped.gif": "",
    "shot_%03d.png": "",
    "shot_%03d.jpg": "",
}


def make(path: Path, options: str, *more: str, source: str = "testsrc2=s=64x64:r=25") -> Path:
    """Five frames made by ffmpeg."""
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i",
         source, *more, "-frames:v", str(FRAMES), "-threads", "1", *options.split(), str(path)],
        check=True, capture_output=True, env={"SVT_LOG": "0"})
    return path


def coded(source: Path, model: str) -> Path:
    target = source.parent / "a.mvt"
    nvcodec.encode(source, target, EncodeOptions(model=model, coder="none", force=True))
    return target


def times_of(path: Path) -> list[float]:
    with open_video(path) as video:
        return [float(f.pts * video.info.time_base) for f in video.frames()]


@pytest.mark.parametrize("name", SOURCES)
def test_sources(name: str, tiny: str, tmp_path: Path) -> None:
    source = make(tmp_path / name, SOURCES[name])
    nvcodec.decode(coded(source, tiny), tmp_path / "back.mkv")
    times = times_of(tmp_path / "back.mkv")
    assert times == pytest.approx(times_of(source), abs=1e-3)
    assert times == pytest.approx([times[0] + k / 25 for k in range(FRAMES)], abs=2e-3)


def test_outputs(tiny: str, tmp_path: Path) -> None:
    stream = coded(make(tmp_path / "a.y4m", SOURCES["raw.y4m"]), tiny)
    for name, codec, profile in (("b.mp4", "h264", "High"), ("b.mov", "h264", "High"),
                                 ("b.mkv", "ffv1", None), ("b.webm", "vp9", None),
                                 ("b.y4m", "rawvideo", None), ("b_%02d.png", "png", None)):
        nvcodec.decode(stream, tmp_path / name)
        first = str(tmp_path / name).replace("%02d", "01")
        with av.open(first) as container:
            context = container.streams.video[0].codec_context
            assert context.codec.canonical_name == codec
            assert profile in (None, context.profile)
        assert len(times_of(tmp_path / name)) == FRAMES


def test_a_size_that_changes_is_refused(tiny: str, tmp_path: Path,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    options = "-c:v libx264 -bf 0 -pix_fmt yuv420p -f mpegts"
    one = make(tmp_path / "one.ts", options)
    two = make(tmp_path / "two.ts", options, source="testsrc2=s=96x80:r=25")
    both = tmp_path / "both.ts"
    both.write_bytes(one.read_bytes() + two.read_bytes())
    assert run(["encode", str(both), "-o", str(tmp_path / "a.mvt"), "--model", tiny]) == 1
    err = capsys.readouterr().err
    assert "changes from 64x64 to 96x80 at frame 5" in err and "scale" in err
    assert not (tmp_path / "a.mvt").exists()


@pytest.mark.parametrize(("transfer", "name"), [("smpte2084", "PQ"), ("arib-std-b67", "HLG")])
def test_hdr_is_refused_by_name(tiny: str, tmp_path: Path, transfer: str, name: str,
                                capsys: pytest.CaptureFixture[str]) -> None:
    source = make(tmp_path / "hdr.mkv", f"{SOURCES['hevc10.mkv']} -vf format=yuv420p10le,setparams="
                  f"color_primaries=bt2020:colorspace=bt2020nc:color_trc={transfer}")
    assert run(["encode", str(source), "-o", str(tmp_path / "a.mvt"), "--model", tiny]) == 1
    assert name in capsys.readouterr().err


def test_tags_and_chapters_go_through_pipes(tiny: str, tmp_path: Path,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    """Tags and chapters of the source are in META, which comes before the first segment."""
    notes = tmp_path / "notes.txt"
    notes.write_text(";FFMETADATA1\ntitle=Küche\nartist=me\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\n"
                     "END=100\ntitle=one\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=100\nEND=200\n"
                     "title=two\n", encoding="utf-8")
    source = make(tmp_path / "a.mkv", f"{SOURCES['h264.mkv']} -map_metadata 1", "-i", str(notes))
    stream = coded(source, tiny)
    meta = nvcodec.inspect(stream)["meta"]
    assert {k.lower(): v for k, v in meta["tags"].items()}["title"] == "Küche"
    assert [c[2] for c in meta["chapters"]] == ["one", "two"]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(stream.read_bytes())))
    nvcodec.decode("-", tmp_path / "b.mp4", DecodeOptions())
    with open_video(tmp_path / "b.mp4") as video:
        assert video.info.metadata["title"] == "Küche"
        assert [c.title for c in video.info.chapters] == ["one", "two"]
