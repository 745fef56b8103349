"""Linear layers on exact dyadic numbers: the arithmetic of the integer prior.

A weight is k / 2**shift with k an int8; an activation is k / 32 with k a uint8; a bias and every
accumulator is a multiple of the product of both grids. In float32 a sum of such numbers is exact
while it is below 2**24 multiples, whatever the order. Training sees the same rounded values and
sends gradients straight through the rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Activations are k / 2**5, k in 0..255.
ACTIVATION_BITS = 5
ACTIVATION_MAX = 255
WEIGHT_MAX = 127
#: Kinds of inputs: bits of their fraction, and the largest one in units of that.
SIGNS = (0, 1)
ACTIVATIONS = (ACTIVATION_BITS, ACTIVATION_MAX)
LOGITS = (6, 512)
#: Float32 holds every integer up to this one.
EXACT = 2**24
#: Logits are rounded down to k / 2**6, k in -512..511, and stand for the middle of the step.
LOGIT_BITS = 6
LOGIT_LEVELS = 1024
QP_LEVELS = 64
#: Bits of a weight's fraction, at most.
FINEST = 9


class _OnGrid(torch.autograd.Function):
    """round-or-floor(x * scale), clamped to low..high, / scale; the gradient ignores rounding."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float, low: float, high: float, down: bool) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bounds = low / scale, high / scale
        y = x * scale
        return (y.floor_() if down else y.round_()).clamp_(low, high).div_(scale)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None]:
        (x,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(grads[0], x, *ctx.bounds), None, None, None, None


def on_grid(x: Tensor, scale: float, low: float, high: float, down: bool = False) -> Tensor:
    """Multiples of 1 / scale between low / scale and high / scale, nearest or next below x."""
    out: Tensor = _OnGrid.apply(x, scale, low, high, down)
    return out


def requantize(x: Tensor) -> Tensor:
    """ReLU onto the activation grid: floor(32 x) / 32, clamped to 0 .. 255 / 32."""
    return on_grid(x, 2.0**ACTIVATION_BITS, 0, ACTIVATION_MAX, down=True)


def to_levels(x: Tensor) -> Tensor:
    """Logits -> the middle of their step on the logit grid, about -8 .. 8."""
    scale, half = 2.0**LOGIT_BITS, LOGIT_LEVELS // 2
    return on_grid(x, scale, -half, half - 1, down=True) + 0.5 / scale


def qp_features() -> Tensor:
    """Smooth functions of qp / 63 that a bias for each qp is made from, [64, 6]."""
    x = torch.linspace(0, 1, QP_LEVELS)
    return torch.stack([x, x * x, *(torch.cos(torch.pi * k * x) for k in range(1, 5))], -1)


class QuantLinear(nn.Module):
    """y = W x + b (+ a bias for each qp), every number on its grid.

    Args:
        inputs, outputs: channels.
        kind: SIGNS (-1, 0, 1), ACTIVATIONS or LOGITS, what the inputs are.
        qp: add a bias that depends on qp.
        shift: weights are k / 2**shift; chosen from the number of inputs where not given.
        finest: the largest shift that is chosen.
    """

    table: Tensor | None
    features: Tensor | None

    def __init__(self, inputs: int, outputs: int, kind: tuple[int, int] = ACTIVATIONS,
                 qp: bool = False, shift: int | None = None, finest: int = FINEST) -> None:
        super().__init__()
        deviation = math.sqrt(2 / max(1, inputs))
        self.fraction, self.largest = kind
        self.shift = shift or min(finest, max(6, int(math.log2(WEIGHT_MAX / (4 * deviation)))))
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * deviation)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.by_qp = nn.Parameter(torch.zeros(6, outputs)) if qp else None
        self.register_buffer("features", qp_features() if qp else None, persistent=False)
        #: Biases on the grid, set by `load_integers`: the layer is no longer trained.
        self.register_buffer("table", None, persistent=False)

    @property
    def grid(self) -> float:
        """Units of accumulators and biases in 1."""
        return float(2 ** (self.shift + self.fraction))

    def quantized(self) -> Tensor:
        """Weights [outputs, inputs] on their grid."""
        if self.table is not None:
            return self.weight
        return on_grid(self.weight, 2.0**self.shift, -WEIGHT_MAX, WEIGHT_MAX)

    def offset(self) -> Tensor:
        """Bias without qp [outputs], on its grid."""
        return self.bias if self.table is not None else self._round(self.bias)

    def offsets(self) -> Tensor:
        """Biases of every qp [64, outputs] (of one row where qp does not matter), on the grid."""
        if self.table is not None:
            return self.table
        if self.by_qp is None or self.features is None:
            return self.offset()[None]
        # No matrix product: training may have those in bfloat16, for which this is not made.
        return self._round(self.bias + (self.features[:, :, None] * self.by_qp).sum(1))

    def _round(self, b: Tensor) -> Tensor:
        return on_grid(b, self.grid, -EXACT, EXACT)

    def forward(self, x: Tensor, qp: Tensor | None) -> Tensor:
        """x [N, ..., inputs], qp [N] where the layer has a bias for each -> [N, ..., outputs]."""
        table = self.offsets()
        if len(table) == 1 or qp is None:
            return F.linear(x, self.quantized(), table[0])
        if len(qp) == 1:
            return F.linear(x, self.quantized(), table[qp[0]])
        shift = table[qp].view(len(qp), *[1] * (x.ndim - 2), -1)
        return F.linear(x, self.quantized()) + shift

    # -- integers --------------------------------------------------------------------------------

    def integers(self) -> dict[str, Tensor]:
        """int8 weights [outputs, inputs] and int32 biases [1 or 64, outputs]."""
        with torch.no_grad():
            return {"weight": (self.quantized() * 2**self.shift).round().to(torch.int8),
                    "bias": (self.offsets() * self.grid).round().to(torch.int32)}

    def load_integers(self, weight: Tensor, bias: Tensor) -> None:
        """Freeze the layer at integers from `integers`; ValueError where shapes do not fit."""
        rows = 1 if self.by_qp is None else QP_LEVELS
        if (weight.shape != self.weight.shape or bias.shape != (rows, len(weight))
                or weight.dtype != torch.int8 or bias.dtype != torch.int32):
            raise ValueError("its integers have another shape")
        self.weight = nn.Parameter(weight.float() / 2**self.shift, requires_grad=False)
        self.table = (bias.double() / self.grid).float()
        self.bias = nn.Parameter(self.table[0].clone(), requires_grad=False)

    @torch.no_grad()
    def start_from(self, frozen: QuantLinear) -> None:
        """Go on training from a layer that `load_integers` froze.

        Biases by qp become the nearest, in least squares, that the smooth functions can make.
        """
        self.weight.copy_(frozen.quantized())
        if self.by_qp is None or self.features is None:
            self.bias.copy_(frozen.offset())
            return
        columns = torch.cat((torch.ones(QP_LEVELS, 1), self.features), dim=1).double()
        found = torch.linalg.lstsq(columns, frozen.offsets().double()).solution
        self.bias.copy_(found[0])
        self.by_qp.copy_(found[1:])

    def check(self, name: str, added: Sequence[QuantLinear]) -> None:
        """Raise ValueError where this layer's sum, with those of `added`, could reach 2**24."""
        layers = [self, *added]
        unit = max(layer.grid for layer in layers)
        worst = float(torch.stack([layer.worst() for layer in layers]).sum(0).max()) * unit
        if not worst < EXACT:
            raise ValueError(f"layer {name} could reach {worst:.0f}, and only sums below 2**24 "
                             "are exact")

    def worst(self) -> Tensor:
        """Largest absolute output of each row, float64 [outputs]."""
        largest = self.largest / 2**self.fraction
        with torch.no_grad():
            weights = self.quantized().double().abs().sum(1) * largest
            return weights + self.offsets().double().abs().amax(0)
