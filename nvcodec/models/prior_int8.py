"""The integer prior's contexts on 8-bit integers, for CPUs that multiply those exactly.

Its numbers are small integers anyway (`nvcodec/models/quant.py`), which `Prior` computes with in
float32. What comes out here is the same to the last bit, in a fraction of the time where a CPU has
VNNI or AMX; others saturate such sums, which is found by trying, and keep to float32.
Inference only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from nvcodec.models import as_bytes
from nvcodec.models.device import has_avx2
from nvcodec.models.prior import REACH, Prior, neighbours, place_of
from nvcodec.models.quant import (
    ACTIVATION_BITS,
    ACTIVATIONS,
    EXACT,
    SIGNS,
    QuantLinear,
    requantize,
)

#: uint8 that stands for the sign 0, so that -1 is one less.
NO_SIGN = 1
#: Rows and columns around a grid, as far as any pass reaches.
EDGE = max(REACH.values())


def fastest(prior: Prior) -> Prior | Int8Prior:
    """What computes a frozen prior's contexts fastest on its device."""
    is_fast = has_avx2(prior.mix.weight.device) and is_exact() and _leaves_room(prior)
    return Int8Prior(prior) if is_fast else prior


def _leaves_room(prior: Prior) -> bool:
    """Whether biases are small enough that float32 holds half units of them (`floors`), too."""
    return all(float(layer.offsets().abs().max()) * layer.grid < EXACT / 2
               for layer in prior.layers().values())


