"""What the paper's causal design promises: no frame sees a later one, streams equal clips."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.models import lfq
from nvcodec.models.config import CONFIGS, ModelConfig
from nvcodec.models.conv import StreamState
from nvcodec.models.tokenizer import DecoderStream, EncoderStream, Tokenizer
from tests.awake import awaken


def make(config: ModelConfig) -> Tokenizer:
    """Random weights everywhere, the modulations that begin at zero too."""
    torch.manual_seed(1)
    model = Tokenizer(config).eval()
    if config.memory:
        awaken(model)
    with torch.no_grad():
        for module in model.modules():
            for part in ("control", "modulation"):
                layer = getattr(module, part, None)
                if layer is not None:
                    layer.weight.normal_(std=0.1)
                    layer.bias.normal_(std=0.1)
    return model


@pytest.fixture(scope="module", params=["tiny", "s"])
def model(request: pytest.FixtureRequest) -> Tokenizer:
    return make(CONFIGS[request.param])


@torch.inference_mode()
def test_a_latent_ignores_later_frames(model: Tokenizer) -> None:
    x = torch.randn(1, 9, 32, 40, 3)
    whole = model.encode(x, 20)
    for frames, latents in ((1, 1), (5, 2)):
        changed = x.clone()
        changed[:, frames:] = torch.randn_like(changed[:, frames:])
        assert torch.equal(model.encode(changed, 20)[:, :latents], whole[:, :latents])


@torch.inference_mode()
def test_a_frame_ignores_later_latents(model: Tokenizer) -> None:
    q = torch.randn(1, 3, 4, 5, 18).sign()
    changed = q.clone()
    changed[:, 2:] *= -1
    assert torch.equal(model.decode(q, 3)[:, :5], model.decode(changed, 3)[:, :5])
    assert not torch.equal(model.decode(q, 3)[:, 5:], model.decode(changed, 3)[:, 5:])


@pytest.mark.parametrize("name", ["tiny", "s", "plain", "3d"])
@pytest.mark.parametrize("every", [2, 4])
@torch.inference_mode()
def test_some_frames_can_be_made_alone(name: str, every: int) -> None:
    """They are those that all of them have in their places, in one piece and in several."""
    tiny = CONFIGS["tiny"]
    others = {"plain": replace(tiny, memory=False, keeps=False),
              "3d": replace(tiny, block_kinds=("2d+1d",) * 4)}
    model = make(others.get(name) or CONFIGS[name])
    q = torch.randn(1, 4, 4, 5, 18).sign()
    whole = model.decode(q, 3)[:, ::every]
    torch.testing.assert_close(model.decode(q, 3, every=every), whole, atol=0.01, rtol=0)
    state = StreamState()
    parts = [model.decode(part, 3, state, every) for part in q.split([1, 2, 1], dim=1)]
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=0.01, rtol=0)


@torch.inference_mode()
def test_an_image_is_a_one_frame_video(model: Tokenizer) -> None:
    clip = torch.randint(0, 256, (9, 33, 47, 3), dtype=torch.uint8)
    image = EncoderStream(model, 7).push(clip[:1])
    video = EncoderStream(model, 7).push(clip)
    assert image.shape == (1, 5, 6, 18)
    assert torch.equal(image[0] > 0, video[0] > 0)


@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(1, 3), min_size=1, max_size=3), qp=st.integers(0, 63))
@torch.inference_mode()
def test_streaming_equals_the_whole_clip(model: Tokenizer, cuts: list[int], qp: int) -> None:
    latents = 1 + sum(cuts)
    x = torch.rand(1, 1 + 4 * (latents - 1), 24, 16, 3) * 2 - 1
    z = model.encode(x, qp)
    y = model.decode(lfq.quantize(z), qp)
    encoder, decoder = StreamState(), StreamState()
    parts, frames, at = [model.encode(x[:, :1], qp, encoder)], [], 1
    for cut in cuts:
        parts.append(model.encode(x[:, at:at + 4 * cut], qp, encoder))
        at += 4 * cut
    frames = [model.decode(lfq.quantize(p), qp, decoder) for p in parts]
    assert (torch.cat(parts, 1) - z).abs().max() < 1e-4
    assert (torch.cat(frames, 1) - y).abs().max() < 1e-4


def test_paper_shape() -> None:
    """17x128x128 -> 5x16x16 and back, counted on shapes alone."""
    with torch.device("meta"):
        model = Tokenizer(CONFIGS["magvit2"])
        z = model.encode(torch.empty(1, 17, 128, 128, 3))
        assert z.shape == (1, 5, 16, 16, 18)
        assert model.decode(z).shape == (1, 17, 128, 128, 3)


def test_paper_model_is_causal_and_streams() -> None:
    """The 3D path in float32, with the paper's layer kinds at a tenth of its width."""
    from dataclasses import replace

    torch.manual_seed(0)
    config = replace(CONFIGS["magvit2"], encoder_channels=(8, 8, 8, 8), encoder_blocks=(1,) * 4,
                     decoder_channels=(8, 8, 8, 8), decoder_blocks=(1,) * 4)
    model = Tokenizer(config).eval()
    x = torch.randn(1, 9, 16, 16, 3)
    with torch.inference_mode():
        z = model.encode(x)
        state = StreamState()
        parts = [model.encode(p, state=state) for p in (x[:, :1], x[:, 1:5], x[:, 5:])]
        assert (torch.cat(parts, 1) - z).abs().max() < 1e-4
        back = StreamState()
        y = torch.cat([model.decode(z[:, i:i + 1], state=back) for i in range(3)], 1)
        assert (y - model.decode(z)).abs().max() < 1e-4


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (33, 8), (16, 50)])
def test_any_size(model: Tokenizer, size: tuple[int, int]) -> None:
    clip = torch.randint(0, 256, (5, *size, 3), dtype=torch.uint8)
    tokens = lfq.bits_to_tokens(EncoderStream(model, 0).push(clip))
    assert tokens.shape == (2, -(-size[0] // 8), -(-size[1] // 8))
    frames = DecoderStream(model, 0, *size).push(tokens)
    assert frames.shape == clip.shape
    assert frames.dtype == torch.uint8
