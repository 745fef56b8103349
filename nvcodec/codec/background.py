"""Backgrounds of segments, found while they are encoded.

Where a camera stands, or moves as a whole, a decoder's network goes on making the same picture with
the same mistakes, and more tokens mend little of it. What stays for long is worth a picture of its
own, told once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import ceil, log1p

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import bitstream
from nvcodec.codec.worth import AT_FRAMES, LEAST_GAIN, Best, Sums, block_sums
from nvcodec.models import background as arithmetic
from nvcodec.models.background import BLOCK
from nvcodec.models.camera import Camera, Moves, homography, places, sampled

#: The last picture of this latent frame is the reference; those before wait for it.
TURN = 2
#: A block of a turn is shown whatever is decoded where its source is as far from that of the
#: reference as this part of the squared error of what is decoded, or as that.
NEARER, QUIET = 0.5, 9.0
#: After so many turns it is foreseen what the background will be, and tokens of it are spared where
#: sources move no more than what stands still may, or by this squared error, or by that part of
#: what is usually wrong there.
FORESEEN, UNSEEN = (4, 8, 16, 32, 64), 25.0
#: What a background has to gain more when nothing has passed yet.
EARLY_GAIN = 0.2
#: Where the camera moves and no tokens rely on it yet, it has to gain so many decibels for each
#: e-fold of the bits, by its step: what coarse ones gain is low frequencies, which show less.
DECIBELS = ((18.0, 3.5), (30.0, 6.0))
#: Tokens rely on it where this part of it is going to be shown on average, if that goes on as in so
#: many turns.
LASTING, TREND = 0.45, 4
#: So many bytes that it comes for nothing.
FREE = 1 << 30


@dataclass(frozen=True)
class _Turn:
    """A turn as the reference sees it.

    Attributes:
        source: the pictures themselves, uint8 [T, H, W, 3].
        moves: of the corners in each.
        pictures: all or every other, moved back to where the reference has things, uint8 [H, W, 3].
        inside: the pixels of the reference that are in view in all of them, [H, W]; None: all.
        drift: how far each block is from the source of the reference at most, as a squared error.
    """

    source: Tensor
    moves: Moves
    pictures: list[Tensor]
    inside: Tensor | None
    drift: Tensor


class BackgroundFinder:
    """Looks at a segment while it is coded, a picture of each turn, and finds its background.

    Args:
        qp: that was asked for, -16..63.
        stride: coded pictures that each turn after the first has.
        spacing: frames from one coded picture to the next.
        most: frames that a segment may have.
    """

    def __init__(self, qp: float, stride: int, spacing: float = 1, most: int = AT_FRAMES) -> None:
        self.qp, self.frames, self.most = qp, stride * spacing, most
        #: Each so many-th picture is shown.
        self.every = ceil(1 / spacing)
        self.turns = 0
        #: Blocks that are foreseen to be told of, and how far their sources may be from the
        #: reference's, as squared errors; None where nothing is foreseen.
        self.foreseen: tuple[Tensor, Tensor] | None = None
        self.waiting: list[tuple[Tensor, Tensor]] = []
        self.sums: Sums | None = None
        #: The source of the reference; for each turn which blocks are like it, and for each picture
        #: where the corners are.
        self.origin = torch.empty(0)
        self.maps: list[Tensor] = []
        self.moves: list[Moves] = []
        self.camera: Camera | None = None
        #: Blocks without which the tokens of this turn would be missed, and of any until now.
        self.counted_on = self.relied = torch.empty(0, dtype=torch.bool)
        #: The turn that was looked at last.
        self.turn: _Turn | None = None

    def add(self, source: Tensor, made: Tensor, spent: int = FREE) -> None:
        """The next turn, uint8: its pictures [T, H, W, 3], and the last as decoded [H, W, 3];
        tokens take so many bytes until now."""
        self.turns += 1
        if self.sums is None:
            self.waiting.append((source, made))
            if len(self.waiting) == TURN + 1:
                self._begin()
        else:
            self._count(self._looked_at(source), made, self.frames)
        if self.turns in FORESEEN:
            self._foresee(spent)

    def spared(self, source: Tensor) -> Tensor | None:
        """Blocks of the next turn's pictures, uint8 [T, H, W, 3], that are foreseen to be covered
        whatever is decoded, bool [rows, columns]; None where nothing is foreseen."""
        if self.foreseen is None:
            self.counted_on = torch.zeros_like(self.counted_on)
            return None
        told, limits = self.foreseen
        turn = self._looked_at(source)
        self.counted_on = told & (turn.drift < limits)
        self.relied = self.relied | self.counted_on
        share = arithmetic.inside(self.counted_on.float(), torch.Size(2 * n for n in told.shape))
        shares = [arithmetic.gone(share, moves, *self.origin.shape[:2]) for moves in turn.moves]
        least = torch.stack(shares).amin(0)
        return -F.max_pool2d(-least[None], 2)[0] > 0.99

    def find(self, spent: int = FREE) -> bitstream.Background | None:
        """What to tell, once all pictures are there, whose tokens take so many bytes; None where it
        is not worth its bits, or where there are too few to know."""
        if self.sums is None:
            return None
        passed = self._passed()
        # What was relied on has to be told, however little it is.
        least = 0.0 if self.relied.any() else LEAST_GAIN
        best = self.sums.best(TURN, self.qp, passed, passed, self.relied, least)
        if best is None:
            return None
        found = self._told(best)
        is_free = found.moves is not None and not self.relied.any()
        return None if is_free and not _pays(best, found, spent) else found

    def _told(self, best: Best) -> bitstream.Background:
        """With the maps and the moves of all turns."""
        shown = torch.stack(self.maps).numpy() & best.background.planes[0].told
        moves = np.concatenate(self.moves)
        return replace(best.background, shown=shown if shown.any() else None,
                       moves=moves if moves.any() else None)

    def _foresee(self, spent: int) -> None:
        """What would be told if all went on as until now; or, as a camera that moves may leave what
        it saw, and what tokens rely on has to be told, what would be if this were all, and where
        most of it is going to be seen."""
        self.foreseen = None
        if self.sums is None:
            return
        passed, moving = self._passed(), self.moves[-1].any()
        likely = passed if moving else max(passed, min(self.most, AT_FRAMES))
        least = LEAST_GAIN + EARLY_GAIN * (1 - passed / likely)
        best = self.sums.best(TURN, self.qp, likely, passed, self.relied, least)
        if best is not None and (not moving or (
                self._lasts(best) and _pays(best, self._told(best), spent))):
            limits = best.stirring.clamp_min(UNSEEN * BLOCK ** 2)
            self.foreseen = (torch.from_numpy(best.background.planes[0].told),
                             torch.maximum(limits, NEARER * self.sums.usual()))

    def _lasts(self, best: Best) -> bool:
        """Whether most of what would be told goes on being shown."""
        told = torch.from_numpy(best.background.planes[0].told)
        shares = [float(shown[told].float().mean()) for shown in self.maps]
        if len(shares) < 2 * TREND:
            return False
        slope = (shares[-1] - shares[-1 - TREND]) / TREND
        left = (min(self.most, AT_FRAMES) - self._passed()) / self.frames
        ahead = shares[-1] + slope * np.arange(1, max(left, 1) + 1)
        return bool(ahead.clip(0, 1).mean() >= LASTING)

    def _passed(self) -> float:
        """How many frames there were."""
        return 1 + self.frames * (self.turns - 1)

    def _begin(self) -> None:
        sources, made = zip(*self.waiting, strict=True)
        self.sums = Sums(made[-1].float())
        self.counted_on = self.relied = torch.zeros_like(self.sums.usual(), dtype=torch.bool)
        self.origin = sources[-1][-1].float()
        height, width = self.origin.shape[:2]
        self.camera = Camera(sources[-1][-1], lambda moves: bitstream.is_plausible(
            moves[None], width, height))
        pictures = torch.cat(sources)
        moves = np.concatenate((self.camera.back(pictures[:-1]), np.zeros((1, 4, 2), np.int16)))
        for i, (source, picture) in enumerate(self.waiting):
            self._count(self._seen(source, moves[:len(source)]), picture, self.frames if i else 1)
            moves = moves[len(source):]
        self.waiting.clear()

    def _looked_at(self, source: Tensor) -> _Turn:
        """The next turn; it is spared and added, but looked at once."""
        if self.turn is None or self.turn.source is not source:
            assert self.camera is not None
            self.turn = self._seen(source, self.camera.follow(source))
        return self.turn

    def _seen(self, source: Tensor, moves: Moves) -> _Turn:
        # Where they move every other is enough, and each costs time.
        some = slice((len(moves) - 1) % 2, None, 2) if moves.any() else slice(None)
        back = [self._back(one, gone) for one, gone in zip(source[some], moves[some], strict=True)]
        pictures = [picture for picture, _ in back]
        views = [inside for _, inside in back if inside is not None]
        inside = torch.stack(views).amin(0) if views else None
        return _Turn(source, moves, pictures, inside, self._drift(pictures, inside))

    def _count(self, turn: _Turn, made: Tensor, frames: float) -> None:
        assert self.sums is not None
        self.sums.wrong += frames * _squared(turn.source[-1] - made.float())
        decoded = self._back(made, turn.moves[-1])[0].float()
        self.maps.append(self._stays(turn, decoded) | self.counted_on)
        self.moves.append(turn.moves[(len(turn.moves) - 1) % self.every::self.every])
        share = arithmetic.inside(self.maps[-1].float(), arithmetic.grid_of(decoded))
        if not turn.moves[-1].any():  # otherwise nothing else is covered
            share = torch.maximum(share, arithmetic.likeness(decoded, self.sums.reference))
        wide = arithmetic.filled(share, *decoded.shape[:2])
        self.sums.add(turn.pictures, decoded, wide if turn.inside is None else wide * turn.inside,
                      frames)

    def _back(self, picture: Tensor, moves: Moves) -> tuple[Tensor, Tensor | None]:
        """A picture uint8 [H, W, 3] moved back to where the reference has things, and which pixels
        there it has, None where all."""
        if not moves.any():
            return picture, None
        height, width = picture.shape[:2]
        at = places(homography(moves, width, height), width, height)
        planes = sampled(picture.permute(2, 0, 1).float(), at, mode="bicubic", outside="border")
        size = at.new_tensor([width, height])
        inside = ((at >= 0) & (at <= size)).all(-1).float()
        return planes.permute(1, 2, 0).add_(0.5).clamp_(0, 255).byte(), inside

    def _stays(self, turn: _Turn, decoded: Tensor) -> Tensor:
        """Blocks of a turn's pictures that are what the reference's source is, bool."""
        wrong = _blocks((turn.pictures[-1] - decoded).square_().mean(-1))
        return turn.drift < (NEARER * wrong).clamp_min(QUIET * BLOCK ** 2)

    def _drift(self, pictures: Iterable[Tensor], inside: Tensor | None) -> Tensor:
        off = [_blocks((one - self.origin).square_().mean(-1)) for one in pictures]
        drift = torch.stack(off).amax(0)
        if inside is not None:
            drift.masked_fill_(_blocks(inside) < BLOCK ** 2 - 0.5, float("inf"))
        return drift


def _pays(best: Best, found: bitstream.Background, spent: int) -> bool:
    """Whether a background that moves gains enough for its bits, beside so many bytes."""
    steps, decibels = zip(*DECIBELS, strict=True)
    asked = float(np.interp(found.step_size, steps, decibels))
    return best.decibels >= asked * log1p(len(found.pack()) / spent)


def _squared(off: Tensor) -> float:
    return float(arithmetic.planes_of(off).square_().sum())


def _blocks(plane: Tensor) -> Tensor:
    """Sums of a plane [H, W] over its blocks, [rows, columns]."""
    return block_sums(arithmetic.whole_blocks(plane[None])[0])
