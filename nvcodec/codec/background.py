"""Backgrounds of segments: found while they are encoded, laid over their pictures when decoded.

Where a camera stands, a decoder's network goes on making the same picture with the same mistakes,
and more tokens mend little of it. What stays for long is worth a picture of its own, told once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import bitstream
from nvcodec.models import background as arithmetic
from nvcodec.models.background import BLOCK, CHROMA_STEP, EARLY_CHROMA_STEP, Cover

#: The last picture of this latent frame is the reference; those before wait for it.
TURN = 2
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
STIRRING, FLAT = 0.1, 2.5
#: Texture begins at this diagonal. A block is told of where so many of the eight around it are, and
#: any where so much of all texture is.
LEAST_DIAGONAL, COMPANY, LEAST_SHARE = 2, 3, 0.25
#: A block of a turn is shown whatever is decoded where its source is as far from that of the
#: reference as this part of the squared error of what is decoded, or as that.
NEARER, QUIET = 0.5, 9.0
#: After so many turns it is foreseen what the background will be, and tokens of it are spared where
#: sources move no more than what stands still may, or by this squared error.
FORESEEN, UNSEEN = (4, 8, 16, 32, 64), 25.0
#: A coefficient is rounded up from here on.
ROUNDING = 0.45
#: Bits of a coefficient of 1 among such, more for each doubling, and of a block.
COEFFICIENT_BITS, DOUBLING_BITS, BLOCK_BITS = 1.4, 2.0, 1.0


class BackgroundFinder:
    """Looks at a segment while it is coded, a picture of each turn, and finds its background.

    Args:
        qp: that was asked for, -16..63.
        frames: that each turn after the first stands for.
        most: frames that a segment may have.
    """

    def __init__(self, qp: float, frames: float, most: int = AT_FRAMES) -> None:
        self.qp, self.frames, self.most = qp, frames, most
        self.turns = 0
        #: Blocks that are foreseen to be told of, and how far their sources may be from the
        #: reference's, as squared errors; None where nothing is foreseen.
        self.foreseen: tuple[Tensor, Tensor] | None = None
        self.waiting: list[tuple[Tensor, Tensor]] = []
        self.reference: Tensor | None = None
        #: The source of the reference, and for each turn which blocks are like it.
        self.origin = torch.empty(0)
        self.maps: list[Tensor] = []
        #: For each pixel, over frames: the weight, and over turns; that times what the source has
        #: more than the reference, by plane, and its square; and times the squared error of what is
        #: decoded.
        self.weight = self.seen = self.more = self.square = self.error = torch.empty(0)

    def add(self, source: Tensor, made: Tensor) -> None:
        """The next turn, uint8: its pictures [T, H, W, 3], and the last as decoded [H, W, 3]."""
        self.turns += 1
        if self.reference is None:
            self.waiting.append((source, made))
            if len(self.waiting) == TURN + 1:
                self._begin()
        else:
            self._count(source, made, self.frames)
        if self.turns in FORESEEN:
            self._foresee()

    def spared(self, source: Tensor) -> Tensor | None:
        """Blocks of the next turn's pictures, uint8 [T, H, W, 3], that are foreseen to be covered
        whatever is decoded, bool [rows, columns]; None where nothing is foreseen."""
        if self.foreseen is None:
            return None
        told, limits = self.foreseen
        covered = told & (self._drift(source) < limits)
        return ~F.max_pool2d((~covered).float()[None], 3, 1, 1)[0].bool()

    def find(self) -> bitstream.Background | None:
        """What to tell, once all pictures are there; None where it is not worth its bits, or where
        there are too few to know."""
        found = None if self.reference is None else self._found(self._passed())
        if found is None:
            return None
        shown = torch.stack(self.maps).numpy() & found.planes[0].told
        return replace(found, shown=shown if shown.any() else None)

    def _foresee(self) -> None:
        """What would be told if all went on as until now."""
        found = self._found(max(self._passed(), min(self.most, AT_FRAMES)))
        self.foreseen = None
        if found is not None:
            limits = (STIRRING * _around_most(self._texture())).clamp_min(UNSEEN * BLOCK ** 2)
            self.foreseen = torch.from_numpy(found.planes[0].told), limits

    def _found(self, frames: float) -> bitstream.Background | None:
        """The background of a segment of so many frames that are as those until now, without maps;
        None where it is not worth its bits."""
        asked = _step_at(self.qp) * (AT_FRAMES / frames) ** 0.5
        step = _step_code(asked)
        size = 2 ** (step / 8)
        worth = WORTH * self._passed() * size ** 2 * (asked / size) ** EVEN
        fade, texture = _fade_at(size), self._texture()
        planes = self._planes(texture, fade, size, worth)
        told = torch.from_numpy(planes[0].told)
        if texture[told].sum() < LEAST_SHARE * texture.sum():
            return None
        return bitstream.Background(TURN, step, planes, None, fade)

    def _passed(self) -> float:
        """How many there were."""
        return 1 + self.frames * (self.turns - 1)

    def _begin(self) -> None:
        self.reference, self.origin = self.waiting[-1][1].float(), self.waiting[-1][0][-1].float()
        shape = self.reference.shape
        self.more = torch.zeros(shape)
        self.weight, self.seen, self.square, self.error = torch.zeros(4, *shape[:2])
        for i, (source, made) in enumerate(self.waiting):
            self._count(source, made, self.frames if i else 1)
        self.waiting.clear()

    def _count(self, source: Tensor, made: Tensor, frames: float) -> None:
        assert self.reference is not None
        decoded = made.float()
        share = arithmetic.likeness(decoded, self.reference)
        self.maps.append(self._stays(source, decoded))
        share = torch.maximum(share, arithmetic.inside(self.maps[-1].float(), share.shape))
        seen = arithmetic.filled(share, *decoded.shape[:2]).square_()
        self.seen += seen
        weight = seen * frames
        self.weight += weight
        self.error += weight * arithmetic.planes_of(source[-1] - decoded).square_().sum(-1)
        weight /= len(source)
        for one in source:  # one at a time, for the memory
            more = arithmetic.planes_of(one - self.reference)
            self.more += weight[..., None] * more
            self.square += weight * more.square_().sum(-1)

    def _stays(self, source: Tensor, decoded: Tensor) -> Tensor:
        """Blocks of a turn's pictures that are what the reference's source is, bool."""
        wrong = (source[-1] - decoded).square_().mean(-1)
        off = _block_sums(arithmetic.whole_blocks(wrong[None])[0])
        return self._drift(source) < (NEARER * off).clamp_min(QUIET * BLOCK ** 2)

    def _drift(self, source: Tensor) -> Tensor:
        """How far each block of a turn's pictures is from the source of the reference at most, as a
        squared error."""
        moved = [(one - self.origin).square_().mean(-1) for one in source]
        drift = [_block_sums(plane) for plane in arithmetic.whole_blocks(torch.stack(moved))]
        return torch.stack(drift).amax(0)

    def _target(self) -> Tensor:
        """What is to be shown, as a difference to the reference: planes [3, H, W]."""
        mean = (self.more / self.weight.clamp_min(1e-6)[..., None]).permute(2, 0, 1)
        return arithmetic.whole_blocks(mean)

    def _texture(self) -> Tensor:
        """What each block of what is to be shown has beyond a slope: skies stay, whatever moves."""
        assert self.reference is not None
        below = arithmetic.planes_of(self.reference)[..., 0]
        shown = arithmetic.whole_blocks(below[None])[0] + self._target()[0]
        texture = arithmetic.blocks_of(shown).square() * (arithmetic.diagonals() >= LEAST_DIAGONAL)
        return texture.sum((2, 3))

    def _planes(self, texture: Tensor, fade: int, size: float, worth: float
                ) -> tuple[bitstream.Plane, bitstream.Plane, bitstream.Plane]:
        """The planes at a step; a bit has to be worth so much squared error, over all frames."""
        assert self.reference is not None
        target = self._target()
        stacked = torch.stack((self.weight, self.seen, self.square, self.error))
        weight, seen, square, error = arithmetic.whole_blocks(stacked)
        # Squared error where the target itself is shown: what moves. A mean over few is nearer to
        # those than to others like them, and what is seen in one turn may be anything.
        moving = (square - weight * target.square().sum(0)).clamp_min_(0)
        moving *= (seen + 1) / (seen - 1).clamp_min(0.1)
        times = _block_sums(weight) / BLOCK ** 2
        coarse = _block_sums(arithmetic.halved(weight[None])[0]) * 4 / BLOCK ** 2
        less = arithmetic.faded(self.reference, fade)
        luma = _Levels(arithmetic.blocks_of(target[0]) + less[0], size, times, worth)
        both = [_Levels(arithmetic.blocks_of(plane) + more, size * CHROMA_STEP, coarse, worth)
                for plane, more in zip(arithmetic.halved(target[1:]), less[1:], strict=True)]
        share = [b.left.repeat_interleave(2, 0).repeat_interleave(2, 1) / 4 for b in both]
        saved = _block_sums(error - moving) - luma.left - share[0] - share[1]
        told = saved > worth * (luma.bits + BLOCK_BITS)
        limits = (STIRRING * _around_most(texture)).clamp_min(FLAT * BLOCK ** 2)
        told &= _block_sums(moving) < times * limits
        told &= _around(told) >= COMPANY
        rows, columns = coarse.shape
        quarters = told.view(rows, 2, columns, 2).any(3).any(1)
        blue, red = (_plane(b, quarters & (b.bits > 0)) for b in both)
        return _plane(luma, told), blue, red


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


def _around_most(texture: Tensor) -> Tensor:
    """That of each block, or of the one beside it that has most."""
    return F.max_pool2d(texture[None], 3, 1, 1)[0]


def _block_sums(plane: Tensor) -> Tensor:
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


def covered(pictures: Iterator[Tensor], background: bitstream.Background, stride: int
            ) -> Iterator[Tensor]:
    """A segment's coded pictures, uint8 [H, W, 3], with its background over them.

    Latent frames after the first stand for `stride` of them each. Those before the reference wait
    for it.
    """
    waiting: list[Tensor] = []
    cover: Cover | None = None
    for number, picture in enumerate(pictures):
        waiting.append(picture)
        if number < background.turn * stride:
            continue
        if cover is None:
            cover = _cover(background, picture)
        for place, one in enumerate(waiting, number + 1 - len(waiting)):
            yield cover.over(one, _shown(background, -(-place // stride)))
        waiting.clear()


def _shown(background: bitstream.Background, turn: int) -> Tensor | None:
    """Blocks that are shown in a latent frame whatever is decoded, and those that are not told of,
    whose neighbours may be."""
    if background.shown is None:
        return None
    return torch.from_numpy(background.shown[turn] | ~background.planes[0].told).float()


def _cover(background: bitstream.Background, reference: Tensor) -> Cover:
    size = background.step_size
    chroma = size * (CHROMA_STEP if background.fade else EARLY_CHROMA_STEP)
    told = torch.from_numpy(background.planes[0].told)
    rows, columns = background.planes[1].told.shape
    any_of_four = told.view(rows, 2, columns, 2).any(3).any(1)
    less = arithmetic.faded(reference, background.fade)
    planes = [step * torch.from_numpy(plane.levels) - without * there[..., None, None]
              for plane, step, without, there in zip(
                  background.planes, (size, chroma, chroma), less,
                  (told, any_of_four, any_of_four), strict=True)]
    return Cover(reference, arithmetic.difference_of(*planes), told.float())
