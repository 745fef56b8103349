"""Where one shot ends and the next begins, so that a segment can begin there too.

A turn of four frames that two shots share shows neither, and what the loop remembers is of no use
behind a cut: pictures beside one came out at an LPIPS of 0.3 to 0.6 where they are near 0.1 in a
segment of their own (docs/segments.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nvcodec.codec.options import EncodeOptions
from nvcodec.models.motion import averaged, moved_on
from nvcodec.segments import BLOCK, Cutter
from nvcodec.video.info import Frame

#: Pictures are looked at this small: so many rows or columns at least, where there are as many.
SIDE = 88
#: A cut is where what motion does not explain is this many times a picture's own texture, and so
#: much more than in the step before and the one behind: a flash comes and goes, and where bodies
#: fill the picture all steps are large.
CHANGED, SUDDEN = 1.2, 1.5
#: Texture is what differs from the mean over so many pixels a side; what is added to it, of values
#: from 0 to 2, as flat pictures have none.
AROUND, FLAT = 9, 0.02


def looked_through(frames: Iterable[Frame], options: EncodeOptions) -> Iterable[Frame]:
    """A source's frames, with cuts marked where segments are to begin at them."""
    return marked(frames, BLOCK * options.keyint) if options.cuts else frames


def cutter(frames: Iterable[Frame], options: EncodeOptions) -> Cutter[Frame]:
    """What takes such frames segment by segment."""
    return Cutter(frames, options.keyint, lambda frame: frame.cut)


def marked(frames: Iterable[Frame], anew: int) -> Iterator[Frame]:
    """The frames of a source, one behind, with `cut` set on each that begins a shot.

    Each `anew`-th frame is looked at as if nothing had come before it, so that a source that is
    taken up there comes out the same.
    """
    before: _Step | None = None
    step: _Step | None = None
    waiting: Frame | None = None
    last: Tensor | None = None
    for number, frame in enumerate(frames):
        small = _small(frame)
        after = None if last is None or number % anew == 0 else _Step(last, small)
        if waiting is not None:
            yield replace(waiting, cut=_is_cut(before, step, after))
            before = step
        waiting, step, last = frame, after, small
    if waiting is not None:
        yield waiting


@dataclass(frozen=True)
class _Step:
    """From one small picture [1, 1, h, w], 0 to 2, to the next."""

    first: Tensor
    second: Tensor

    @cached_property
    def change(self) -> float:
        """What changes as pictures stand, in units of the second one's texture."""
        return self._off(self.first)

    @cached_property
    def surprise(self) -> float:
        """What motion does not explain of it."""
        return min(self.change, self._off(moved_on(self.first, self.second)))

    def _off(self, other: Tensor) -> float:
        texture = float((self.second - averaged(self.second, AROUND)).abs().mean())
        return float((self.second - other).abs().mean()) / (texture + FLAT)


def _is_cut(before: _Step | None, step: _Step | None, after: _Step | None) -> bool:
    """Whether a shot begins with the second picture of a step, the others being those beside it; a
    shot of one picture does not.

    Motion is looked for only where much changes, in one frame of a hundred.
    """
    if step is None or after is None or step.change <= CHANGED or step.surprise <= CHANGED:
        return False
    return step.surprise > SUDDEN * max(s.surprise for s in (before, after) if s)


def _small(frame: Frame) -> Tensor:
    """A frame's green in means over squares, [1, 1, h, w] from 0 to 2, in whole fours."""
    height, width = frame.rgb.shape[:2]
    side = max(1, min(height, width) // SIDE)
    green = torch.from_numpy(np.ascontiguousarray(frame.rgb[..., 1]))[None, None].float()
    small = F.avg_pool2d(green, side).div_(127.5)
    rows, columns = (max(8, -(-n // 4) * 4) for n in small.shape[2:])
    short = columns - small.shape[3], rows - small.shape[2]
    return F.pad(small, (0, short[0], 0, short[1]), mode="replicate") if any(short) else small
