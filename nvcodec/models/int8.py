"""The tokenizer's convolutions in 8-bit integers, for CPUs that multiply those fastest (AVX2).

Inputs are uint8 with one scale and zero point for each convolution (`Ranges`, measured when a
release is made), weights -64 to 64 with one scale for each output channel; sums are exact and what
comes out is float32 again. The first and last convolutions of encoder and decoder stay in
float32. Fixed scales keep a stream equal to the whole clip. Inference only: there are no gradients.
Jacob et al., arXiv 1712.05877, section 2.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nvcodec.models import as_bytes
from nvcodec.models.blocks import ResBlock
from nvcodec.models.conv import CausalConv3d, ChannelNorm, StreamState
from nvcodec.models.device import has_avx2
from nvcodec.models.tokenizer import Tokenizer

#: Lowest and highest input of each convolution, by its name in the tokenizer.
Ranges = dict[str, tuple[float, float]]

#: Share of inputs inside a range: a few far outliers would coarsen the steps of all others.
INSIDE = 0.9999
#: Inputs that a quantile is taken from, at most.
SAMPLED = 200_000
#: Largest weight. Two products of it with 255 fit into 16 bits, where CPUs without VNNI add them up
#: in pairs; one form for all CPUs keeps their pictures alike.
TOP = 64
#: Convolutions that stay in float32: they touch pixels or tokens.
EDGES = ("encoder.stem", "encoder.out", "decoder.stem", "decoder.head.out.conv",
         "decoder.memory.look", "decoder.memory.skip", "decoder.memory.gate",
         "decoder.memory.correction.out.conv", "decoder.memory.motion.skip",
         "decoder.memory.motion.prefer")


@cache
def is_fast(device: torch.device) -> bool:
    """Whether it is a CPU that multiplies many 8-bit integers at once, and this torch does rightly.
    """
    return has_avx2(device) and _is_exact()


def convertible(model: Tokenizer) -> dict[str, CausalConv3d]:
    """The convolutions that have an 8-bit form, by name."""
    return {name: m for name, m in model.named_modules()
            if isinstance(m, CausalConv3d) and name not in EDGES and _is_flat(m)}


def measure_ranges(model: Tokenizer, run: Callable[[], object]) -> Ranges:
    """The ranges of inputs that each convolution meets while `run` uses the model."""
    lows: dict[str, list[float]] = {}
    highs: dict[str, list[float]] = {}

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def look(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            values = inputs[0].detach().float().flatten()
            values = values[::max(1, len(values) // SAMPLED)]
            outside = int(len(values) * (1 - INSIDE)) + 1
            lows.setdefault(name, []).append(float(values.topk(outside, largest=False).values[-1]))
            highs.setdefault(name, []).append(float(values.topk(outside).values[-1]))
        return look

    hooks = [m.register_forward_pre_hook(watch(name)) for name, m in convertible(model).items()]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return {name: (min(0.0, *lows[name]), max(0.0, *highs[name])) for name in lows}


def convert(model: Tokenizer, ranges: Ranges) -> Tokenizer:
    """Put 8-bit convolutions in place of those with a range, and return the same model."""
    for name, conv in convertible(model).items():
        if name in ranges:
            _replace(model, name, Int8Conv(conv, *ranges[name]))
    blocks = [(n, m) for n, m in model.named_modules() if isinstance(m, ResBlock)]
    for name, block in blocks:
        if len(block.norms) == 1 and all(isinstance(c, Int8Conv) for c in block.convs):
            _replace(model, name, Int8Block(block))
    model.precision = "int8"
    return model


class Int8Conv(nn.Module):
    """A CausalConv3d over time or over space alone, for inputs from `low` (<= 0) to `high`."""

    whole: Tensor
    steps: Tensor
    zeros: Tensor
    bias: Tensor
    shift: Tensor

    def __init__(self, conv: CausalConv3d, low: float, high: float) -> None:
        super().__init__()
        self.kernel, self.stride = conv.kernel, conv.stride
        self.scale = max(high - low, 1e-6) / 255
        self.zero = round(-low / self.scale)
        over_time = conv.kernel[1:] == (1, 1)
        weight = conv.weight.detach().float()
        flat = weight[..., 0, 0].permute(0, 2, 1).flatten(1)[..., None, None] \
            if over_time else weight[:, :, 0]
        steps = flat.abs().amax((1, 2, 3)).clamp_min(1e-8) / TOP
        whole = (flat / steps[:, None, None, None]).round_().to(torch.int8)
        # `packed` alone would leave the state dictionary without weights to tell models apart by.
        self.register_buffer("whole", whole)
        self.register_buffer("steps", steps)
        self.register_buffer("zeros", torch.zeros(len(flat), dtype=torch.long))
        self.register_buffer("bias", conv.bias.detach().float())
        # Half a step more, as the cast to uint8 rounds down.
        self.register_buffer("shift", torch.tensor(self.zero + 0.5))
        self.space = [1, 1] if over_time else list(conv.stride[1:])
        self.pad = [k // 2 for k in flat.shape[2:]]
        self.packed = torch.ops.onednn.qconv_prepack(
            whole, steps, self.scale, self.zero, self.space, self.pad, [1, 1], 1, None)

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        """float32 [B, T, H, W, c_in] -> float32 [B, T / s, H / s, W / s, c_out]."""
        return self.apply_to(self.quantize(x), state)

    def quantize(self, x: Tensor, spent: bool = False) -> Tensor:
        """float32 -> uint8 on this convolution's scale; x is as it was, but where it is `spent`."""
        return as_bytes.floored(
            torch.add(self.shift, x, alpha=1 / self.scale, out=x if spent else None))

    def apply_to(self, x: Tensor, state: StreamState | None,
                 following: Int8Conv | None = None) -> Tensor:
        """uint8 [B, T, H, W, c_in] -> float32, or SiLU of it in uint8 for the `following` one."""
        if self.kernel[0] > 1:
            x = self._with_past(x, state)
        batch, time = x.shape[:2]
        frames = x.flatten(0, 1).permute(0, 3, 1, 2)
        y = torch.ops.onednn.qconv2d_pointwise(
            frames, self.scale, self.zero, self.packed, self.steps, self.zeros, self.bias,
            self.space, self.pad, [1, 1], 1, following.scale if following else 1.0,
            following.zero if following else 0, torch.uint8 if following else torch.float32,
            "swish" if following else "none", [], "")
        return y.permute(0, 2, 3, 1).unflatten(0, (batch, time))

    def _with_past(self, x: Tensor, state: StreamState | None) -> Tensor:
        """Frames side by side along the channels, as far as the kernel reaches back."""
        k, step = self.kernel[0], self.stride[0]
        past = None if state is None else state.get(self)
        if past is None:
            past = x.new_full((x.shape[0], k - 1, *x.shape[2:]), self.zero)
        x = torch.cat((past, x), dim=1)
        if state is not None:
            state[self] = x[:, x.shape[1] - (k - step):].clone()
        stop = x.shape[1] - k + 1
        return torch.cat([x[:, i:stop + i:step] for i in range(k)], dim=-1)


