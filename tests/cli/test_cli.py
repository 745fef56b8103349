"""The command line as people use it: exit codes, what goes where, one-line errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nvcodec.cli.app import VERBS, run

TINY = ["--model", "tiny"]


@pytest.fixture
def coded(tiny: str, carphone: Path, tmp_path: Path) -> Path:
    target = tmp_path / "a.mvt"
    assert run(["encode", str(carphone), "-o", str(target), "--model", tiny, "--quiet",
                "--duration", "0.4", "--keyint", "5"]) == 0
    return target


def test_there_and_back(coded: Path, carphone: Path, tmp_path: Path,
                        capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["decode", str(coded), "-o", str(tmp_path / "b.mkv"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["frames"] == 12
    assert "12 frames of 176x144" in err.splitlines()[-1]
    assert run(["verify", str(coded)]) == 0
    assert "ok, 3 segments, 12 frames" in capsys.readouterr().err
    assert run(["info", str(coded), "--json", "-v"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [s["frames"] for s in facts["segment_list"]] == [5, 5, 2]
    assert sum(s["seconds"] for s in facts["segment_list"]) == pytest.approx(
        facts["seconds"], abs=3e-6)  # each is rounded to a microsecond
    assert run(["info", str(coded), "-v"]) == 0
    head, *rows = [line.split() for line in capsys.readouterr().out.splitlines()[-4:]]
    assert head == list(facts["segment_list"][0])
    assert [row[:7] for row in rows] == [
        [f"{s[k]:.6g}" for k in head[:7]] for s in facts["segment_list"]]
    assert facts["model"] == "tiny" and facts["coder"] == "learned"
    assert run(["compare", str(tmp_path / "b.mkv"), str(coded), "--json", "--quiet",
                "--png", str(tmp_path / "pair.png")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["psnr"] == 100 and result["bpp"] == pytest.approx(facts["bpp"])
    assert (tmp_path / "pair.png").read_bytes()[:4] == b"\x89PNG"


def test_quiet_says_nothing(coded: Path, tmp_path: Path,
                            capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["decode", str(coded), "-o", str(tmp_path / "b.mp4"), "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_existing_targets_are_kept(coded: Path, carphone: Path,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    before = coded.read_bytes()
    assert run(["encode", str(carphone), "-o", str(coded), *TINY]) == 1
    err = capsys.readouterr().err
    assert "exists already" in err and "-f" in err
    assert coded.read_bytes() == before
    assert run(["encode", str(carphone), "-o", str(coded), *TINY, "-f", "--duration", "0.1",
                "--quiet"]) == 0
    assert coded.read_bytes() != before


@pytest.mark.parametrize(("args", "code", "says"), [
    (["encode", "missing.mp4"], 1, "missing.mp4"),
    (["decode", "missing.mvt"], 1, "missing.mvt"),
    (["info", "missing.mvt"], 1, "missing.mvt"),
    (["encode"], 2, "Missing argument"),
    (["encode", "-", "--model", "s"], 2, "-o"),
    (["nonsense"], 2, "No such command"),
    (["encode", "x", "--qp", "99"], 2, "qp 99"),
    (["encode", "x", "--qp", "9", "--bpp", "1"], 2, "qp and bpp"),
    (["decode", "x.mvt", "--start", "-1"], 2, "start"),
    (["train", ".", "-o", "x", "--model", "huge"], 2, "huge"),
    (["train", ".", "-o", "x", "--stage", "mean"], 2, "--init"),
    (["train", ".ci", "-o", "x", "--steps", "1", "--lpips-weights", ".ci"], 1, "no videos"),
])
def test_errors_are_one_line_with_a_code(args: list[str], code: int, says: str,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    assert run(args) == code
    out, err = capsys.readouterr()
    assert out == "" and says in err and "Traceback" not in err
    if code == 1:
        assert err.count("\n") == 1 and "; " in err


def test_garbage_is_corrupt_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    junk = tmp_path / "a.mvt"
    junk.write_bytes(b"not a video at all" * 10)
    for verb in ("info", "verify", "decode"):
        assert run([verb, str(junk)]) == 3
        assert capsys.readouterr().err.count("\n") == 1


def test_truncated_files(coded: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mvt"
    cut.write_bytes(coded.read_bytes()[:-60])
    assert run(["decode", str(cut), "-o", str(tmp_path / "c.mp4")]) == 3
    assert not (tmp_path / "c.mp4").exists()
    assert run(["decode", str(cut), "-o", str(tmp_path / "c.mp4"), "--recover", "--quiet"]) == 0


def test_one_damaged_segment_costs_that_segment(coded: Path, tmp_path: Path,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", str(coded), "--json", "-v"]) == 0
    middle = json.loads(capsys.readouterr().out)["segment_list"][1]
    data = bytearray(coded.read_bytes())
    data[middle["offset"] + middle["bytes"] // 2] ^= 1
    bad = tmp_path / "bad.mvt"
    bad.write_bytes(data)
    assert run(["verify", str(bad)]) == 3
    assert "segment 1 of 3" in capsys.readouterr().err
    target = tmp_path / "c.mkv"
    assert run(["decode", str(bad), "-o", str(target), "--quiet"]) == 3
    assert not target.exists()
    assert run(["decode", str(bad), "-o", str(target), "--recover", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["frames"] == 7 and len(report["warnings"]) == 1


def test_a_device_that_is_not_here(coded: Path, tmp_path: Path,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["decode", str(coded), "-o", str(tmp_path / "c.mp4"), "--device", "cuda:99"]) == 2
    assert "use --device auto or cpu" in capsys.readouterr().err


def test_models_and_help(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "--json"]) == 0
    rows = {r["model"]: r for r in json.loads(capsys.readouterr().out)}
    assert set(rows) >= {"tiny", "s", "b", "magvit2"}
    assert rows[tiny]["weights_sha256"] and rows["s"]["decoder_kmac_per_pixel"] <= 32
    for verb in VERBS:
        assert run([verb, "--help"]) == 0
        assert len(capsys.readouterr().out) > 100
