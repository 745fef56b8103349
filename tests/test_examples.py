"""The scripts of docs/examples run as they are, with a small model in the default's place."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest

import nvcodec
from tests.codec.test_round_trip import make_clip

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"


@pytest.fixture
def _small_default(tiny_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release folder whose `s` is the tiny model."""
    folder = shutil.copytree(tiny_release, tmp_path / "release")
    index = json.loads((folder / "index.json").read_text())
    entry = {k: v for k, v in index["tiny"].items() if not k.startswith("prior")}  # table: quick
    (folder / "index.json").write_text(json.dumps({"s": entry}))
    monkeypatch.setenv("NVCODEC_MODELS", str(folder))
    monkeypatch.setenv("NVCODEC_LPIPS_WEIGHTS", str(tmp_path / "none"))


def play(monkeypatch: pytest.MonkeyPatch, name: str, *args: object) -> int:
    """Run a script as `python name args` would; returns its exit code."""
    monkeypatch.setattr("sys.argv", [name, *map(str, args)])
    try:
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    except SystemExit as left:
        return int(left.code or 0)
    return 0


@pytest.mark.usefixtures("_small_default")
def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                          capsys: pytest.CaptureFixture[str]) -> None:
    videos, out = tmp_path / "videos", tmp_path / "out"
    videos.mkdir()
    clip = make_clip(videos / "a.mp4", [40 * i for i in range(9)])
    (videos / "broken.mp4").write_bytes(b"no video")
    assert play(monkeypatch, "encode_folder.py", videos, out) == 1
    printed, complaint = capsys.readouterr()
    assert "a.mvt: 9 frames" in printed and "broken.mp4" in complaint
    assert [p.name for p in out.iterdir()] == ["a.mvt"]
    mvt = out / "a.mvt"

    assert play(monkeypatch, "frames_to_numpy.py", mvt, tmp_path / "f.npz", "--start", 0.1,
                "--every", 2) == 0
    with np.load(tmp_path / "f.npz") as held, nvcodec.open(mvt) as video:
        assert held["seconds"].tolist() == pytest.approx([0.12, 0.2, 0.28])
        wanted = [f.rgb for f in video.frames()][3::2]
        assert np.array_equal(held["frames"], np.stack(wanted))

    assert play(monkeypatch, "language_model_sequences.py", tmp_path / "s.npz", mvt) == 0
    with np.load(tmp_path / "s.npz") as held:
        (row,) = held.values()
        assert len(row) == 2 * 3 * 6 * 8
        assert row[::2].max() < 512 <= row[1::2].min() and row.max() < 1024

    capsys.readouterr()
    assert play(monkeypatch, "bits_per_segment.py", mvt) == 0
    head, first, last = capsys.readouterr().out.splitlines()
    assert head.split()[0] == "start" and first.split()[1] == "9"
    assert f"of {mvt.stat().st_size} bytes" in last

    assert play(monkeypatch, "compare_rates.py", clip, 0.5, 1.0) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["asked", "bpp"]
    asked = [row.split()[0] for row in rows if not row.startswith("  ") or row[3].isdigit()]
    assert asked == ["0.5000", "1.0000"]


def test_each_example_is_run_and_named_in_the_docs() -> None:
    text = (EXAMPLES.parent / "python-api.md").read_text()
    here = Path(__file__).read_text()
    for script in EXAMPLES.glob("*.py"):
        assert f"examples/{script.name}" in text and f'"{script.name}"' in here
