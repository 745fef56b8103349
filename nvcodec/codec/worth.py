"""What of a background is worth its bits."""

from __future__ import annotations

from dataclasses import dataclass
from math import log10

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import bitstream
from nvcodec.models import background as arithmetic
from nvcodec.models.background import BLOCK, CHROMA_STEP

#: qp that is asked for, and the step of coefficients of what is seen in AT_FRAMES frames. Above 54
#: bits are better spent on tokens, and it rises fast.
STEPS = ((-16.0, 2.5), (0.0, 3.5), (24.0, 6.5), (48.0, 11.5), (54.0, 19.0), (58.0, 45.0),
         (63.0, 200.0))
AT_FRAMES = 85
#: Steps, and fades. High frequencies are coded without the reference, which has them at the wrong
#: places; but where a step leaves little of them, wrong ones are better than none.
FADES = ((20.0, 80.0), (40.0, 144.0))
#: What a bit is worth: so many squared steps, for each frame.
WORTH = 0.12
#: Files have steps that are an eighth of an octave apart: in between, by this power of what the
#: step is off, the worth of a bit makes up for it, so that sizes do not leap.
EVEN = 8.0
#: What moves in a block, as a part of its texture or as a squared error, up to which it stands
#: still. Squared errors saved alone would have a blur for what drifts.
STIRRING, FLAT = 0.16, 2.5
#: Texture begins at this diagonal. A block is told of where so many of the eight around it are.
LEAST_DIAGONAL, COMPANY = 2, 3
#: Any is where they have this part of all texture, and take that part off the squared error of all
#: pictures: less does not show.
LEAST_SHARE, LEAST_GAIN = 0.5, 0.3
#: A coefficient is rounded up from here on.
ROUNDING = 0.45
#: Bits of a coefficient of 1 among such, more for each doubling, and of a block.
COEFFICIENT_BITS, DOUBLING_BITS, BLOCK_BITS = 1.4, 2.0, 1.0


@dataclass(frozen=True)
class Best:
    """What to tell.

    Attributes:
        background: without maps.
        stirring: how much may move in each of its blocks, as a squared error, [rows, columns].
        decibels: that all pictures gain in PSNR.
    """

    background: bitstream.Background
    stirring: Tensor
    decibels: float


class Sums:
    """What is known of each pixel of a reference, float32 [H, W, 3] of 0..255, from the frames that
    show it."""

    def __init__(self, reference: Tensor) -> None:
        self.reference = reference
        #: Over frames: the weight, and over turns; that times what sources have more than the
        #: reference, by plane, and its square; and times the squared error of what is decoded.
        self.more = torch.zeros(reference.shape)
        self.weight, self.seen, self.square, self.error = torch.zeros(4, *reference.shape[:2])
        #: Squared error of all that is decoded, covered or not, over frames.
        self.wrong = 0.0

    def add(self, sources: list[Tensor], decoded: Tensor, share: Tensor, frames: float) -> None:
        """A turn that stands for so many frames, as the reference sees it: its pictures and the
        last as decoded, [H, W, 3], and how much of each pixel would be covered, [H, W]."""
        seen = share.square()
        self.seen += seen
        weight = seen * frames
        self.weight += weight
        self.error += weight * arithmetic.planes_of(sources[-1] - decoded).square_().sum(-1)
        weight /= len(sources)
        for one in sources:  # one at a time, for the memory
            more = arithmetic.planes_of(one - self.reference)
            self.more += weight[..., None] * more
            self.square += weight * more.square_().sum(-1)

    def best(self, turn: int, qp: float, frames: float, passed: float, relied: Tensor,
             least: float = LEAST_GAIN) -> Best | None:
        """The background of a segment of so many frames that are as those that have passed, without
        maps; None where it is not worth its bits.
        It has to take `least` off the squared error of all pictures, or 0 if it is needed anyway.

        Blocks that are `relied` on are told of whatever moves in them and beside them.
        """
        asked = _step_at(qp) * (AT_FRAMES / frames) ** 0.5
        step = _step_code(asked)
        size = 2 ** (step / 8)
        worth = WORTH * passed * size ** 2 * (asked / size) ** EVEN
        fade, texture = _fade_at(size), self._texture()
        around = F.max_pool2d(texture[None], 3, 1, 1)[0]

        planes, gain = self._planes(STIRRING * around, fade, size, worth, relied)
        told = torch.from_numpy(planes[0].told)
        little = gain < least * self.wrong or texture[told].sum() < LEAST_SHARE * texture.sum()
        if not told.any() or (least and little):
            return None
        return Best(bitstream.Background(turn, step, planes, None, fade), STIRRING * around,
                    -10 * log10(max(1 - gain / self.wrong, 1e-3)) if self.wrong else 0.0)

    def usual(self) -> Tensor:
        """The usual squared error of each block as decoded, [rows, columns]."""
        return BLOCK ** 2 * block_sums(arithmetic.whole_blocks(self.error[None])[0]) / block_sums(
            arithmetic.whole_blocks(self.weight[None])[0]).clamp_min(1e-6)

    def _target(self) -> Tensor:
        """What is to be shown, as a difference to the reference: planes [3, H, W]."""
        mean = (self.more / self.weight.clamp_min(1e-6)[..., None]).permute(2, 0, 1)
        return arithmetic.whole_blocks(mean)

    def _texture(self) -> Tensor:
        """What each block of what is to be shown has beyond a slope: skies stay, whatever moves."""
        below = arithmetic.planes_of(self.reference)[..., 0]
        shown = arithmetic.whole_blocks(below[None])[0] + self._target()[0]
        texture = arithmetic.blocks_of(shown).square() * (arithmetic.diagonals() >= LEAST_DIAGONAL)
        return texture.sum((2, 3))

    def _planes(self, stirring: Tensor, fade: int, size: float, worth: float, relied: Tensor
                ) -> tuple[tuple[bitstream.Plane, bitstream.Plane, bitstream.Plane], float]:
        """The planes at a step, and the squared error that they save over all frames; a bit has to
        be worth so much of that, and no more than `stirring` may move in a block."""
        target = self._target()
        stacked = torch.stack((self.weight, self.seen, self.square, self.error))
        weight, seen, square, error = arithmetic.whole_blocks(stacked)
        # Squared error where the target itself is shown: what moves. A mean over few is nearer to
        # those than to others like them, and what is seen in one turn may be anything.
        moving = (square - weight * target.square().sum(0)).clamp_min_(0)
        moving *= (seen + 1) / (seen - 1).clamp_min(0.1)
        times = block_sums(weight) / BLOCK ** 2
        coarse = block_sums(arithmetic.halved(weight[None])[0]) * 4 / BLOCK ** 2
        less = arithmetic.faded(self.reference, fade)
        luma = _Levels(arithmetic.blocks_of(target[0]) + less[0], size, times, worth)
        both = [_Levels(arithmetic.blocks_of(plane) + more, size * CHROMA_STEP, coarse, worth)
                for plane, more in zip(arithmetic.halved(target[1:]), less[1:], strict=True)]
        share = [b.left.repeat_interleave(2, 0).repeat_interleave(2, 1) / 4 for b in both]
        saved = block_sums(error - moving) - luma.left - share[0] - share[1]
        pays = saved > worth * (luma.bits + BLOCK_BITS)
        told = pays & (block_sums(moving) < times * stirring.clamp_min(FLAT * BLOCK ** 2))
        told &= _around(told) >= COMPANY
        told |= pays & relied
        quarters = arithmetic.quarters(told)
        blue, red = (_plane(b, quarters & (b.bits > 0)) for b in both)
        return (_plane(luma, told), blue, red), float(saved[told].sum())


