from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from benchmarks import cli, mcl_jcv, run, speed
from nvcodec.errors import InputError, OutputError, UsageError


def one_line(capsys) -> str:
    """The error on stderr, which is one line without a traceback."""
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said.strip().splitlines()[-1]


def test_interrupted_is_130(capsys):
    @click.command()
    def command() -> None:
        raise KeyboardInterrupt

    assert cli.run(command, []) == 130
    assert "the same command goes on" in one_line(capsys)


def test_a_folder_that_cannot_be_written(tmp_path, make_clip, capsys):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        cli.check_folder(file / "out")
    assert cli.run(run.command, [str(make_clip()), "-o", str(file / "out")]) == 1
    assert "cannot be written" in one_line(capsys)


def test_a_read_only_folder(tmp_path, monkeypatch, capsys):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cli.tempfile, "TemporaryFile", refuse)
    assert cli.run(run.command, ["x.mp4", "-o", str(tmp_path)]) == 1
    line = one_line(capsys)
    assert "Permission denied" in line and "-o" in line


def test_unknown_codec_and_missing_encoder(tmp_path, make_clip, capsys):
    clip = str(make_clip())
    assert cli.run(run.command, [clip, "--codecs", "h264", "-o", str(tmp_path)]) == 2
    assert "unknown codec h264" in one_line(capsys)
    fake = tmp_path / "ffmpeg"
    fake.write_text("#!/bin/sh\necho 'ffmpeg version 1.0 Copyright'\n")
    fake.chmod(0o755)
    assert cli.run(run.command, [clip, "--codecs", "vvc", "--ffmpeg", str(fake),
                                 "-o", str(tmp_path)]) == 2
    assert "no encoder libvvenc" in one_line(capsys)


def test_bad_options_are_usage_errors(tmp_path, capsys):
    assert cli.run(run.command, ["--every", "0", "-o", str(tmp_path)]) == 2
    assert cli.run(run.command, []) == 2
    assert cli.run(mcl_jcv.command, ["-o", str(tmp_path)]) == 2
    assert cli.run(run.command, ["--help"]) == 0


def test_mcl_jcv_finds_any_subset(tmp_path):
    names = ["videoSRC01_1920x1080_30.yuv", "sub/videoSRC30.mp4", "videoSRC02_1920x1080_24.y4m",
             "videoSRC01.mp4", "videoSRC31.mp4", "videoSRC5.mp4", "readme.txt"]
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    found = mcl_jcv.find_videos(tmp_path)
    assert list(found) == [1, 2, 30] and found[30].name == "videoSRC30.mp4"
    with pytest.raises(InputError, match="no such folder"):
        mcl_jcv.find_videos(tmp_path / "none")
    with pytest.raises(InputError, match="holds no file"):
        mcl_jcv.find_videos(tmp_path / "sub2" if (tmp_path / "sub2").mkdir() is None else tmp_path)


def test_hevc_end_to_end(tmp_path, make_clip, backbone, capsys):
    """Real files: one good clip, a damaged one, and a second run that only reports."""
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(make_clip().read_bytes()[:3000])
    arguments = [str(make_clip(frames=2)), str(bad), "--quick", "--codecs", "hevc", "--no-vmaf",
                 "--threads", "1", "--lpips-weights", str(backbone),
                 "-o", str(tmp_path / "out")]
    assert cli.run(run.command, arguments) == 1
    said = capsys.readouterr().err
    assert "bad.mp4" in said and "3 points of 1 clip" in said and "Traceback" not in said
    lines = (tmp_path / "out" / "results.jsonl").read_text().splitlines()
    rows = sorted((json.loads(line) for line in lines), key=lambda r: r["point"])
    assert [r["point"] for r in rows] == [28, 36, 44]
    assert rows[0]["bpp"] > rows[1]["bpp"] > rows[2]["bpp"]
    assert rows[0]["lpips"] < rows[2]["lpips"] and rows[0]["psnr"] > rows[2]["psnr"] > 10
    assert cli.run(run.command, [arguments[0], *arguments[2:]]) == 0
    assert (tmp_path / "out" / "results.jsonl").read_text().splitlines() == lines
    assert (tmp_path / "out" / "report.html").stat().st_size < 5_000_000


def test_speed_table(tmp_path, make_clip, capsys):
    out = tmp_path / "out"
    assert cli.run(speed.command, [str(make_clip(frames=2)), "--codecs", "hevc", "--threads", "1",
                                   "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert "HEVC (libx265)" in said and "| threads |" in said
    row = json.loads((out / "speed.json").read_text())["rows"][0]
    assert row["threads"] == 1 and row["encode_fps"] > 0 and row["decode_rss_mib"] > 1
    assert Path(out / "speed.md").read_text() == said.rstrip("\n") + "\n"


def test_points_of_one_codec() -> None:
    assert cli.parse_points(["hevc=20,30", "nvcodec=5"]) == {"hevc": (20, 30), "nvcodec": (5,)}
    for wrong in ("hevc", "hevc=", "hevc=a", "mpeg2=3", "=1"):
        with pytest.raises(UsageError, match="CODEC=N"):
            cli.parse_points([wrong])
