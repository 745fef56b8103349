"""The prior in 8 bits says what it says in float32, or is left alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nvcodec.codec.coders import coder_of
from nvcodec.models import prior_int8, registry
from nvcodec.models.prior import PASSES, place_of
from nvcodec.models.prior_int8 import Int8Linear, Int8Prior, fastest, is_exact
from nvcodec.models.quant import ACTIVATIONS, SIGNS, QuantLinear, requantize
from tests.models.priors import BITS, SHAPE_NAMES, SHAPES, frozen_prior

needs_sums = pytest.mark.skipif(not is_exact(), reason="a CPU that saturates sums of 8 bits")


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def layer_of(kind: tuple[int, int], inputs: int, seed: int, qp: bool) -> QuantLinear:
    draw = np.random.default_rng(seed)
    layer = QuantLinear(inputs, 7, kind, qp=qp)
    weight = draw.integers(-127, 128, (7, inputs), dtype=np.int8)
    bias = draw.integers(-2**15, 2**15, (64 if qp else 1, 7), dtype=np.int32)
    layer.load_integers(torch.from_numpy(weight), torch.from_numpy(bias))
    return layer


@needs_sums
@settings(max_examples=30, deadline=None)
@given(kind=st.sampled_from([SIGNS, ACTIVATIONS]), inputs=st.integers(1, 200),
       rows=st.integers(1, 40), seed=st.integers(0, 2**31), by_qp=st.booleans())
def test_layers_say_the_same(kind: tuple[int, int], inputs: int, rows: int, seed: int,
                             by_qp: bool) -> None:
    layers = [layer_of(kind, inputs, seed + n, by_qp and not n) for n in range(2)]
    top = 3 if kind == SIGNS else 256
    x = torch.from_numpy(np.random.default_rng(seed).integers(0, top, (1, rows, inputs), np.uint8))
    plain = x.float() - 1 if kind == SIGNS else x / 32
    wanted = torch.cat([layer(plain, torch.tensor([seed % 64])) for layer in layers], -1)
    whole = Int8Linear(*layers)
    assert torch.equal(whole.sums(x, seed % 64), wanted)
    assert torch.equal(whole.activations(x, seed % 64), (requantize(wanted) * 32).byte())


@needs_sums
@pytest.mark.parametrize("sizes", SHAPES, ids=SHAPE_NAMES)
@settings(max_examples=10, deadline=None)
@given(size=st.tuples(st.integers(1, 9), st.integers(1, 9)), seed=st.integers(0, 2**31))
def test_passes_say_the_same(sizes: dict[str, int], size: tuple[int, int], seed: int) -> None:
    prior = frozen_prior(seed, **sizes)
    draw = torch.Generator().manual_seed(seed)

    def signs() -> Tensor:
        return torch.randn(1, *size, BITS, generator=draw).sign()

    before = [signs() for _ in range(prior.frames - 1)] + [torch.zeros(1, *size, BITS)]
    qp, told, now = torch.tensor([seed % 64]), signs(), torch.zeros(1, *size, BITS)
    plain, whole = prior.frame(before, qp), Int8Prior(prior).frame(before, qp)
    for number, where in enumerate(prior.passes):
        place = (slice(None), *place_of(where))
        if not now[place].numel():
            continue
        for a, b in zip(plain.context(number, now), whole.context(number, now), strict=True):
            assert torch.equal(a, b)
        now[place] = told[place]


def test_sums_that_saturate_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As CPUs without VNNI make them, where pairs of products have 16 bits."""
    make = Int8Linear.__init__

    def halved(layer: Int8Linear, *layers: QuantLinear, side: int = 1) -> None:
        for one in layers:
            one.weight.clamp_(max=64 / 2**one.shift)  # 2 * 64 * 255 fits, 2 * 127 * 255 does not
        make(layer, *layers, side=side)

    monkeypatch.setattr(Int8Linear, "__init__", halved)
    assert not is_exact.__wrapped__()
    monkeypatch.setattr(prior_int8, "is_exact", is_exact.__wrapped__)
    prior = frozen_prior(1, around=0)
    assert fastest(prior) is prior


def test_operators_that_are_gone_are_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise AttributeError("'_OpNamespace' 'onednn' object has no attribute 'qlinear_prepack'")

    monkeypatch.setattr(Int8Linear, "__init__", gone)
    assert not is_exact.__wrapped__()


@needs_sums
def test_biases_without_room_for_half_a_unit_are_left_alone() -> None:
    prior = frozen_prior(1, around=0)
    assert isinstance(fastest(prior), Int8Prior)
    numbers = prior.mix.integers()
    numbers["bias"][0, 3] = -2**23
    prior.mix.load_integers(**numbers)
    prior.check()
    assert fastest(prior) is prior


@needs_sums
def test_streams_are_the_same_in_both(tiny_release: Path) -> None:
    release = next(r for r in registry.read_index(tiny_release) if r.id == "tiny")
    coder = coder_of(release, "learned")
    assert coder.prior is not None and coder.prior.network.passes == PASSES
    grid = np.random.default_rng(5).integers(0, 2**18, (3, 7, 9), dtype=np.uint32)
    vars(coder.prior)["contexts"] = Int8Prior(coder.prior.network)
    payload = coder.encode(grid, 30)
    vars(coder.prior)["contexts"] = coder.prior.network
    assert coder.encode(grid, 30) == payload
    assert np.array_equal(coder.decode(payload, grid.shape, 30), grid)
