"""The integer prior: exact in any order, causal, bounded, and refused where it could be inexact."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from nvcodec.models.device import fast_bfloat16
from nvcodec.models.prior import (
    FINE_PASSES,
    PASSES,
    Prior,
    TokenState,
    known_taps,
)
from nvcodec.models.prior_file import (
    hint_table,
    load_prior,
    prior_bytes,
    probability_table,
)
from nvcodec.models.quant import EXACT, LOGIT_LEVELS, to_levels
from nvcodec.models.registry import ModelError
from nvcodec.train.prior import exact_bfloat16
from tests.models.priors import BITS, SHAPE_NAMES, SHAPES, frozen_prior, small_prior

every_shape = pytest.mark.parametrize("sizes", SHAPES, ids=SHAPE_NAMES)


def frozen(prior: Prior, folder: Path) -> Prior:
    path = folder / "p.safetensors"
    path.write_bytes(prior_bytes(prior, "0" * 64))
    return load_prior(path, torch.device("cpu")).network


def signs(shape: tuple[int, ...], seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, BITS, generator=torch.Generator().manual_seed(seed)).sign()


def hints(shape: tuple[int, ...], seed: int = 2) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(-512, 513, (*shape, BITS), generator=draw) / 64


@every_shape
def test_stored_integers_compute_what_training_computed(sizes: dict[str, int],
                                                        tmp_path: Path) -> None:
    prior = small_prior(**sizes)
    exact = frozen(prior, tmp_path)
    q, qp, h = signs((2, 3, 5, 6)), torch.tensor([3, 60]), hints((2, 3, 5, 6))
    with torch.no_grad():
        assert torch.equal(prior(q, qp, h), exact(q, qp, h))


@pytest.mark.skipif(not fast_bfloat16(torch.device("cpu")), reason="no CPU with bfloat16")
def test_training_in_bfloat16_says_the_same() -> None:
    prior = small_prior(frames=4, finest=7)
    q, qp, h = signs((2, 3, 9, 20)), torch.tensor([3, 60]), hints((2, 3, 9, 20))
    plain = prior(q, qp, h)
    with exact_bfloat16(torch.device("cpu")):
        assert torch.equal(prior(q, qp, h), plain)
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
    assert torch.backends.mkldnn.matmul.fp32_precision != "bf16"


@every_shape
@pytest.mark.parametrize("size", [(4, 4), (1, 1), (2, 3), (7, 9)])
def test_bit_by_bit_equals_all_at_once(sizes: dict[str, int], size: tuple[int, int],
                                       tmp_path: Path) -> None:
    exact = frozen(small_prior(**sizes), tmp_path)
    q, qp, h = signs((1, 1, *size)), torch.tensor([17]), hints((1, 1, *size))
    whole = exact(q, qp, h)[0]
    frame = exact.frame([torch.zeros_like(q[0])] * exact.frames, qp)
    for number, (row, column, step) in enumerate(exact.passes):
        here = (slice(None), slice(row, None, step), slice(column, None, step))
        if not q[0][here].numel():
            continue
        state = TokenState(exact, *frame.context(number, q[0]))
        for bit in range(BITS):
            got = to_levels(state.logits(bit, h[0][here][..., bit].reshape(-1)))
            assert torch.equal(got, whole[here][..., bit].reshape(-1))
            state.learn(bit, q[0][here][..., bit].reshape(-1))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), sizes=st.sampled_from(SHAPES))
def test_order_of_sums_changes_nothing(seed: int, sizes: dict[str, int]) -> None:
    """Every matrix product of the network, summed in another order and in two parts."""
    prior = frozen_prior(seed % 7, **sizes)
    q, qp, h = signs((1, 2, 4, 6), seed), torch.tensor([seed % 64]), hints((1, 2, 4, 6), seed)
    draw = torch.Generator().manual_seed(seed)

    def parts(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        order = torch.randperm(n, generator=draw)
        return order[:n // 3], order[n // 3:]

    def shuffled_linear(x: torch.Tensor, w: torch.Tensor,
                        bias: torch.Tensor | float = 0.0) -> torch.Tensor:
        a, b = parts(w.shape[1])
        return x[..., b] @ w[:, b].T + bias + x[..., a] @ w[:, a].T

    def shuffled_bmm(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        a, b = parts(w.shape[1])
        return real_bmm(x[..., b], w[:, b]) + real_bmm(x[..., a], w[:, a])

    def shuffled_baddbmm(c: torch.Tensor, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return shuffled_bmm(x, w) + c

    real_bmm = torch.bmm
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        expected = prior(q, qp, h)
        patch.setattr(F, "linear", shuffled_linear)
        patch.setattr(torch, "bmm", shuffled_bmm)
        patch.setattr(torch, "baddbmm", shuffled_baddbmm)
        assert torch.equal(prior(q, qp, h), expected)


@every_shape
def test_no_bit_sees_a_later_one(sizes: dict[str, int], tmp_path: Path) -> None:
    """Change one bit of one token: only bits that are coded after it may notice."""
    exact = frozen(small_prior(**sizes), tmp_path)
    shape = (1, 3, 6, 6)
    q, qp = signs(shape), torch.tensor([30])
    order = torch.zeros(3, 6, 6, BITS)
    for number, (row, column, step) in enumerate(exact.passes):
        for bit in range(BITS):
            order[:, row::step, column::step, bit] = number * BITS + bit
    order += (torch.arange(3) * 100)[:, None, None, None]
    base = exact(q, qp)
    for place in ((0, 2, 3, 0), (1, 3, 3, 4), (1, 1, 2, 7), (2, 0, 0, 2)):
        changed = q.clone()
        changed[(0, *place)] *= -1
        moved = (exact(changed, qp) != base)[0]
        assert moved.any() or place[0] == 2
        assert not moved[order <= order[place]].any()


def test_taps_of_a_pass_lie_in_earlier_ones() -> None:
    assert [len(known_taps(PASSES, n)) for n in range(4)] == [0, 4, 12, 16]
    assert [len(known_taps(FINE_PASSES, n)) for n in range(10)] == [
        0, 4, 4, 8, 16, 20, 20, 24, 12, 16]


@pytest.mark.parametrize("passes", [PASSES, FINE_PASSES])
def test_passes_hold_every_position_once_and_are_alike_all_over(
        passes: tuple[tuple[int, int, int], ...]) -> None:
    """Taps are found at a pass's first position, and hold for all of them."""
    order = torch.full((16, 16), -1)
    for number, (row, column, step) in enumerate(passes):
        assert (order[row::step, column::step] == -1).all()
        order[row::step, column::step] = number
    assert (order >= 0).all()
    for number, (row, column, step) in enumerate(passes):
        taps = known_taps(passes, number)
        for y in range(row + 4, 12, step):
            for x in range(column + 4, 12, step):
                known = {(int(v) - y, int(u) - x) for v, u in (order < number).nonzero()}
                reach = 2 if step == 2 else 3
                assert set(taps) == {(v, u) for v, u in known if max(abs(v), abs(u)) <= reach}


