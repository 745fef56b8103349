"""The weights that come with the package: they load, they compress, qp means something."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import nvcodec
from nvcodec import EncodeOptions
from nvcodec.cli.app import run
from nvcodec.codec.compare import frames_of
from nvcodec.models import registry


@pytest.fixture(autouse=True)
def _packaged_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NVCODEC_MODELS", raising=False)


def test_files_are_what_the_index_says() -> None:
    found = registry.releases()
    assert registry.DEFAULT_MODEL in [r.id for r in found]
    for release in found:
        assert hashlib.sha256(release.weights.read_bytes()).hexdigest() == release.sha256
        assert release.weights.stat().st_size <= 20e6
        assert release.table is not None and release.table.exists()
        assert {"steps", "hours", "data"} <= set(release.provenance)


@pytest.mark.parametrize("name", ["tenth", "eleventh", "twelfth"])
def test_a_file_made_by_an_earlier_release_decodes(name: str, tmp_path: Path) -> None:
    """On another machine, by other versions: to the same tokens, and to a video. The weights have
    another prior since; the index keeps those before."""
    mvt = Path(__file__).parent / "data" / f"s_{name}.mvt"
    assert nvcodec.inspect(mvt)["weights_sha256"] == registry.find("s").sha256
    assert nvcodec.inspect(mvt)["prior_sha256"] == registry.find(f"s-{name}").prior_sha256
    assert nvcodec.verify(mvt)["segments"] == 1
    assert nvcodec.decode(mvt, tmp_path / "a.mp4").frames == 5


def test_a_higher_qp_takes_fewer_bytes(bikes: Path, tmp_path: Path) -> None:
    sizes = []
    for qp in (0, 32, 63):
        report = nvcodec.encode(bikes, tmp_path / f"{qp}.mvt", EncodeOptions(qp=qp, duration=0.2))
        sizes.append(report.file_bytes)
    assert all(a > b for a, b in pairwise(sizes))


def test_a_second_look_makes_better_pictures(carphone: Path, tmp_path: Path) -> None:
    errors, sizes = [], []
    for fast in (False, True):
        options = EncodeOptions(qp=24, duration=0.57, fast=fast)
        mvt = tmp_path / f"{fast}.mvt"
        sizes.append(nvcodec.encode(carphone, mvt, options).bpp)
        pairs = zip(frames_of(carphone), frames_of(mvt), strict=False)
        errors.append(np.mean([np.square(x.astype(np.float32) - y).mean() for x, y in pairs]))
    assert errors[0] < 0.985 * errors[1]
    assert sizes[0] < 1.15 * sizes[1]


def test_a_wished_rate_is_met(bikes: Path, tmp_path: Path) -> None:
    middle = nvcodec.encode(bikes, tmp_path / "a.mvt", EncodeOptions(qp=32, duration=0.2)).bpp
    report = nvcodec.encode(bikes, tmp_path / "b.mvt", EncodeOptions(bpp=middle, duration=0.2))
    assert report.bpp == pytest.approx(middle, rel=0.05)


def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str],
              monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's first command, on fewer frames: real figures, and the files it names."""
    monkeypatch.setattr("nvcodec.cli.demo.FRAMES", 9)
    assert run(["demo", "-o", str(tmp_path / "out"), "--json", "--quiet"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["frames"], result["width"], result["height"]) == (9, 640, 272)
    assert 0 < result["bpp"] < 0.1
    assert result["psnr"] > 18 and result["msssim"] > 0.6
    assert all(Path(f).stat().st_size > 1000 for f in result["files"])
