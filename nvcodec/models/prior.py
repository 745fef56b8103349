"""The integer prior: probabilities of token bits that are the same on every machine.

A small network with int8 weights and uint8 activations (Balle et al. 2019, "Integer networks for
data compression with latent-variable models"). It runs in float32, on numbers that are all whole
multiples of a power of two and whose accumulators stay below 2**24 such units, so that every sum
is exact in any order, on any device and with any number of threads. `Prior.check` proves that
bound from the weights.

The probability of a bit depends on the latent frames before, on the tokens of this frame that
earlier passes brought, on the token's own earlier bits and on qp. Signs are -1 and 1, and 0 where
nothing is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nvcodec.models.config import ModelConfig
from nvcodec.models.patches import Place, gathered, parted
from nvcodec.models.quant import (
    ACTIVATION_BITS,
    FINEST,
    LOGITS,
    SIGNS,
    QuantLinear,
    requantize,
    to_levels,
)

#: First row, first column and step, both ways, of the positions of a pass over a latent frame.
Pass = tuple[int, int, int]
PASSES: tuple[Pass, ...] = ((0, 0, 2), (1, 1, 2), (0, 1, 2), (1, 0, 2))
#: The first two of them cut into four each, so that most of their tokens have neighbours, too.
FINE_PASSES: tuple[Pass, ...] = ((0, 0, 4), (2, 2, 4), (0, 2, 4), (2, 0, 4),
                                 (1, 1, 4), (3, 3, 4), (1, 3, 4), (3, 1, 4),
                                 (0, 1, 2), (1, 0, 2))
#: Rows and columns that taps of a pass reach, by its step.
REACH = {2: 2, 4: 3}


@cache
def known_taps(passes: tuple[Pass, ...], number: int) -> tuple[tuple[int, int], ...]:
    """Steps (down, right) within reach of a pass's positions to those of earlier passes."""
    row, column, step = passes[number]
    reach = range(-REACH[step], REACH[step] + 1)
    return tuple((y, x) for y in reach for x in reach
                 if any((row + y - r) % s == 0 and (column + x - c) % s == 0
                        for r, c, s in passes[:number]))