class Int8Linear:
    """Frozen layers that share their inputs, side by side: uint8 in, float32 or uint8 out.

    Args:
        layers: of one kind of inputs; uint8 k stands for k / 32, or for the sign k - 1.
        side: of the neighbourhood that the inputs are gathered from: 3 takes grids [1, H, W, C].
    """

    def __init__(self, *layers: QuantLinear, side: int = 1) -> None:
        first, numbers = layers[0], [layer.integers()["weight"] for layer in layers]
        self.side, self.fraction = side, 2.0**-first.fraction
        self.zero = 0 if first.fraction else NO_SIGN
        whole = torch.cat(numbers)
        self.outputs = len(whole)
        self.steps = torch.cat([torch.full((len(n),), 2.0**-layer.shift)
                                for n, layer in zip(numbers, layers, strict=True)])
        self.zeros = torch.zeros(self.outputs, dtype=torch.long)
        offsets = [layer.offsets() for layer in layers]
        rows = max(len(o) for o in offsets)
        #: For each qp, or for all in one row.
        self.offsets = torch.cat([o.expand(rows, -1) for o in offsets], 1).contiguous()
        # Activations are rounded down and these products to the nearest: half a unit of the sums
        # above half a step below, both are the same.
        self.floors = self.offsets - (0.5 * 2.0**-ACTIVATION_BITS
                                      - 0.5 * self.fraction * self.steps)
        if side == 1:
            self.packed = torch.ops.onednn.qlinear_prepack(whole, None)
        else:
            kernels = whole.unflatten(1, (side, side, -1)).permute(0, 3, 1, 2).contiguous()
            self.packed = torch.ops.onednn.qconv_prepack(
                kernels, self.steps, self.fraction, self.zero, [1, 1], [side // 2] * 2, [1, 1], 1,
                None)

    def sums(self, x: Tensor, qp: int) -> Tensor:
        """uint8 [..., inputs] -> float32 [..., outputs]."""
        return self._apply(x, self._row(self.offsets, qp), 1.0, torch.float32)

    def activations(self, x: Tensor, qp: int) -> Tensor:
        """uint8 [..., inputs] -> `requantize` of the sums as uint8 [..., outputs]."""
        return self._apply(x, self._row(self.floors, qp), 2.0**-ACTIVATION_BITS, torch.uint8)

    def _apply(self, x: Tensor, bias: Tensor, scale: float, kind: torch.dtype) -> Tensor:
        if self.side == 1:
            y: Tensor = torch.ops.onednn.qlinear_pointwise(
                x.flatten(0, -2), self.fraction, self.zero, self.packed, self.steps, self.zeros,
                bias, scale, 0, kind, "none", [], "")
            return y.view(*x.shape[:-1], self.outputs)
        y = torch.ops.onednn.qconv2d_pointwise(
            x.permute(0, 3, 1, 2), self.fraction, self.zero, self.packed, self.steps, self.zeros,
            bias, [1, 1], [self.side // 2] * 2, [1, 1], 1, scale, 0, kind, "none", [], "")
        return y.permute(0, 2, 3, 1)

    @staticmethod
    def _row(offsets: Tensor, qp: int) -> Tensor:
        return offsets[qp if len(offsets) > 1 else 0]


class Int8Prior:
    """The layers of a frozen prior that are at work before a pass; activations are uint8 k for
    k / 32."""

    def __init__(self, prior: Prior) -> None:
        self.prior = prior
        self.past_in = Int8Linear(prior.past_in, side=3)
        self.past_out = Int8Linear(prior.past_out, side=3)
        self.near, self.here, self.around_out = (
            [Int8Linear(layer) for layer in layers]  # type: ignore[arg-type]
            for layers in (prior.near, prior.here, prior.around_out))
        self.around_in = [Int8Linear(layer, side=3)  # type: ignore[arg-type]
                          for layer in prior.around_in]
        self.mix = Int8Linear(prior.mix)
        self.last = Int8Linear(prior.start, prior.direct)

    def frame(self, before: Sequence[Tensor], qp: Tensor) -> Int8Frame:
        """As `Prior.frame`."""
        return Int8Frame(self, before, int(qp))


class Int8Frame:
    """As `LatentFrame`, to the last bit."""

    def __init__(self, layers: Int8Prior, before: Sequence[Tensor], qp: int) -> None:
        self.layers, self.qp = layers, qp
        x = torch.cat((*before, *(v[..., :1].abs() for v in before)), dim=-1)
        x = (x + NO_SIGN).to(torch.uint8)
        self.past = layers.past_out.activations(layers.past_in.activations(x, qp), qp)
        _, h, w, bits = before[0].shape
        #: Signs that are known, and one more that says so; nothing is known around the grid.
        self.wide = x.new_full((1, h + 2 * EDGE, w + 2 * EDGE, bits + 1), NO_SIGN)
        self.signs = self.wide[:, EDGE:-EDGE, EDGE:-EDGE]
        self.told: int | None = None

    def context(self, number: int, now: Tensor) -> tuple[Tensor, Tensor]:
        """As `LatentFrame.context`."""
        layers, prior = self.layers, self.layers.prior
        if self.told is not None:
            place = place_of(prior.passes[self.told])
            self.signs[:, *place] = F.pad(now[:, *place], (0, 1), value=1.0) + NO_SIGN
        self.told = number
        h = layers.here[number].sums(self.past[:, *place_of(prior.passes[number])], self.qp)
        if number:
            taps = prior.taps(self.wide[..., :prior.bits], EDGE, number)
            h += layers.near[number - 1].sums(taps, self.qp)
            if prior.around:
                h += layers.around_out[number - 1].sums(self._nearby(number), self.qp)
        x = as_bytes.floored(h.mul_(2.0**ACTIVATION_BITS)).flatten(0, 2)
        start, direct = layers.last.sums(layers.mix.activations(x, self.qp), self.qp).split(
            (prior.units, prior.bits), dim=1)
        return start, direct

    def _nearby(self, number: int) -> Tensor:
        """`Prior.nearby` of what is known; all at once is faster here than to remember sums."""
        every = self.layers.prior.spread(number)
        layer = self.layers.around_in[every - 1]
        return self.layers.prior.nearby(
            layer.activations(self.signs[:, ::every, ::every], self.qp), number)


@cache
def is_exact() -> bool:
    """Whether layers at their largest numbers and at others come out here as they must.

    The operators are not public in torch, and CPUs without VNNI saturate pairs of products.
    """
    try:
        with torch.inference_mode():
            return all(_agrees(kind, largest) for kind in (SIGNS, ACTIVATIONS)
                       for largest in (True, False))
    except (AttributeError, RuntimeError, NotImplementedError, TypeError):
        return False


def _agrees(kind: tuple[int, int], largest: bool) -> bool:
    """Whether a layer of 9 * 8 inputs is the same in float32, as a product and as a convolution."""
    layer = QuantLinear(72, 16, kind)
    kernel = torch.arange(72 * 16).view(16, 72) * 37 % 255 - 127
    x = torch.arange(4 * 5 * 8).view(1, 4, 5, 8) * 91 % 256
    if largest:
        kernel, x = torch.full_like(kernel, 127), torch.full_like(x, 255)
    if kind == SIGNS:
        x = x % 3
    layer.load_integers(kernel.to(torch.int8), torch.arange(-8, 8, dtype=torch.int32)[None])
    x = x.to(torch.uint8)
    around = neighbours((x.float() - NO_SIGN) if kind == SIGNS else x / 2.0**ACTIVATION_BITS)
    wanted = layer(around, None)
    floors = requantize(wanted) * 2.0**ACTIVATION_BITS
    flat = (around + NO_SIGN if kind == SIGNS else around * 2.0**ACTIVATION_BITS).to(torch.uint8)
    return all(bool((form.sums(v, 0) == wanted).all() and (form.activations(v, 0) == floors).all())
               for form, v in ((Int8Linear(layer), flat), (Int8Linear(layer, side=3), x)))
