from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cache import Cache
from benchmarks.clips import probe
from benchmarks.codecs.base import Codec
from benchmarks.engine import Engine, Folders
from benchmarks.metrics import Metrics, Settings
from benchmarks.plan import Planner
from benchmarks.process import Runner

WRITE = "import sys; open(sys.argv[2], 'wb').write(bytes(int(sys.argv[3])))"
FAIL = "import sys; sys.exit('codec is out of order')"


@dataclass(frozen=True)
class Fake(Codec):
    """Writes files of a size that falls with the point; point `broken` fails."""

    broken: int = -1
    revision: str = "1"

    name = "hevc"
    label = "fake"
    scale = "qp"
    suffix = ".bin"
    points = (10, 20, 30, 40)
    quick_points = (10, 30)

    @property
    def settings(self) -> dict[str, Any]:
        return {"threads": self.threads}

    def version(self) -> str:
        return self.revision

    def encode_argv(self, master: Path, stream: Path, point: int) -> list[str]:
        code = FAIL if point == self.broken else WRITE
        size = str(int(100_000 * 0.9**point))
        return [sys.executable, "-S", "-c", code, str(master), str(stream), size]

    def decode_argv(self, stream: Path, decoded: Path) -> list[str]:
        return [sys.executable, "-S", "-c", WRITE, str(stream), str(decoded), "10"]


class FakeMetrics(Metrics):
    """Counts calls; stops the benchmark at call number `stop_at`."""

    def __init__(self, stop_at: int = -1) -> None:
        super().__init__(Settings(), Runner())
        self.calls, self.stop_at = 0, stop_at

    def measure(self, master, decoded, watch=None):
        self.calls += 1
        if self.calls == self.stop_at:
            raise KeyboardInterrupt
        assert decoded.exists()
        return {"lpips": 0.1, "psnr": 30.0, "msssim": 0.9, "vmaf": None, "flicker": 1.0,
                "lpips_vgg": None, "metric_frames": 5}


def run(out: Path, clip: Path, ffmpeg: str, codec: Codec, metrics: FakeMetrics | None = None,
        quick: bool = False, jobs: int = 1):
    folders = Folders(out, out / "work")
    folders.make()
    metrics = metrics or FakeMetrics()
    engine = Engine(folders, Planner([codec], {"every": 1}, quick), metrics, Runner(),
                    Cache(out / "results.jsonl"), jobs)
    return engine.run([probe(clip)], ffmpeg, 0), metrics


def test_every_point_and_the_matched_one(tmp_path, make_clip, ffmpeg):
    outcome, metrics = run(tmp_path, make_clip(), ffmpeg, Fake(1))
    points = sorted(r["point"] for r in outcome.rows)
    assert len(points) == 5 and points[0] == 10 and points[-1] == 40 and not outcome.failures
    extra = next(r for r in outcome.rows if r["point"] not in Fake.points)
    assert extra["bpp"] == pytest.approx(0.0384, rel=0.06)
    row = outcome.rows[0]
    assert row["bytes"] == int(100_000 * 0.9**10)
    assert row["bpp"] == pytest.approx(8 * row["bytes"] / (5 * 640 * 360))
    assert str(tmp_path) not in (tmp_path / "results.jsonl").read_text()
    assert metrics.calls == 5
    assert not list((tmp_path / "work").glob("*.mkv")), "decodes are removed"
    assert (tmp_path / "work" / ".gitignore").read_text() == "*\n"


def test_a_second_run_measures_nothing(tmp_path, make_clip, ffmpeg):
    first, _ = run(tmp_path, make_clip(), ffmpeg, Fake(1), quick=True)
    again, metrics = run(tmp_path, make_clip(), ffmpeg, Fake(1), quick=True)
    assert metrics.calls == 0
    assert [r["key"] for r in again.rows] == [r["key"] for r in first.rows]


def test_another_version_is_measured_anew(tmp_path, make_clip, ffmpeg):
    run(tmp_path, make_clip(), ffmpeg, Fake(1), quick=True)
    _, metrics = run(tmp_path, make_clip(), ffmpeg, Fake(1, revision="2"), quick=True)
    assert metrics.calls == 2


def test_ctrl_c_keeps_what_is_done(tmp_path, make_clip, ffmpeg):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, make_clip(), ffmpeg, Fake(1), FakeMetrics(stop_at=3))
    assert len(Cache(tmp_path / "results.jsonl")) == 2
    assert not list((tmp_path / "work").glob("*.mkv"))
    outcome, metrics = run(tmp_path, make_clip(), ffmpeg, Fake(1))
    assert metrics.calls == 3 and len(outcome.rows) == 5


def test_a_failing_point_costs_only_itself(tmp_path, make_clip, ffmpeg):
    outcome, _ = run(tmp_path, make_clip(), ffmpeg, Fake(1, broken=20), quick=False)
    assert 20 not in {r["point"] for r in outcome.rows} and len(outcome.rows) >= 3
    assert "codec is out of order" in outcome.failures[0] and "hevc 20" in outcome.failures[0]


def test_several_jobs_give_the_same_rows(tmp_path, make_clip, ffmpeg):
    outcome, _ = run(tmp_path, make_clip(), ffmpeg, Fake(1), jobs=3)
    assert len({r["key"] for r in outcome.rows}) == 5
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 5