class _Levels:
    """Coefficients of a plane that are worth their bits.

    Attributes:
        levels: in steps, [rows, columns, 8, 8].
        bits: about what each block takes, [rows, columns].
        left: squared error that is left of each, over all frames.
    """

    def __init__(self, blocks: Tensor, size: float, times: Tensor, worth: float) -> None:
        levels = ((blocks.abs() / size + ROUNDING).floor() * blocks.sign())
        levels.clamp_(-bitstream.MAX_LEVEL, bitstream.MAX_LEVEL)
        bits = _bits(blocks.abs() / size, levels)
        gain = blocks.square() - (blocks - size * levels).square()
        kept = (gain * times[..., None, None] > worth * bits) & (levels != 0)
        self.levels = torch.where(kept, levels, 0.0)
        self.bits = (bits * kept).sum((2, 3))
        self.left = times * (blocks - size * self.levels).square().sum((2, 3))


def _bits(steps: Tensor, levels: Tensor) -> Tensor:
    """About what coefficients of these magnitudes take: less where those of the frequencies around
    are large, as the coder knows them."""
    around = F.avg_pool2d(steps.clamp_max(4).flatten(0, 1), 3, 1, 1, count_include_pad=False)
    usual = around.view_as(steps).clamp(1 / 64, 8).log2()
    doublings = levels.abs().clamp_min(1).log2()
    return (COEFFICIENT_BITS - usual + DOUBLING_BITS * doublings).clamp_min(1)


def _plane(found: _Levels, told: Tensor) -> bitstream.Plane:
    levels = torch.where(told[..., None, None], found.levels, 0.0)
    return bitstream.Plane(told.numpy(), levels.to(torch.int16).numpy())


def _around(told: Tensor) -> Tensor:
    """How many of the eight blocks around each are told of."""
    own = told.float()[None]
    return (9 * F.avg_pool2d(own, 3, 1, 1) - own)[0].round()


def block_sums(plane: Tensor) -> Tensor:
    """[H, W] of whole blocks -> [rows, columns]."""
    return BLOCK ** 2 * F.avg_pool2d(plane[None], BLOCK)[0]


def _step_at(qp: float) -> float:
    """Step of coefficients of what is seen in AT_FRAMES frames; straight lines of its logarithm."""
    asked, steps = zip(*STEPS, strict=True)
    return float(2 ** np.interp(qp, asked, np.log2(steps)))


def _fade_at(size: float) -> int:
    """What is to be taken of the reference at a step, as files have it."""
    sizes, fades = zip(*FADES, strict=True)
    return round(float(np.interp(size, sizes, fades)))


def _step_code(size: float) -> int:
    """The step as files have it."""
    return int(np.clip(round(8 * np.log2(max(size, 1.0))), 0, bitstream.MAX_STEP))
