"""Segments of which only some frames are coded: the first, each spacing-th after it and the last.

The others are made from the decoded pictures beside them (`nvcodec.models.between`), without bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from torch import Tensor

from nvcodec.models.between import pictures_between
from nvcodec.video.info import Frame


def coded_frames(frames: Iterable[Frame], spacing: int,
                 note: Callable[[Frame], None]) -> Iterator[Frame]:
    """Those of a segment's frames that are coded, each when it is known to be; `note` is told of
    every frame."""
    waiting: list[Frame] = []
    for i, frame in enumerate(frames):
        note(frame)
        waiting = [] if i % spacing == 0 else [frame]
        if not waiting:
            yield frame
    yield from waiting


def all_frames(coded: Iterator[Tensor], pts: Sequence[int], spacing: int) -> Iterator[Tensor]:
    """Every picture of a segment, uint8 [H, W, 3], from those that are coded.

    Args:
        coded: at least as many as the segment has; no more than are needed are taken.
        pts: when each frame is shown; those between are placed by it.
        spacing: of the segment.
    """
    before = next(coded)
    yield before
    for first in range(0, len(pts) - 1, spacing):
        stop = min(first + spacing, len(pts) - 1)
        after = next(coded)
        gap = pts[stop] - pts[first]
        shares = [(pts[i] - pts[first]) / gap for i in range(first + 1, stop)]
        if shares:
            yield from pictures_between(before, after, shares)
        yield after
        before = after
