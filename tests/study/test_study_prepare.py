from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nvcodec.errors import UsageError
from rater_study import cli, loss, media, prepare, sources
from rater_study.errors import StudyError
from rater_study.manifest import MEDIA, Manifest, Settings, load, save
from tests.study.clips import METHODS, make_clip


def test_files_are_blind_and_alike(folder: Path, manifest: Manifest) -> None:
    files = sorted((folder / MEDIA).iterdir())
    assert len(files) == 5 and {f.name for f in files} == set(manifest.files.values())
    for file in files:
        assert re.fullmatch(r"[0-9a-f]{24}\.mp4", file.name)
        video = media.probe(file)
        assert (video.width, video.height, video.frames) == (320, 180, 20)
        assert video.tagged
        text = file.read_bytes()
        for word in (b"zebra", b"walrus", b"x264 - core", b"Lavf", b"one.mkv"):
            assert word not in text, (file, word)
    assert manifest.encoding["codec"] == "h264"
    assert [c.bpp for c in manifest.conditions] == [0.04, 0.01, 0.02]
    assert [c.method for c in manifest.conditions] == ["zebracodec", "zebracodec", "walrusvvc"]
    assert all(i.loss["psnr"] > loss.LEAST_PSNR for i in manifest.items)


def test_gold_is_heavily_distorted(folder: Path, manifest: Manifest) -> None:
    clip = manifest.clips[0]
    assert clip.gold and clip.reference
    source, gold = folder / MEDIA / clip.reference, folder / MEDIA / clip.gold
    assert media.psnr(source, media.probe(source), gold, clip.fps) < 25


def test_manifest_comes_back_and_damage_is_one_line(folder: Path, manifest: Manifest) -> None:
    save(manifest, folder)
    assert load(folder) == manifest
    for text in ("", "{", "[]", '{"format": "other"}', '{"format": "rater-study 1"}'):
        (folder / "manifest.json").write_text(text)
        with pytest.raises(StudyError, match="prepare the study again"):
            load(folder)
    with pytest.raises(StudyError, match="is no study"):
        load(folder / "elsewhere")


def test_sizes_and_lengths_have_to_match(material: Path, tmp_path: Path) -> None:
    make_clip(tmp_path / "short" / "one.mkv", "testsrc2", 40, frames=15)
    make_clip(tmp_path / "small" / "one.mkv", "testsrc2", 40, size="160x90")
    for other, said in (("short", "--frames 15 cuts all alike"), ("small", "160x90")):
        found = sources.gather([material / METHODS[0], tmp_path / other], material / "reference")
        with pytest.raises(StudyError, match=said):
            prepare.prepare(found, tmp_path / "study", Settings(), prepare.Options(loss_clips=0),
                            lambda _: None)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["short", "small"], "nothing half made"


def test_cut_to_the_shortest(material: Path, tmp_path: Path) -> None:
    make_clip(tmp_path / "short" / "one.mkv", "testsrc2", 40, frames=15)
    found = sources.gather([material / METHODS[0], tmp_path / "short"], None)
    made = prepare.prepare(found, tmp_path / "study", Settings(),
                           prepare.Options(frames=15, loss_clips=0, codec="vp9"), lambda _: None)
    assert made.clips[0].frames == 15 and made.clips[0].reference is None
    assert [c.bpp for c in made.conditions] == [0.04, None]
    assert all(i.file.endswith(".webm") for i in made.items) and not made.gold_clips