class Prior(nn.Module):
    """Logits of token bits, in training (through the rounding) and in coding (exact).

    Args:
        bits: bits of a token.
        narrow: channels of the first layer over the past.
        width: channels of the others.
        units: hidden units that a token's own bits update one by one (as in NADE, Uria 2016).
        around: channels of a layer over what is known of this frame. Priors without it (0) see the
            taps alone, and go through a frame in PASSES, not in FINE_PASSES.
        frames: how many latent frames before it sees.
        finest: bits of a weight's fraction, at most: small weights are told apart by 9, large
            ones possible with fewer.
    """

    def __init__(self, bits: int = 18, narrow: int = 64, width: int = 128,
                 units: int = 64, around: int = 0, frames: int = 2,
                 finest: int = FINEST) -> None:
        super().__init__()
        self.bits, self.narrow, self.width, self.units = bits, narrow, width, units
        self.around, self.frames, self.finest = around, frames, finest
        self.passes = FINE_PASSES if around else PASSES
        later = range(1, len(self.passes))
        layer = partial(QuantLinear, finest=finest)
        self.past_in = layer(9 * frames * (bits + 1), narrow, kind=SIGNS, qp=True)
        self.past_out = layer(9 * narrow, width, qp=True)
        self.near = nn.ModuleList(
            layer(bits * len(known_taps(self.passes, n)), width, kind=SIGNS) for n in later)
        self.here = nn.ModuleList(layer(width, width, qp=True) for _ in self.passes)
        # Of all rows and columns, and of every second one; none where there is no such layer.
        self.around_in = nn.ModuleList(
            layer(9 * (bits + 1), around, kind=SIGNS) for _ in (1, 2) if around)
        self.around_out = nn.ModuleList(
            layer(9 * around, width) for _ in later if around)
        self.mix = layer(width, width)
        self.start = layer(width, units)
        self.direct = QuantLinear(width, bits, shift=7, qp=True)
        self.own = QuantLinear(bits, units, kind=SIGNS, shift=6)
        self.hint = QuantLinear(bits, units, kind=LOGITS, shift=6)
        self.out = QuantLinear(units, bits, shift=7)
        self.hint.bias.requires_grad_(False)  # the hidden units have a bias already
        with torch.no_grad():  # begin near even odds
            self.direct.weight.mul_(0.1)
            self.out.weight.mul_(0.1)
            self.hint.weight.mul_(0.1)

    @classmethod
    def of(cls, config: ModelConfig) -> Prior:
        """The one that training gives a tokenizer of these sizes."""
        return cls(config.token_bits, *config.prior_widths, config.prior_around,
                   config.prior_frames, config.prior_finest)

    def forward(self, q: Tensor, qp: Tensor, hints: Tensor | None = None) -> Tensor:
        """Signs [B, T, H, W, bits], qp [B] -> logits of p(bit = 1), the same shape, for training.

        Every bit is predicted from what a decoder would have; no gradient goes to the contexts.
        `hints`, of the same shape, are the table's logits on the logit grid; zero where left out.
        """
        b, t, h, w, _ = q.shape
        q = q.detach()
        shifted = F.pad(q, (0, 0, 0, 0, 0, 0, self.frames, 0))
        rows = qp.repeat_interleave(t)
        now = q.flatten(0, 1)
        before = [shifted[:, n:n + t].flatten(0, 1) for n in reversed(range(self.frames))]
        past = self.past(before, rows)
        out = q.new_zeros(b * t, h, w, self.bits)
        heres = parted(past, [place_of(where) for where in self.passes])
        for number, (row, column, step) in enumerate(self.passes):
            target = now[:, row::step, column::step]
            if target.numel():
                start, direct = self.pass_context(number, heres[number], now, rows)
                hint = torch.zeros_like(target) if hints is None else (
                    hints.flatten(0, 1)[:, row::step, column::step])
                logits = self._teach(start, direct, target.flatten(0, 2), hint.flatten(0, 2))
                out[:, row::step, column::step] = logits.view(target.shape)
        return out.unflatten(0, (b, t))

    def layers(self) -> dict[str, QuantLinear]:
        """All of them, by name."""
        return {name: m for name, m in self.named_modules() if isinstance(m, QuantLinear)}

    def past(self, before: Sequence[Tensor], qp: Tensor) -> Tensor:
        """The last `frames` frames, latest first, [N, H, W, bits] each, zero where there is none ->
        features.

        Returns [N, H, W, width] on the activation grid.
        """
        x = torch.cat((*before, *(v[..., :1].abs() for v in before)), dim=-1)
        x = requantize(self.past_in(neighbours(x), qp))
        return requantize(self.past_out(neighbours(x), qp))

    def pass_context(self, number: int, here: Tensor, now: Tensor, qp: Tensor,
                     known: Surroundings | None = None) -> tuple[Tensor, Tensor]:
        """What a pass knows before its first bit, for the K positions of all N frames together.

        Args:
            number: the pass, of `self.passes`.
            here: features from `past` at the pass's positions, [N, h, w, width].
            now: signs [N, H, W, bits]; those of later passes are not looked at.
            qp: [N].
            known: what has been told of these signs already; else it is made of `now`.

        Returns:
            hidden units [K, units] and direct logits [K, bits].
        """
        h = self.here[number](here, qp)
        if number:
            reach = REACH[self.passes[number][2]]
            wide = F.pad(now, (0, 0, reach, reach, reach, reach))
            h = h + self.near[number - 1](self.taps(wide, reach, number), None)
        if number and self.around:
            seen = self._surroundings(now, number) if known is None else known.features(number)
            h = h + self.around_out[number - 1](seen, None)
        h = requantize(self.mix(requantize(h).flatten(0, 2), None))
        qp = qp.repeat_interleave(here.shape[1] * here.shape[2])
        return self.start(h, None), self.direct(h, qp)

    def taps(self, wide: Tensor, edge: int, number: int) -> Tensor:
        """Signs [N, H, W, bits] with `edge` more rows and columns on each side -> known neighbours
        of a pass's positions, [N, h, w, taps * bits]."""
        h, w = (n - 2 * edge for n in wide.shape[1:3])
        row, column, step = self.passes[number]
        return gathered(wide, [(slice(edge + row + y, edge + h + y, step),
                                slice(edge + column + x, edge + w + x, step))
                               for y, x in known_taps(self.passes, number)])

    def _surroundings(self, now: Tensor, number: int) -> Tensor:
        """Signs [N, H, W, bits] -> features of what earlier passes brought around a pass's
        positions, [N, h, w, 9 * around], on the activation grid."""
        known = now.new_zeros(*now.shape[1:3], 1)
        for row, column, step in self.passes[:number]:
            known[row::step, column::step] = 1
        x = torch.cat((now * known, known.expand(len(now), -1, -1, -1)), dim=-1)
        every = self.spread(number)
        sums = self.around_in[every - 1](neighbours(x[:, ::every, ::every]), None)
        return self.nearby(requantize(sums), number)

    def spread(self, number: int) -> int:
        """2 where a pass and those before it lie on every second row and column, else 1."""
        return 1 if any(v % 2 for where in self.passes[:number + 1] for v in where) else 2

    def nearby(self, features: Tensor, number: int) -> Tensor:
        """Activations of `around_in` at every `spread`-th row and column, [N, H, W, C] -> those of
        the 3x3 neighbourhood of a pass's positions, [N, h, w, 9C], zeros outside."""
        row, column, step = (v // self.spread(number) for v in self.passes[number])
        h, w = features.shape[1:3]
        x = F.pad(features, (0, 0, 1, 1, 1, 1))
        return gathered(x, [(slice(row + i, h + i, step), slice(column + j, w + j, step))
                            for i in range(3) for j in range(3)])

    def frame(self, before: Sequence[Tensor], qp: Tensor) -> LatentFrame:
        """The next latent frame of one clip, after those before it (as for `past`)."""
        return LatentFrame(self, before, qp)

    def _teach(self, start: Tensor, direct: Tensor, signs: Tensor, hints: Tensor) -> Tensor:
        """Logits [K, bits] of all bits at once, where the bits are known."""
        # Bit i sees the weights of the bits before it: row i of a stack of masked matrices.
        before = torch.ones(self.bits, self.bits, device=signs.device).tril(-1)
        own = before[:, :, None] * self.own.quantized().mT
        start = (start + self.own.offset()).expand(self.bits, -1, -1)
        hidden = torch.baddbmm(start, signs.expand(self.bits, -1, -1), own)
        hidden = torch.addcmul(hidden, hints.mT[:, :, None], self.hint.quantized().mT[:, None])
        logits = torch.bmm(requantize(hidden), self.out.quantized()[:, :, None])[..., 0].mT
        return to_levels(hints + direct + logits + self.out.offset())

    # -- proof -----------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise ValueError, naming the layer, where an accumulator could reach 2**24 units."""
        self.past_in.check("past_in", ())
        self.past_out.check("past_out", ())
        for i, layer in enumerate(self.around_in):
            layer.check(f"around_in.{i}", ())  # type: ignore[operator]
        for number, here in enumerate(self.here):
            beside = [layers[number - 1] for layers in (self.near, self.around_out)
                      if number and layers]
            here.check(f"here.{number}", beside)  # type: ignore[operator]
        self.mix.check("mix", ())
        self.start.check("start", (self.own, self.hint))
        self.direct.check("direct", ())
        self.out.check("out", (self.direct,))  # and a hint, of at most 2**15 units


class LatentFrame:
    """What a frozen prior knows before each pass over one latent frame.

    Args:
        prior, before, qp: as for `Prior.past`, of one clip.
    """

    def __init__(self, prior: Prior, before: Sequence[Tensor], qp: Tensor) -> None:
        self.prior, self.qp = prior, qp
        self.past = prior.past(before, qp)
        self.known = Surroundings(prior, before[0].shape[1:3]) if prior.around else None
        #: The last pass that was asked for.
        self.told: int | None = None

    def context(self, number: int, now: Tensor) -> tuple[Tensor, Tensor]:
        """What `Prior.pass_context` returns for a pass; `now` [1, H, W, bits] has zeros for the
        signs of this pass and later ones, and those of passes that were asked for before."""
        passes = self.prior.passes
        if self.known is not None and self.told is not None:
            self.known.learn(self.told, now[:, *place_of(passes[self.told])])
        self.told = number
        here = self.past[:, *place_of(passes[number])]
        return self.prior.pass_context(number, here, now, self.qp, self.known)


class Surroundings:
    """What is known around the positions of one latent frame, [1, H, W], as its passes come.

    The sums of `around_in` are brought up to date by each, where training makes them anew: exact
    numbers come out the same, at a tenth of the work.

    Args:
        prior: a frozen prior with `around`.
        size: H, W.
    """

    def __init__(self, prior: Prior, size: Sequence[int]) -> None:
        self.prior = prior
        self.sums, self.weights = [], []
        for every, layer in enumerate(prior.around_in, 1):
            h, w = (-(-n // every) + 2 for n in size)
            self.sums.append(layer.offset().expand(1, h, w, -1).clone())  # type: ignore[operator]
            weights = layer.quantized().unflatten(1, (9, -1))  # type: ignore[operator]
            self.weights.append(weights.transpose(0, 1).flatten(0, 1))

    def learn(self, number: int, signs: Tensor) -> None:
        """Take the signs [1, h, w, bits] of a pass."""
        x = F.pad(signs, (0, 1), value=1.0)
        for every in range(1, self.prior.spread(number) + 1):
            sums = self.sums[every - 1]
            row, column, step = (v // every for v in self.prior.passes[number])
            down, right = (step * (n - 1) + 1 for n in signs.shape[1:3])
            parts = F.linear(x, self.weights[every - 1]).split(self.prior.around, dim=-1)
            for k, part in enumerate(parts):
                y, z = row + 2 - k // 3, column + 2 - k % 3
                sums[:, y:y + down:step, z:z + right:step] += part

    def features(self, number: int) -> Tensor:
        """Around a pass's positions, as `Prior.pass_context` has them: [1, h, w, 9 * around]."""
        sums = self.sums[self.prior.spread(number) - 1]
        return self.prior.nearby(requantize(sums[:, 1:-1, 1:-1]), number)


class TokenState:
    """The hidden units of K tokens while their bits come in one by one.

    Args:
        prior: a frozen prior.
        start, direct: what `Prior.pass_context` returned.
    """

    def __init__(self, prior: Prior, start: Tensor, direct: Tensor) -> None:
        scale = 2**ACTIVATION_BITS
        self.hidden = (start + prior.own.offset()).mul_(scale)
        self.direct = direct + prior.out.offset()
        self.own = prior.own.quantized().mT.mul(scale).contiguous()
        self.hint = prior.hint.quantized().mT.mul(scale).contiguous()
        self.out = prior.out.quantized().div(scale).contiguous()
        self.scratch = torch.empty_like(self.hidden)

    def logits(self, bit: int, hints: Tensor) -> Tensor:
        """Logits [K] of one bit before rounding; hints [K] are the table's, on the logit grid."""
        torch.addr(self.hidden, hints, self.hint[bit], out=self.scratch)
        self.scratch.floor_().clamp_(0, 255)
        return torch.addmv(self.direct[:, bit] + hints, self.scratch, self.out[bit])

    def learn(self, bit: int, signs: Tensor) -> None:
        """Take the bit's signs [K] in {-1, 1}."""
        self.hidden.addr_(signs, self.own[bit])


def place_of(where: Pass) -> Place:
    """Rows and columns of a pass."""
    row, column, step = where
    return slice(row, None, step), slice(column, None, step)


def neighbours(x: Tensor) -> Tensor:
    """[N, H, W, C] -> the 3x3 neighbourhood of every position, [N, H, W, 9C], zeros outside."""
    h, w = x.shape[1:3]
    x = F.pad(x, (0, 0, 1, 1, 1, 1))
    return gathered(x, [(slice(i, i + h), slice(j, j + w)) for i in range(3) for j in range(3)])
