from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.codecs import DEFAULT, NAMES, make_codecs
from benchmarks.codecs.av1 import Av1
from benchmarks.codecs.hevc import Hevc
from benchmarks.codecs.nvcodec import Nvcodec, NvcodecPlain, code_hash
from benchmarks.codecs.vvc import Vvc
from benchmarks.ffmpeg import ffmpeg_version, find_ffmpeg, has_vmaf
from benchmarks.plan import next_point
from nvcodec.errors import UsageError

MASTER, STREAM = Path("m.mkv"), Path("out.bin")


def after(argv: list[str], flag: str) -> str:
    return argv[argv.index(flag) + 1]


def test_hevc_command():
    argv = Hevc(2, "ff").encode_argv(MASTER, STREAM, 32)
    assert argv[0] == "ff" and argv[-1] == "out.bin" and after(argv, "-i") == "m.mkv"
    assert after(argv, "-c:v") == "libx265" and after(argv, "-preset") == "medium"
    assert after(argv, "-crf") == "32" and after(argv, "-f") == "hevc"
    params = dict(p.split("=") for p in after(argv, "-x265-params").split(":"))
    assert params["keyint"] == "128" and params["pools"] == "2" and params["info"] == "0"


@pytest.mark.parametrize(("threads", "frame_threads"), [(1, 1), (3, 1), (4, 2), (8, 3), (64, 3)])
def test_x265_frame_threads_are_stated(threads, frame_threads):
    assert f"frame-threads={frame_threads}:" in Hevc(threads, "ff").options(30)[-1]


def test_vvc_command():
    argv = Vvc(3, "ff").encode_argv(MASTER, STREAM, 40)
    assert after(argv, "-c:v") == "libvvenc" and after(argv, "-preset") == "medium"
    assert after(argv, "-qp") == "40" and after(argv, "-g") == "128"
    assert after(argv, "-threads") == "3" and after(argv, "-f") == "vvc"


def test_av1_command():
    argv = Av1(9, "ff").encode_argv(MASTER, STREAM, 70)
    assert after(argv, "-preset") == "5" and after(argv, "-svtav1-params") == "crf=70:lp=6"
    assert after(argv, "-f") == "obu"


@pytest.mark.parametrize("codec", [Hevc(2, "ff"), Vvc(2, "ff"), Av1(2, "ff")])
def test_anchors_are_comparable(codec):
    argv = codec.encode_argv(MASTER, STREAM, codec.points[0])
    assert "-xerror" in argv and "-an" in argv
    assert codec.settings["keyint"] == 128 and codec.settings["threads"] == 2
    assert codec.settings["gop"].startswith("random access")
    assert codec.points == tuple(sorted(codec.points)) and len(codec.points) >= 6
    assert set(codec.quick_points) <= set(range(codec.points[0], codec.points[-1] + 1))
    assert after(codec.decode_argv(STREAM, Path("d.mkv")), "-c:v") == "ffv1"
    assert "ffv1" not in codec.decode_argv(STREAM, Path("d.y4m"))


def test_nvcodec_command():
    codec = Nvcodec(2, "tiny", "cpu")
    argv = codec.encode_argv(MASTER, Path("a.mvt"), 20)
    assert after(argv, "--qp") == "20" and after(argv, "--model") == "tiny"
    assert "--rdo" in argv
    assert "--no-rdo" in NvcodecPlain(2).encode_argv(MASTER, Path("a.mvt"), 20)
    assert after(codec.decode_argv(Path("a.mvt"), Path("d.mkv")), "decode") == "a.mvt"
    assert codec.environment()["OMP_NUM_THREADS"] == "2"
    assert codec.inner_seconds('{"seconds": [1.5, 1.0]}') == 1.5
    assert len(code_hash()) == 12


def test_nvcodec_without_its_model_says_so(monkeypatch):
    monkeypatch.delenv("NVCODEC_MODELS", raising=False)
    with pytest.raises(UsageError, match="no weights for model 'nothing'"):
        Nvcodec(1, "nothing").version()


def test_codecs_come_in_the_order_of_tables(ffmpeg):
    made = make_codecs(["av1", "hevc", "nvcodec", "vvc"], ffmpeg, 1, "s", "cpu")
    assert tuple(c.name for c in made) == DEFAULT
    every = make_codecs(NAMES[::-1], ffmpeg, 1, "s", "cpu")
    assert tuple(c.name for c in every) == NAMES
    with pytest.raises(UsageError, match="unknown codec h264"):
        make_codecs(["h264"], ffmpeg, 1, "s", "cpu")
    with pytest.raises(UsageError, match="unknown codec"):
        make_codecs([], ffmpeg, 1, "s", "cpu")


def test_bundled_ffmpeg_has_all_encoders(ffmpeg):
    for codec in make_codecs(["hevc", "vvc", "av1"], None, 1, "s", "cpu"):
        assert "unknown" not in codec.version()


def test_an_ffmpeg_without_the_encoder(tmp_path):
    fake = tmp_path / "ffmpeg"
    fake.write_text("#!/bin/sh\necho 'ffmpeg version 1.0 Copyright'\n")
    fake.chmod(0o755)
    assert ffmpeg_version(str(fake)) == "1.0" and not has_vmaf(str(fake))
    with pytest.raises(UsageError, match="has no encoder libvvenc") as caught:
        Vvc(1, str(fake)).version()
    assert "imageio-ffmpeg" in str(caught.value) and "--codecs" in str(caught.value)


def test_a_missing_or_wrong_ffmpeg(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="no such program"):
        find_ffmpeg(str(tmp_path / "none"))
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)  # an import of it fails
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="there is no ffmpeg here; pip install"):
        find_ffmpeg()
    wrong = tmp_path / "tool"
    wrong.write_text("#!/bin/sh\necho hello\n")
    wrong.chmod(0o755)
    with pytest.raises(UsageError, match="is not ffmpeg"):
        ffmpeg_version(str(wrong))


def test_next_point_lies_at_the_wished_rate():
    known = [(25, 0.12), (30, 0.06), (35, 0.03), (40, 0.015)]
    assert next_point(known, 0.0384) == 33  # ln-linear: 30 + 5 ln(.06/.0384)/ln 2 = 33.2
    assert next_point(known, 0.0301) is None  # 35 is near enough
    assert next_point(known, 0.2) is None and next_point(known, 0.001) is None
    assert next_point([(30, 0.045), (31, 0.033)], 0.0384) is None  # no integer between
    assert next_point([], 0.0384) is None