def test_method_json_and_names(tmp_path: Path) -> None:
    for name in ("a", "b@0.5", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.mkv").touch()
    (tmp_path / "a" / "method.json").write_text('{"method": "A", "bpp": {"x": 0.25}}')
    (tmp_path / "c" / "method.json").write_text('{"method": "C", "bpp": 0.125}')
    found = sources.gather([tmp_path / n for n in ("a", "b@0.5", "c")], None).videos
    assert [(v.method, v.bpp, v.label) for v in found] == [
        ("A", 0.25, "A 0.25 bpp"), ("b", 0.5, "b 0.5 bpp"), ("C", 0.125, "C 0.125 bpp")]
    (tmp_path / "c" / "method.json").write_text("{")
    with pytest.raises(StudyError, match="write"):
        sources.gather([tmp_path / "c"], None)
    (tmp_path / "c" / "x.mp4").touch()
    with pytest.raises(StudyError, match="one clip"):
        sources.videos_in(tmp_path / "c")
    with pytest.raises(UsageError, match="plain folders"):
        sources.gather([tmp_path / "a"], None, bpp=[0.1])


def bench_row(codec: str, point: int, bpp: float, clip: str = "one") -> dict[str, Any]:
    return {"key": f"{codec}{point}{clip}", "clip": clip, "codec": codec, "scale": "crf",
            "point": point, "bpp": bpp, "master_pixels": "0" * 24}


def bench_folder(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """A benchmark's result folder whose coded files are what a codec wrote."""
    (folder / "work" / "masters").mkdir(parents=True)
    (folder / "work" / "streams").mkdir()
    (folder / "results.jsonl").write_text("\n".join(map(json.dumps, rows)) + '\n{"cut off')
    (folder / "work" / "masters" / "one-x.json").write_text(json.dumps({"pixels_sha256": "0" * 64}))
    make_clip(folder / "work" / "masters" / "one-x.mkv", "testsrc2", 0)
    coded = folder / "coded.hevc"
    media.run([media.find_ffmpeg(), "-v", "error", "-i", str(folder / "work/masters/one-x.mkv"),
               "-c:v", "libx265", "-preset", "ultrafast", "-x265-params",
               "log-level=error:pools=1", "-f", "hevc", str(coded)], folder)
    for row in rows:
        shutil.copy(coded, folder / "work" / "streams" / f"{row['key']}.hevc")
    return folder


def test_benchmark_folder(tmp_path: Path) -> None:
    bench = bench_folder(tmp_path / "bench", [bench_row("hevc", 30, 0.04),
                                              bench_row("vvc", 40, 0.021)])
    found = sources.gather([bench], None)
    assert [(v.method, v.label) for v in found.videos] == [("HEVC", "HEVC crf 30"),
                                                           ("VVC", "VVC crf 40")]
    assert found.references["one"].name == "one-x.mkv"
    made = prepare.prepare(found, tmp_path / "study", Settings(), prepare.Options(loss_clips=0),
                           lambda _: None)
    assert [c.bpp for c in made.conditions] == [0.04, 0.021]
    assert made.clips[0].fps == "25" and made.clips[0].reference
    near = sources.gather([bench], None, bpp=[0.02])
    assert [v.label for v in near.videos] == ["VVC near 0.02 bpp"]
    assert near.notes == ["one: hevc has no point near 0.02 bpp; left out"]
    for file in (bench / "work" / "streams").iterdir():
        file.unlink()
    with pytest.raises(StudyError, match="keep OUT/work"):
        sources.gather([bench], None)


@pytest.mark.parametrize(("code", "said", "expected"), [
    (0, '{"lpips": 0.0012345, "psnr": 50.0}', {"lpips": 0.00123}),
    (0, '{"lpips": null}', {"lpips": None,
                            "why": "no AlexNet features; set NVCODEC_LPIPS_WEIGHTS"}),
    (1, "", {"lpips": None, "why": "nvcodec compare: a.mkv: no such file; check the path"})])
def test_loss_in_lpips(monkeypatch: pytest.MonkeyPatch, code: int, said: str,
                       expected: dict[str, Any]) -> None:
    started: list[list[str]] = []

    def run(argv: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        started.append(argv)
        return subprocess.CompletedProcess(argv, code, said, "a.mkv: no such file; check the path")

    monkeypatch.setattr(loss.subprocess, "run", run)
    assert loss.lpips(Path("a.mkv"), Path("b.mp4")) == expected
    assert started[0][1:6] == ["-m", "nvcodec", "compare", "a.mkv", "b.mp4"]


def test_verdict() -> None:
    good = [{"psnr": 50.0, "lpips": 0.001}, {"psnr": 47.5}]
    assert loss.verdict(good) == ("re-encoding loss: PSNR at least 47.5 dB over 2 files, LPIPS at "
                                  "most 0.0010 over 1")
    assert "WARNING" in loss.verdict([*good, {"psnr": 38.0}])
    assert "not measured (no weights)" in loss.verdict([{"psnr": 50.0, "lpips": None,
                                                         "why": "no weights"}])


def test_command_line_errors_are_one_line(material: Path, folder: Path, tmp_path: Path,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    methods = [str(material / m) for m in METHODS]
    (tmp_path / "empty").mkdir()
    (tmp_path / "noise").mkdir()
    (tmp_path / "noise" / "one.mkv").write_bytes(b"no video")
    for arguments, code, said in (
            (["prepare", *methods, "-o", str(folder)], 1, "exists already"),
            (["prepare", methods[0], "-o", str(tmp_path / "s")], 2, "at least two"),
            (["prepare", methods[0], str(tmp_path / "no"), "-o", str(tmp_path / "s")], 2,
             "no such folder"),
            (["prepare", methods[0], str(tmp_path / "noise"), "-o", str(tmp_path / "s")], 1,
             "whole video"),
            (["serve", str(tmp_path / "empty")], 1, "is no study"),
            (["serve", str(folder), "--host", "203.0.113.9"], 1, "another --host"),
            (["report", str(tmp_path / "empty")], 1, "is no study")):
        assert cli.run(arguments) == code
        error = capsys.readouterr().err
        assert said in error and len(error.strip().splitlines()) == 1, error
    assert cli.run(["prepare", "--votes", "none"]) == 2
