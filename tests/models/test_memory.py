"""The closed loop: what was decoded goes back into encoder and decoder."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.models import lfq
from nvcodec.models.config import CONFIGS, FINE, KEEP, STEER
from nvcodec.models.memory import (
    FINE_ANEW,
    FINE_STEP,
    KEPT_ANEW,
    Memory,
    expected,
    foretold,
    magnified,
    remembered,
    worth_keeping,
)
from nvcodec.models.steering import told
from nvcodec.models.tokenizer import EncoderStream, Tokenizer
from tests.awake import awaken
from tests.models.scenes import view

CONFIG = CONFIGS["tiny"]
QP = torch.tensor([9])


@pytest.fixture
def model() -> Tokenizer:
    torch.manual_seed(3)
    return awaken(Tokenizer(CONFIG)).eval()


@pytest.fixture
def memory() -> Memory:
    torch.manual_seed(3)
    return Memory(CONFIG)


def test_the_first_picture_has_nothing_before_it(model: Tokenizer) -> None:
    bare = Tokenizer(replace(CONFIG, memory=False)).eval()
    bare.load_state_dict({k: v for k, v in model.state_dict().items() if "memory" not in k
                          and k != "encoder.stem.weight"}, strict=False)
    q = torch.randn(1, 3, 4, 4, 18).sign()
    with torch.inference_mode():
        with_memory, without = model.decode(q, 9), bare.decode(q, 9)
    torch.testing.assert_close(with_memory[:, 0], without[:, 0])
    assert not torch.allclose(with_memory[:, 1:], without[:, 1:], atol=1e-3)


@torch.inference_mode()
def test_what_is_sent_shapes_later_values_and_no_earlier_ones(model: Tokenizer) -> None:
    frames = torch.randint(0, 256, (9, 32, 32, 3), dtype=torch.uint8)
    turns = []

    def second_is_wrong(z: torch.Tensor) -> torch.Tensor:
        turns.append(z)
        return lfq.quantize(z) * (-1 if len(turns) == 2 else 1)

    true = EncoderStream(model, 5).push(frames)
    wrong = EncoderStream(model, 5).push(frames, second_is_wrong)
    assert [t.shape[1] for t in turns] == [1, 1, 1]
    assert torch.equal(true[:2], wrong[:2])
    assert not torch.equal(true[2], wrong[2])


@torch.inference_mode()
def test_the_encoder_sees_the_pictures_that_a_decoder_makes(model: Tokenizer) -> None:
    x = torch.rand(2, 9, 32, 32, 3) * 2 - 1
    passage = model(x, torch.tensor([4, 40]))
    assert torch.equal(model.decode(passage.signs, torch.tensor([4, 40])), passage.pictures)
    assert torch.equal(model.encode(x, torch.tensor([4, 40])), passage.z)


@torch.inference_mode()
def test_the_gate_opens_where_pictures_are_alike(memory: Memory) -> None:
    before = (torch.rand(1, 1, 32, 32, 3) - 0.5).expand(-1, 4, -1, -1, -1)
    h = torch.zeros(1, 4, 8, 8, CONFIG.decoder_channels[0])
    made_anew = -torch.ones(1, 1, 4, 4, CONFIG.token_bits)
    near = before + 0.01 * torch.randn(1, 4, 32, 32, 3)
    mixed = memory.blend(near, before, h, made_anew)
    assert (mixed - before).abs().mean() < 0.5 * (near - before).abs().mean()
    mixed = memory.blend(-before, before, h, made_anew)
    assert (mixed + before).abs().mean() < 0.2 * (2 * before).abs().mean()


@torch.inference_mode()
def test_a_token_can_say_to_keep_what_is_expected(memory: Memory) -> None:
    before = 0.4 * torch.rand(1, 1, 32, 32, 3)
    made, h = before + 0.1, torch.zeros(1, 1, 8, 8, CONFIG.decoder_channels[0])
    gone = []
    for keep, fine in ((-1, -1), (1, -1), (1, 1)):
        tokens = torch.full((1, 1, 4, 4, CONFIG.token_bits), -1.0)
        tokens[:, :, :, :2, KEEP], tokens[:, :, :, :2, FINE] = keep, fine
        off = (memory.blend(made, before, h, tokens) - before).abs().mean((0, 1, 2, 4))
        gone.append(float(off[:8].mean()))
        torch.testing.assert_close(off[-8:], torch.full((8,), gone[0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(gone[1] / gone[0], KEPT_ANEW, atol=1e-4, rtol=0)
    torch.testing.assert_close(gone[2] / gone[0], FINE_ANEW, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_a_token_can_say_to_correct_in_small_steps(model: Tokenizer) -> None:
    memory = model.decoder.memory
    assert memory is not None
    before = torch.rand(1, 1, 32, 32, 3) - 0.5
    h = torch.randn(1, 1, 8, 8, CONFIG.decoder_channels[0])
    tokens = torch.full((1, 1, 4, 4, CONFIG.token_bits), 1.0)
    small = memory.blend(before, before, h, tokens) - before
    tokens[..., FINE] = -1
    large = memory.blend(before, before, h, tokens) - before
    assert large.abs().mean() > 0.01
    assert small.abs().mean() < 1.5 * FINE_STEP * large.abs().mean()
    tokens[..., KEEP] = -1
    anew = memory.blend(before, before, h, tokens)
    tokens[..., FINE] = 1
    assert torch.equal(memory.blend(before, before, h, tokens), anew)


def test_pictures_that_are_off_by_less_than_their_texture_are_kept() -> None:
    x = torch.rand(2, 4, 16, 24, 3) * 2 - 1
    same, right = worth_keeping(x, torch.zeros_like(x), QP, CONFIG)
    other, wrong = worth_keeping(x, x - 2 * torch.rand_like(x) + 1, QP, CONFIG)
    assert same.shape == other.shape == right.shape == (2, 1, 2, 3)
    assert (same > 1).all() and (right > 0).all()
    assert (other < 0).all() and (wrong < 0).all()
    near, _ = worth_keeping(torch.zeros_like(x), torch.full_like(x, 0.005), QP, CONFIG)
    far, _ = worth_keeping(torch.zeros_like(x), torch.full_like(x, 0.05), QP, CONFIG)
    assert (near > 0).all() and (far < 0).all()
    for qp, kept in ((0, False), (63, True)):
        off, _ = worth_keeping(x, 1.2 * (x - x.mean((2, 3), keepdim=True)), torch.tensor([qp]),
                               CONFIG)
        assert bool((off > 0).all()) is kept
    assert worth_keeping(x[:, :1], torch.zeros_like(x[:, :1]), QP, CONFIG)[0].shape == (2, 1, 2, 3)


def test_the_encoder_sees_small_differences_magnified() -> None:
    seen = magnified(torch.tensor([-2.0, -0.01, 0.0, 0.01, 0.1, 2.0]))
    assert (seen.diff() > 0).all()
    assert seen[3] > 5 * 0.01 and seen[5] < 2
    torch.testing.assert_close(seen[3], -seen[1])


@torch.inference_mode()
def test_pictures_are_expected_to_move_on_as_they_moved() -> None:
    first, last, coming = (view(x, 0) for x in (-8, 0, 8))
    alone = last[:, None]
    torch.testing.assert_close(expected(alone, foretold(alone), 4),
                               alone.expand(-1, 4, -1, -1, -1), atol=1e-5, rtol=0)
    known = torch.stack((first, last), 1)
    foreseen = expected(known, foretold(known), 4)
    assert foreseen.shape == (1, 4, 96, 96, 3)
    off = (foreseen[:, -1] - coming)[:, 8:-8, 16:-8].abs().mean()
    assert off < 0.3 * (last - coming).abs().mean()


@torch.inference_mode()
def test_tokens_say_where_motion_departs_from_what_was_foretold(
        monkeypatch: pytest.MonkeyPatch) -> None:
    for share in ("KEPT_ANEW", "FINE_ANEW"):
        monkeypatch.setattr(f"nvcodec.models.memory.{share}", 0.0)
    model, qp = Tokenizer(CONFIG).eval(), torch.tensor([0])  # corrects nothing
    x = torch.stack([view(k, 0) for k in (0, 0, 0, 0, 0, 3, 6, 9, 12)], 1)
    passage = model(x, qp, before=x[:, 0])
    steered = passage.signs[..., STEER] > 0
    assert not steered[:, 1].any() and steered[:, 2].any()
    torch.testing.assert_close(told(steered[:, 2]).mean((0, 2, 3)), torch.tensor([12.0, 0.0]),
                               atol=1.5, rtol=0)
    inner = (slice(None), slice(-1, None), slice(16, -16), slice(24, -16))
    off = (passage.pictures - x)[inner].abs().mean()
    assert off < 0.3 * (x[:, :1] - x[:, -1:])[:, :, 16:-16, 24:-16].abs().mean()


@torch.inference_mode()
def test_pictures_follow_what_was_sent_and_not_what_was_meant(model: Tokenizer) -> None:
    def all_departs(z: torch.Tensor) -> torch.Tensor:
        q = lfq.quantize(z)
        q[..., STEER] = 1
        return q

    x = torch.rand(1, 9, 64, 64, 3) * 2 - 1
    passage = model(x, 9, all_departs)
    assert torch.equal(model.decode(passage.signs, 9), passage.pictures)


@torch.inference_mode()
def test_a_first_picture_keeps_nothing_and_a_known_one_is_kept(model: Tokenizer) -> None:
    x = torch.rand(1, 1, 32, 32, 3) * 2 - 1
    assert (model(x, 9).signs[..., KEEP] == -1).all()
    known = model(x, 9, before=x[:, 0])
    assert (known.signs[..., KEEP] == 1).all()


def test_a_loop_can_begin_at_a_given_picture(model: Tokenizer) -> None:
    x = torch.rand(2, 5, 32, 32, 3) * 2 - 1
    level = torch.tensor([4, 40])
    with torch.inference_mode():
        reminded = model(x, level, before=x[:, 0])
        assert not torch.allclose(reminded.pictures[:, 0], model(x, level).pictures[:, 0])


@given(st.integers(0, 255), st.floats(-0.49, 0.49))
@settings(max_examples=50, deadline=None)
def test_small_differences_are_rounded_away(level: int, noise: float) -> None:
    exact = torch.full((1, 1, 2, 2, 3), level / 127.5 - 1)
    assert torch.equal(remembered(exact + noise / 127.5), remembered(exact))
    torch.testing.assert_close(remembered(exact), exact[:, 0])


def test_gradients_go_through_the_rounding() -> None:
    x = torch.full((1, 2, 2, 2, 3), 0.3, requires_grad=True)
    remembered(x).sum().backward()
    assert x.grad is not None
    assert not x.grad[:, 0].any() and bool((x.grad[:, 1] == 1).all())


def test_what_a_memory_needs_is_checked() -> None:
    with pytest.raises(ValueError, match="memory needs a patch"):
        replace(CONFIGS["magvit2"], memory=True)
    with pytest.raises(ValueError, match="bits that say what to keep"):
        replace(CONFIGS["tiny"], token_bits=2)
