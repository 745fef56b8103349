"""Lookup-free quantization: indices, factors, entropy terms."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nvcodec.models import factors, lfq
from nvcodec.models.config import CONFIGS
from nvcodec.models.tokenizer import Tokenizer


@given(st.lists(st.integers(0, 2**18 - 1), min_size=1, max_size=20))
def test_index_bits_and_factors(values: list[int]) -> None:
    tokens = torch.tensor(values, dtype=torch.int32)
    bits = lfq.tokens_to_bits(tokens)
    assert bits.shape == (len(values), 18)
    assert set(bits.unique().tolist()) <= {-1.0, 1.0}
    assert torch.equal(lfq.bits_to_tokens(bits), tokens)
    low, high = factors.factorize(tokens)
    assert int(low.max()) < 512 and int(high.max()) < 512
    assert torch.equal(factors.unfactorize(low, high), tokens)


def test_index_is_the_sum_of_powers() -> None:
    z = -torch.ones(18)
    z[3] = z[17] = 0.5
    assert int(lfq.bits_to_tokens(z)) == 2**3 + 2**17


def test_zero_counts_as_minus_one_and_gradient_passes() -> None:
    z = torch.tensor([0.0, 0.3, -2.0], requires_grad=True)
    q = lfq.quantize(z)
    assert q.tolist() == [-1.0, 1.0, -1.0]
    q.sum().backward()
    assert z.grad is not None and z.grad.tolist() == [1.0, 1.0, 1.0]


def test_entropy_terms_match_enumeration() -> None:
    """Against the definition over all 2**6 codes, softmax of negative squared distances."""
    torch.manual_seed(0)
    z = torch.randn(50, 6)
    codes = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=6)))
    p = torch.softmax(-(z[:, None] - codes).square().sum(-1), dim=1)
    per_sample = -(p * p.clamp_min(1e-12).log2()).sum(1).mean()
    mean = p.mean(0)
    total = -(mean * mean.log2()).sum()
    got = lfq.entropy_terms(z, group=6)
    assert got[0] == pytest.approx(float(per_sample), abs=1e-3)
    assert got[1] == pytest.approx(float(total), abs=1e-3)


def test_no_tensor_over_the_whole_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor) and out.ndim:
                largest = max(largest, max(out.shape))
            return out

    model = Tokenizer(CONFIGS["tiny"])
    assert max(max(p.shape) for p in model.parameters() if p.ndim) < 2**18
    with Watch():
        made = model(torch.zeros(1, 5, 32, 32, 3))
        sum(lfq.entropy_terms(made.z)).backward()  # type: ignore[union-attr]
    assert 0 < largest < 2**18
    assert made.pictures.shape == (1, 5, 32, 32, 3)


def test_dead_and_lively_bits() -> None:
    rng = np.random.default_rng(0)
    lively = torch.from_numpy(rng.choice([-1.0, 1.0], (4096, 18)))
    assert lfq.entropy_terms(lively * 3, samples=4096)[1] > 17
    assert lfq.entropy_terms(torch.ones(512, 18) * 3)[1] < 0.1
