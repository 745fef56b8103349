"""A wished quality is what a decode has, on real files of the packaged weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import nvcodec
from nvcodec import EncodeOptions, EncodeReport, UsageError
from nvcodec.codec import qualitysearch
from nvcodec.codec.qualitysearch import MEASURES
from nvcodec.quality import Meter
from nvcodec.video.reader import open_video
from nvcodec.video.writer import VideoWriter

FRAMES = 13


@pytest.fixture(scope="module")
def small(bunny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few frames of a real clip, at a twelfth of its size."""
    path = tmp_path_factory.mktemp("small") / "a.mkv"
    with open_video(bunny) as video, VideoWriter(
            path, 104, 60, video.info.fps, video.info.time_base, video.info.color) as out:
        for f in video.frames(duration=FRAMES / float(video.info.fps)):
            out.write(np.ascontiguousarray(f.rgb[::12, ::12][:60, :104]), f.pts, f.duration)
    return path


@pytest.fixture
def blurred_lpips(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of LPIPS, whose backbone weights are not here: distance of blurred pictures."""
    def distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.avg_pool2d(a - b, 4).abs().mean()

    monkeypatch.setattr("nvcodec.quality.load_lpips", lambda *_: distance)


def coded(source: Path, tmp_path: Path, **wish: object) -> tuple[EncodeReport, dict[str, float]]:
    """A file, and what it comes to."""
    target = tmp_path / "a.mvt"
    report = nvcodec.encode(source, target, EncodeOptions(
        force=True, **wish))  # type: ignore[arg-type]
    return report, nvcodec.compare(source, target)


def every_third(source: Path, target: Path) -> float:
    """PSNR of the frames that a search looks at."""
    with open_video(source) as video, nvcodec.open(target) as made:
        pairs = list(zip(video.frames(), made.frames(), strict=True))[2::3]
    errors = [np.mean(np.square(a.rgb.astype(float) - b.rgb)) for a, b in pairs]
    return float(np.mean(10 * np.log10(255**2 / np.array(errors))))


def test_psnr_is_met_and_reported(small: Path, tmp_path: Path) -> None:
    best, worst = (coded(small, tmp_path, qp=qp)[1]["psnr"] for qp in (0, 63))
    assert worst + 1 < best
    wish = (best + 2 * worst) / 3
    report, found = coded(small, tmp_path, psnr=wish)
    assert report.wanted_quality == {"psnr": wish} and report.sampled_quality
    sampled = report.sampled_quality["psnr"]
    assert sampled == pytest.approx(wish, abs=0.26)  # 3% of the distortion
    assert sampled == pytest.approx(every_third(small, tmp_path / "a.mvt"), abs=1e-6)
    assert found["psnr"] == pytest.approx(wish, abs=0.5)  # all frames, not samples alone
    assert len(set(report.qp)) == 1 and report.passes > 1
    assert not report.warnings and report.reach is None and report.wanted_bpp is None


def test_lpips_is_met(small: Path, tmp_path: Path, blurred_lpips: None) -> None:
    ends = []
    for qp in (0, 63):
        nvcodec.encode(small, tmp_path / "b.mvt", EncodeOptions(qp=qp, force=True))
        ends.append(distance(small, tmp_path / "b.mvt"))
    wish = float(np.prod(ends))**0.5
    report, _ = coded(small, tmp_path, lpips=wish)
    assert ends[0] < wish < ends[1]
    assert report.sampled_quality == {"lpips": pytest.approx(wish, rel=0.031)}


def distance(source: Path, target: Path) -> float:
    """The stand-in's."""
    meter = Meter(download=True)
    with open_video(source) as video, nvcodec.open(target) as made:
        pairs = list(zip(video.frames(), made.frames(), strict=True))[2::3]
    return float(np.mean([meter.add(a.rgb, b.rgb)[2] for a, b in pairs]))


def test_what_is_out_of_reach_is_said(small: Path, tmp_path: Path) -> None:
    report, found = coded(small, tmp_path, psnr=90)
    assert report.reach is not None and report.sampled_quality
    assert report.reach[0] == report.sampled_quality["psnr"] > report.reach[1]
    [warning] = report.warnings
    assert "PSNR 90 is out of this model's reach" in warning and "the nearest is" in warning
    assert found["psnr"] > coded(small, tmp_path, qp=50)[1]["psnr"]


@pytest.fixture
def sampled(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Times of the frames of each part that a search measures."""
    places: list[list[int]] = []
    search = qualitysearch.QualitySearch.find

    def spy(self: qualitysearch.QualitySearch) -> qualitysearch.Found:
        places.extend([f.pts for f in part] for part in self.parts)
        return search(self)

    monkeypatch.setattr(qualitysearch.QualitySearch, "find", spy)
    return places


def test_long_sources_are_sampled_in_places(small: Path, tmp_path: Path, sampled: list[list[int]],
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qualitysearch, "PLACE_FRAMES", 3)
    report, _ = coded(small, tmp_path, psnr=20)
    assert [len(p) for p in sampled] == [3, 3, 2] and sampled == sorted(sampled)
    assert report.frames == FRAMES and report.sampled_quality


def test_a_part_of_a_source_is_sampled_alone(small: Path, tmp_path: Path,
                                             sampled: list[list[int]]) -> None:
    with open_video(small) as video:
        pts, step = [f.pts for f in video.frames()], 1 / float(video.info.fps)
    report = nvcodec.encode(small, tmp_path / "a.mvt", EncodeOptions(
        psnr=20, start=4 * step, duration=5 * step))
    assert sampled == [pts[4:9]] and report.frames == 5


def test_what_cannot_be_measured_is_refused(small: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too small for MS-SSIM"):
        coded(small, tmp_path, msssim=0.9)
    assert not (tmp_path / "a.mvt").exists()
    with pytest.raises(UsageError, match="no frame at 99"):
        coded(small, tmp_path, psnr=30, start=99.0)


def test_a_pipe_is_refused(small: Path, tmp_path: Path) -> None:
    with small.open("rb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "nvcodec", "encode", "-", "-o", tmp_path / "a.mvt", "--psnr",
             "25"], stdin=pipe, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "wish for a rate" in done.stderr
    assert not (tmp_path / "a.mvt").exists()


@pytest.mark.parametrize("wish", [{"lpips": 1.0}, {"psnr": 0.0}, {"msssim": 1.2},
                                  {"lpips": float("nan")}, {"lpips": 0.1, "bpp": 0.02},
                                  {"psnr": 30.0, "msssim": 0.9}])
def test_what_is_no_wish_is_refused(wish: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=r"is not a quality|both given"):
        EncodeOptions(**wish)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "good", "bad"), [
    ("lpips", 0.1, 0.2), ("psnr", 26.0, 20.0), ("msssim", 0.95, 0.9)])
def test_worth_falls_with_quality(name: str, good: float, bad: float) -> None:
    """As bits do, by some octaves for twice the distortion; nothing is too good for it."""
    measure = MEASURES[name]
    assert 3 < measure.worth(good) / measure.worth(bad) < 32
    assert measure.worth(good, 2.0) == pytest.approx(measure.worth(bad), rel=0.02)
    assert all(0 < m.worth(best) < float("inf") for m, best in (
        (MEASURES["lpips"], 0.0), (MEASURES["msssim"], 1.0), (MEASURES["psnr"], 100.0)))
