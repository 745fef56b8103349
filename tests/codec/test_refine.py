"""The encoder's search: better pictures from files that any decoder reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import nvcodec
from nvcodec import EncodeOptions
from nvcodec.codec.refine import Refiner, load_perceptual
from nvcodec.errors import NvcodecError, UsageError
from nvcodec.models import lfq, registry
from nvcodec.models.tokenizer import DecoderStream, EncoderStream, Tokenizer
from nvcodec.train.losses import Perceptual


@pytest.fixture
def model(tiny: None) -> Tokenizer:
    del tiny
    torch.set_num_threads(1)
    return registry.load(registry.find("tiny"), torch.device("cpu"))


@pytest.fixture
def perceptual(blurred_distance: None) -> Perceptual:
    del blurred_distance
    return load_perceptual(torch.device("cpu"))


def moving_noise(frames: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(frames)
    coarse = torch.rand(1, 3, height // 8 + 1, width // 8 + 1, generator=generator)
    picture = torch.nn.functional.interpolate(coarse, (height, width))[0].permute(1, 2, 0)
    return torch.stack([picture.roll(i, 1) for i in range(frames)]).mul(255).to(torch.uint8)


@pytest.mark.parametrize("size", [(48, 64), (45, 50)], ids=["whole", "cropped"])
def test_pictures_come_nearer(model: Tokenizer, perceptual: Perceptual,
                              size: tuple[int, int]) -> None:
    """Two pieces of one segment, each better than what the encoder network alone makes of it."""
    pixels = moving_noise(13, *size)
    encoder, refiner = EncoderStream(model, 20), Refiner(model, 20, 6, perceptual)
    plain, refined = DecoderStream(model, 20, *size), DecoderStream(model, 20, *size)
    for piece in (pixels[:9], pixels[9:]):
        z = torch.from_numpy(encoder.push(piece).numpy())
        errors = []
        for stream, values in ((plain, z), (refined, refiner.push(z, piece))):
            assert values.shape == z.shape
            made = stream.push(lfq.bits_to_tokens(values))
            if stream is refined:
                refiner.learn(lfq.quantize(values))
            errors.append((made.float() - piece.float()).abs().mean())
        assert errors[1] < errors[0]


def test_it_remembers_as_a_decoder_does(model: Tokenizer, perceptual: Perceptual) -> None:
    pixels = moving_noise(9, 48, 64)
    refiner, decoder = Refiner(model, 3, 2, perceptual), DecoderStream(model, 3, 48, 64)
    z = torch.from_numpy(EncoderStream(model, 3).push(pixels).numpy())
    refined = refiner.push(z, pixels)
    assert not refiner.state  # trial decodings are forgotten
    refiner.learn(lfq.quantize(refined))
    decoder.push(lfq.bits_to_tokens(refined))
    names = {m: n for n, m in model.named_modules()}
    assert {names[m] for m in refiner.state} == {names[m] for m in decoder.state}
    for module, value in refiner.state.items():
        assert torch.allclose(value, decoder.state[module], atol=1e-5)


@pytest.mark.usefixtures("tiny", "blurred_distance")
def test_files_are_ordinary(carphone: Path, tmp_path: Path) -> None:
    sizes = {}
    for effort in (0, 2):
        target = tmp_path / f"{effort}.mvt"
        options = EncodeOptions(model="tiny", duration=0.6, effort=effort, verify=True)
        report = nvcodec.encode(carphone, target, options)
        nvcodec.decode(target, tmp_path / f"{effort}.mkv")
        sizes[effort] = target.read_bytes()
        assert report.frames == 18
    assert sizes[0] != sizes[2]


@pytest.mark.usefixtures("tiny")
def test_without_backbones(carphone: Path, tmp_path: Path,
                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NVCODEC_LPIPS_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def offline(**_: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("lpips.LPIPS", offline)
    with pytest.raises(NvcodecError, match="NVCODEC_LPIPS_WEIGHTS"):
        nvcodec.encode(carphone, tmp_path / "a.mvt", EncodeOptions(model="tiny", effort=1))
    assert not list(tmp_path.glob("*.mvt"))


def test_effort_is_bounded() -> None:
    for effort in (-1, 65):
        with pytest.raises(UsageError, match=f"effort {effort}"):
            EncodeOptions(effort=effort)
    assert np.isfinite(EncodeOptions(effort=64).effort)


@pytest.mark.parametrize("nets", [(), ("vgg",)])
def test_the_search_looks_through_backbones_of_the_training(nets: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="alex, squeeze"):
        EncodeOptions(effort_nets=nets)
