"""The encoder looks at what its signs will show, and mends what it misses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.models import lfq
from nvcodec.models.config import CONFIGS, KEEP
from nvcodec.models.second_look import FADES, SHARE, looked_again, share
from nvcodec.models.tokenizer import EncoderStream, Tokenizer
from tests.awake import awaken
from tests.models.scenes import view

CONFIG = CONFIGS["tiny"]
MOVING = replace(CONFIG, keeps=False, moves=True)


@pytest.fixture(params=[CONFIG, MOVING], ids=["keeping", "moving"])
def model(request: pytest.FixtureRequest) -> Tokenizer:
    torch.manual_seed(3)
    return awaken(Tokenizer(request.param)).eval()


def panning(frames: int) -> torch.Tensor:
    """uint8 [T, 32, 32, 3], a scene that moves by a pixel a frame."""
    made = torch.cat([view(t - 8, 0, side=32) for t in range(frames)])
    return ((made.clamp(-1, 1) + 1) * 127.5).to(torch.uint8)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 6), st.floats(-2, 2),
       st.floats(-2, 2), st.floats(0, 1))
def test_what_was_to_be_expected_moves_nothing(seed: int, rows: int, columns: int, a: float,
                                               b: float, part: float) -> None:
    z = torch.randn(1, 1, rows, columns, 18, generator=torch.Generator().manual_seed(seed))
    q = lfq.quantize(z)
    moved = looked_again(z, q, a * z + b * q, part) - z
    assert moved.abs().max() < 0.1


def test_what_is_missed_is_added() -> None:
    """One position is seen otherwise than all the others: it moves the other way, alone."""
    torch.manual_seed(1)
    z = torch.randn(1, 1, 20, 20, 18)
    q = lfq.quantize(z)
    seen = 0.3 * z + 0.6 * q
    seen[0, 0, 7, 9, 4] -= 1.5
    moved = looked_again(z, q, seen, 0.2) - z
    assert moved[0, 0, 7, 9, 4] == pytest.approx(0.3, abs=0.02)
    moved[0, 0, 7, 9, 4] = 0
    assert moved.abs().max() < 0.02


def test_high_qp_are_looked_at_once() -> None:
    shares = [share(qp / 4) for qp in range(4 * 63 + 1)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == share(FADES[0]) == SHARE
    assert share(FADES[1]) == shares[-1] == 0


@torch.inference_mode()
def test_the_stream_looks_as_the_whole_clip_does(model: Tokenizer) -> None:
    frames = panning(17)
    whole = EncoderStream(model, 20).push(frames)
    stream = EncoderStream(model, 20)
    pieces = torch.cat([stream.push(part) for part in frames.split([5, 4, 8])])
    torch.testing.assert_close(pieces, whole, atol=1e-4, rtol=0)
    assert not torch.allclose(whole, EncoderStream(model, 20, fast=True).push(frames), atol=1e-3)


@torch.inference_mode()
def test_a_second_look_leaves_no_trace_but_in_values(model: Tokenizer) -> None:
    """Where nothing of it is taken, the loop goes on as if it had not been."""
    x = panning(13)[None] / 127.5 - 1
    once, twice = model.encode(x, 20), model.encode(x, 20, again=1e-12)
    torch.testing.assert_close(twice, once, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_what_is_kept_is_left_to_its_rule() -> None:
    torch.manual_seed(3)
    model = awaken(Tokenizer(CONFIG)).eval()
    x = panning(5)[None] / 127.5 - 1
    once, twice = model.encode(x[:, :1], 20), model.encode(x[:, :1], 20, again=0.3)
    assert torch.equal(once[..., KEEP], twice[..., KEEP])
    assert not torch.equal(once, twice)
