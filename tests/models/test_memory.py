"""The closed loop: what was decoded goes back into encoder and decoder."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.models import lfq
from nvcodec.models.config import CONFIGS, KEEP
from nvcodec.models.memory import Memory, Outlook, outlook, remembered, worth_keeping
from nvcodec.models.tokenizer import EncoderStream, Tokenizer
from nvcodec.train.inflate import inflate
from tests.awake import awaken
from tests.models.scenes import view

CONFIG = CONFIGS["tiny"]
MOVING = replace(CONFIG, moves=True)


@pytest.fixture(params=[CONFIG, MOVING], ids=["still", "moving"])
def model(request: pytest.FixtureRequest) -> Tokenizer:
    torch.manual_seed(3)
    return awaken(Tokenizer(request.param)).eval()


@pytest.fixture
def memory() -> Memory:
    torch.manual_seed(3)
    return Memory(CONFIG)


def test_the_first_picture_has_nothing_before_it(model: Tokenizer) -> None:
    bare = Tokenizer(replace(CONFIG, memory=False, keeps=False, moves=False)).eval()
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
    # Alone it makes the last picture of each turn only, which may round otherwise.
    torch.testing.assert_close(model.encode(x, torch.tensor([4, 40])), passage.z, atol=0.02, rtol=0)


@torch.inference_mode()
def test_the_gate_opens_where_pictures_are_alike(memory: Memory) -> None:
    before, h = torch.rand(1, 32, 32, 3) - 0.5, torch.zeros(1, 4, 8, 8, CONFIG.decoder_channels[0])
    made_anew = -torch.ones(1, 1, 4, 4, CONFIG.token_bits)
    near = before[:, None] + 0.01 * torch.randn(1, 4, 32, 32, 3)
    mixed = memory.blend(near, Outlook(before), h, made_anew)
    assert (mixed - before[:, None]).abs().mean() < 0.5 * (near - before[:, None]).abs().mean()
    far = -before[:, None].expand(-1, 4, -1, -1, -1)
    mixed = memory.blend(far, Outlook(before), h, made_anew)
    assert (mixed - far).abs().mean() < 0.2 * (far - before[:, None]).abs().mean()


@torch.inference_mode()
def test_a_token_can_say_to_keep_the_last_picture(memory: Memory) -> None:
    before = 0.4 * torch.rand(1, 32, 32, 3)
    made, h = before[:, None] + 0.1, torch.zeros(1, 1, 8, 8, CONFIG.decoder_channels[0])
    tokens = torch.full((1, 1, 4, 4, CONFIG.token_bits), -1.0)
    tokens[:, :, :, :2, KEEP] = 1
    gone = memory.blend(made, Outlook(before), h, tokens) - before[:, None]
    gone = gone.abs().mean((0, 1, 2, 4))
    assert gone[:8].max() < 0.25 * gone[-8:].min()


def test_pictures_that_are_off_by_less_than_their_texture_are_kept() -> None:
    x = torch.rand(2, 4, 16, 24, 3) * 2 - 1
    same = worth_keeping(x, torch.zeros_like(x), CONFIG)
    other = worth_keeping(x, x - 2 * torch.rand_like(x) + 1, CONFIG)
    assert same.shape == other.shape == (2, 1, 2, 3)
    assert (same > 1).all() and (other < 0).all()
    assert worth_keeping(x[:, :1], torch.zeros_like(x[:, :1]), CONFIG).shape == (2, 1, 2, 3)


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


def test_weights_from_before_pictures_were_kept_go_on_as_they_were() -> None:
    torch.manual_seed(3)
    old = Tokenizer(replace(CONFIG, keeps=False)).eval()
    x = torch.rand(1, 5, 32, 32, 3) * 2 - 1
    with torch.inference_mode():
        made = old(x, 9)
        tokens = made.signs.clone()
        tokens[..., KEEP] *= -1
        assert not torch.equal(old.decode(tokens, 9)[:, :1], made.pictures[:, :1])
    assert old.decoder.memory is not None and old.decoder.memory.correction is None


def test_two_pictures_say_where_the_next_ones_are() -> None:
    known = torch.stack((view(0, 0), view(8, -4)), 1)
    seen = outlook(known, 4, MOVING)
    assert seen.moved is not None and seen.moved.shape == (1, 4, 96, 96, 3)
    inner = (slice(20, -20), slice(20, -20))
    for t, picture in enumerate(seen.moved[0], 1):
        coming = view(8 + 2 * t, -4 - t)[0]
        assert (picture - coming)[inner].abs().mean() < 0.3 * (known[0, 1] - coming)[inner].abs(
            ).mean() + 0.01


def test_one_picture_and_what_has_no_motion_foretell_themselves() -> None:
    picture = view(0, 0).requires_grad_(True)
    seen = outlook(picture[:, None], 4, MOVING)
    assert seen.moved is not None and not seen.moved.requires_grad and seen.last.requires_grad
    assert torch.equal(seen.moved, picture.detach()[:, None].expand(-1, 4, -1, -1, -1))
    assert outlook(picture[:, None], 4, CONFIG).moved is None


@torch.inference_mode()
def test_of_both_pictures_the_nearer_one_is_let_through() -> None:
    torch.manual_seed(3)
    memory = Memory(replace(MOVING, keeps=False))
    assert memory.motion is not None
    memory.motion.prefer.bias.zero_()
    last, coming = view(0, 0), view(12, 6)
    h = torch.zeros(1, 4, 24, 24, CONFIG.decoder_channels[0])
    made = coming[:, None].expand(-1, 4, -1, -1, -1) + 0.05
    q = -torch.ones(1, 1, 12, 12, CONFIG.token_bits)
    without = memory.blend(made, Outlook(last, last[:, None].expand_as(made)), h, q)
    foreseen = memory.blend(made, Outlook(last, coming[:, None].expand_as(made)), h, q)
    off = [(x - coming[:, None]).abs().mean() for x in (without, foreseen)]
    assert off[1] < 0.6 * off[0]


def test_weights_from_before_motion_was_seen_go_on_as_they_were() -> None:
    """But for a gate that begins a little open."""
    torch.manual_seed(3)
    old = awaken(Tokenizer(CONFIG)).eval()
    new = Tokenizer(MOVING).eval()
    added = {k: v for k, v in new.state_dict().items() if k not in old.state_dict()}
    new.load_state_dict(added | {k: inflate(v, new.state_dict()[k].shape)
                                 for k, v in old.state_dict().items()})
    x = torch.cat([view(2 * t, t)[:, None] for t in range(9)], 1)
    with torch.inference_mode():
        before, after = old(x, 9), new(x, 9)
    assert torch.equal(before.signs[:, :2], after.signs[:, :2])
    torch.testing.assert_close(before.pictures[:, :5], after.pictures[:, :5])
    assert (before.pictures - after.pictures).abs().mean() < 0.1


def test_what_a_memory_needs_is_checked() -> None:
    with pytest.raises(ValueError, match="what moves on needs a memory"):
        replace(CONFIGS["magvit2"], moves=True)
    with pytest.raises(ValueError, match="needs a memory, and a bit"):
        replace(CONFIGS["magvit2"], keeps=True)
    with pytest.raises(ValueError, match="memory needs a patch"):
        replace(CONFIGS["magvit2"], memory=True)
