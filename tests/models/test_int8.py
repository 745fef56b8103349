"""The 8-bit form of the tokenizer: exact sums, close pictures, the same streams."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.models import int8, precision, registry
from nvcodec.models.config import CONFIGS
from nvcodec.models.conv import CausalConv3d
from nvcodec.models.second_look import share
from nvcodec.models.tokenizer import DecoderStream, EncoderStream, Tokenizer
from tests.awake import awaken

CPU = torch.device("cpu")
needs_avx2 = pytest.mark.skipif(not int8.is_fast(CPU), reason="this CPU has no AVX2")


@pytest.fixture(scope="module")
def frames() -> torch.Tensor:
    """uint8 [9, 32, 48, 3]: a smooth pattern that moves."""
    t, y, x, c = torch.meshgrid(*(torch.arange(n) for n in (9, 32, 48, 3)), indexing="ij")
    return (127 + 100 * torch.sin(0.2 * x + 0.3 * t + c) * torch.cos(0.15 * y)).to(torch.uint8)


def model(seed: int = 0) -> Tokenizer:
    torch.manual_seed(seed)
    return awaken(Tokenizer(CONFIGS["tiny"])).eval().requires_grad_(False)


def converted(frames: torch.Tensor) -> Tokenizer:
    source = model()
    pixels = frames[None] / 127.5 - 1
    with torch.inference_mode():
        ranges = int8.measure_ranges(
            source, lambda: source.decode(source.encode(pixels, 20).sign(), 20))
    return int8.convert(source, ranges)


@needs_avx2
@settings(max_examples=30, deadline=None)
@given(kernel=st.sampled_from([(1, 1, 1), (1, 3, 3), (3, 1, 1), (2, 1, 1)]),
       c_in=st.integers(1, 40), c_out=st.integers(1, 40), frames=st.integers(1, 5),
       height=st.integers(1, 7), width=st.integers(1, 7), seed=st.integers(0, 99))
def test_sums_are_those_of_integers(kernel, c_in, c_out, frames, height, width, seed):
    torch.manual_seed(seed)
    conv = CausalConv3d(c_in, c_out, kernel)
    small = int8.Int8Conv(conv, -0.5, 2.0)
    step = 2.5 / 255
    # A tenth of a step from where levels meet, or the last digit of a float would choose the level.
    x = (torch.rand(2, frames, height, width, c_in) * 3 - 1) / step
    x = (x.round() + 0.8 * (x - x.round())) * step
    levels = (x / step + round(0.5 / step) + 0.5).clamp(0, 255).floor() - round(0.5 / step)
    scale = conv.weight.abs().amax((1, 2, 3, 4)) / int8.TOP
    whole = (conv.weight / scale[:, None, None, None, None]).round()
    padded = F.pad(levels.permute(0, 4, 1, 2, 3).double(),
                   (kernel[2] // 2,) * 2 + (kernel[1] // 2,) * 2 + (kernel[0] - 1, 0))
    sums = F.conv3d(padded, whole.double()).permute(0, 2, 3, 4, 1)
    expected = sums * step * scale + conv.bias
    with torch.inference_mode():
        assert torch.allclose(small(x).double(), expected.double(), atol=1e-4, rtol=1e-4)


@needs_avx2
def test_pictures_are_close(frames):
    source, small = model(), converted(frames)
    with torch.inference_mode():
        q = source.encode(frames[None] / 127.5 - 1, 20).sign()
        a, b = source.decode(q, 20), small.decode(q, 20)
    error = (a - b).square().mean() / (a - a.mean()).square().mean()
    assert 10 * torch.log10(error) < -25  # dB
    assert small.precision == "int8" and source.precision == "float32"


@needs_avx2
def test_a_stream_equals_the_whole_clip(frames):
    small = converted(frames)
    with torch.inference_mode():
        z = small.encode(frames[None] / 127.5 - 1, 20, again=share(20))[0]
        x = small.decode(z[None].sign(), 20)[0]
    encoder = EncoderStream(small, 20)
    pieces = torch.cat([encoder.push(frames[a:b]) for a, b in pairwise((0, 1, 5, 9))])
    assert torch.allclose(pieces, z, atol=1e-4)
    tokens = ((z > 0).int() << torch.arange(18)).sum(-1)
    decoder = DecoderStream(small, 20, 32, 48)
    made = torch.cat([decoder.push(tokens[a:b]) for a, b in pairwise((0, 1, 2, 3))])
    assert (made.float() - ((x + 1) * 127.5).clamp(0, 255)).abs().max() < 0.51


def test_every_convolution_inside_the_default_model_has_a_range():
    release = registry.find("s")
    with torch.device("meta"):
        inside = int8.convertible(Tokenizer(release.config))
    assert set(release.ranges) == set(inside)
    assert len(inside) > 30
    assert all(low <= 0 < high for low, high in release.ranges.values())


@needs_avx2
def test_the_default_model_becomes_8_bits_throughout():
    small = precision.load(registry.find("s"), CPU)
    left = {n for n, m in small.named_modules() if isinstance(m, CausalConv3d)}
    assert left == set(int8.EDGES) & {n for n, _ in small.named_modules()}


@pytest.mark.parametrize(("ranges", "device", "why"), [
    ({}, CPU, "no 8-bit ranges"),
    ({"a": (0.0, 1.0)}, torch.device("meta"), "meta has no fast 8-bit"),
    ({"a": (0.0, 1.0)}, CPU, "cpu has no fast 8-bit"),
])
def test_where_8_bits_cannot_be_had(monkeypatch, ranges, device, why):
    monkeypatch.setattr(int8, "_is_exact", lambda: False)
    int8.is_fast.cache_clear()
    release = SimpleNamespace(id="s", ranges=ranges)
    assert precision.resolve("auto", release, device) == "float32"
    with pytest.raises(registry.ModelError, match=rf"{why}.*; use --precision float32"):
        precision.resolve("int8", release, device)
    int8.is_fast.cache_clear()


@pytest.mark.parametrize("broken", ["absent", "wrong"])
def test_arithmetic_that_is_absent_or_wrong_is_not_used(monkeypatch, broken):
    def forward(self, x, state=None):
        if broken == "absent":
            raise AttributeError("no such operator")
        return x.new_zeros(1)

    monkeypatch.setattr(int8.Int8Conv, "forward", forward)
    monkeypatch.setattr(torch.cpu, "_is_avx2_supported", lambda: True, raising=False)
    int8.is_fast.cache_clear()
    try:
        assert not int8.is_fast(CPU)
    finally:
        int8.is_fast.cache_clear()