class Int8Block(nn.Module):
    """A ResBlock whose values stay in 8 bits from its norm to its last convolution."""

    def __init__(self, block: ResBlock) -> None:
        super().__init__()
        self.norms, self.convs = block.norms, block.convs

    def forward(self, x: Tensor, qp: Tensor | None, state: StreamState | None) -> Tensor:
        """float32 [B, T, H, W, C] -> the same shape."""
        norm: ChannelNorm = self.norms[0]  # type: ignore[assignment]
        convs: list[Int8Conv] = list(self.convs)  # type: ignore[arg-type]
        h = convs[0].quantize(F.silu(norm(x, qp), inplace=True), spent=True)
        for conv, following in pairwise(convs):
            h = conv.apply_to(h, state, following)
        return convs[-1].apply_to(h, state).add_(x)


def _is_flat(conv: CausalConv3d) -> bool:
    """Whether a kernel reaches over time alone or over space alone."""
    over_time = conv.kernel[1:] == (1, 1) and conv.stride[1:] == (1, 1)
    return over_time or (conv.kernel[0] == 1 and conv.stride[0] == 1)


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, module)


def _is_exact() -> bool:
    """Whether a small convolution comes out as integer arithmetic says it must.

    The operators are not public in torch and may change. Largest inputs meet largest weights, whose
    sums saturate on CPUs without VNNI wherever `TOP` is taken for more than it is.
    """
    conv = CausalConv3d(64, 16, (1, 1, 1))
    with torch.inference_mode():
        conv.weight.fill_(127.0)
        x = torch.full((1, 1, 4, 4, 64), 255.0)
        try:
            return bool((Int8Conv(conv, 0.0, 255.0)(x) == 64 * 127 * 255.0).all())
        except (AttributeError, RuntimeError, NotImplementedError, TypeError):
            return False
