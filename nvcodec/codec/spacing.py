"""Segments of which not just the frames are coded.

Above a spacing of 1 only some are: the first, each spacing-th after it and the last. The others
are made from the decoded pictures beside them (`nvcodec.models.between`), without bits. At 0.5 a
picture between each two is coded as well, made from the source's. Nobody is shown it, but twice as
many turns of the loop lead to each frame, each from half as far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from math import ceil

import torch
from torch import Tensor

from nvcodec.models.between import pictures_between
from nvcodec.video.info import Frame

HALF_WAY = (0.5,)


def coded_frames(frames: Iterable[Frame], spacing: float,
                 note: Callable[[Frame], None]) -> Iterator[Frame]:
    """What is coded of a segment's frames, each when it is known to be; `note` is told of every
    frame."""
    noted = _told(frames, note)
    return _filled(noted) if spacing < 1 else _thinned(noted, int(spacing))


def _told(frames: Iterable[Frame], note: Callable[[Frame], None]) -> Iterator[Frame]:
    for frame in frames:
        note(frame)
        yield frame


def _thinned(frames: Iterator[Frame], spacing: int) -> Iterator[Frame]:
    """The first frame, each spacing-th after it and the last."""
    waiting: list[Frame] = []
    for i, frame in enumerate(frames):
        waiting = [] if i % spacing == 0 else [frame]
        if not waiting:
            yield frame
    yield from waiting


def _filled(frames: Iterator[Frame]) -> Iterator[Frame]:
    """All frames, and one half way between each two."""
    for first in frames:
        yield first
        for before, after in pairwise(chain((first,), frames)):
            pair = torch.from_numpy(before.rgb), torch.from_numpy(after.rgb)
            yield replace(after, rgb=pictures_between(*pair, HALF_WAY)[0].numpy())
            yield after


def all_frames(coded: Iterator[Tensor], pts: Sequence[int], spacing: float) -> Iterator[Tensor]:
    """Every picture of a segment, uint8 [H, W, 3], from those that are coded.

    Args:
        coded: at least as many as the segment has, without those that nobody is shown; no more
            than are needed are taken.
        pts: when each frame is shown; those between are placed by it.
        spacing: of the segment.
    """
    step = max(1, ceil(spacing))
    before = next(coded)
    yield before
    for first in range(0, len(pts) - 1, step):
        stop = min(first + step, len(pts) - 1)
        after = next(coded)
        gap = pts[stop] - pts[first]
        shares = [(pts[i] - pts[first]) / gap for i in range(first + 1, stop)]
        if shares:
            yield from pictures_between(before, after, shares)
        yield after
        before = after