@pytest.mark.parametrize("name", ["past_in", "past_out", "around_in.1", "here.2", "here.9", "mix",
                                  "start", "out"])
def test_a_layer_that_could_overflow_is_refused_by_name(name: str, tmp_path: Path) -> None:
    prior = small_prior()
    with torch.no_grad():
        layer = prior.get_submodule(name)
        layer.bias.fill_(EXACT / layer.grid)
    with pytest.raises(ValueError, match=re.escape(name)):
        prior_bytes(prior, "0" * 64)
    prior.check = lambda: None  # type: ignore[method-assign]
    (tmp_path / "p").write_bytes(prior_bytes(prior, "0" * 64))
    with pytest.raises(ModelError, match=re.escape(name)):
        load_prior(tmp_path / "p", torch.device("cpu"))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    data = prior_bytes(small_prior(), "0" * 64)
    for broken in (b"", data[:100], data[:-1], b"x" + data[1:]):
        (tmp_path / "p").write_bytes(broken)
        with pytest.raises(ModelError, match="not a usable prior"):
            load_prior(tmp_path / "p", torch.device("cpu"))


def test_tables_are_monotone_and_symmetric() -> None:
    p1, hint = probability_table().numpy(), hint_table().numpy()
    assert (np.diff(p1) >= 0).all() and p1.shape == (LOGIT_LEVELS,)
    assert np.array_equal(p1 + p1[::-1], np.full(LOGIT_LEVELS, 65536))
    assert (np.diff(hint.astype(int)) >= 0).all() and np.array_equal(hint, -hint[::-1])


@every_shape
def test_training_reaches_every_weight(sizes: dict[str, int]) -> None:
    prior = small_prior(**sizes)
    q, h = signs((2, 3, 9, 9)), hints((2, 3, 9, 9)) / 8
    prior(q, torch.tensor([1, 50]), h).square().mean().backward()
    unused = {"hint.bias"}  # a hint adds to hidden units that have a bias already
    for name, p in prior.named_parameters():
        assert (p.grad is not None and bool(p.grad.any())) != (name in unused), name
