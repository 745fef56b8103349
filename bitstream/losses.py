"""What is known of segments that cannot be read: which frames they held, and when those are shown.

Times come from the best witness that is left: the damaged chunk itself where it agrees with the
index (or, without one, joins its neighbours without a seam), else the index, else the frame rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from .caps import MAX_SEGMENT_FRAMES
from .errors import BitstreamError, ChunkCrcError
from .header import Header
from .index import Index, SegmentEntry
from .segment import Segment

__all__ = ["LostSegment", "lost_between", "lost_entry"]


@dataclass(frozen=True)
class LostSegment:
    """Frames whose tokens are gone.

    Attributes:
        pts: time of each frame in ticks, strictly increasing; exact or evenly spread.
        end_pts: first tick after the last one, as Segment has it.
        error: why they are lost.
    """

    pts: tuple[int, ...]
    end_pts: int
    error: BitstreamError

    @property
    def first_pts(self) -> int:
        """Time of the first frame."""
        return self.pts[0]

    @property
    def frame_count(self) -> int:
        """Number of frames."""
        return len(self.pts)


def lost_entry(
    entry: SegmentEntry, error: BitstreamError, header: Header,
    problems: Sequence[BitstreamError] = (),
) -> LostSegment:
    """A segment that the index lists and that `error`, or one of `problems`, keeps from use."""
    for fault in (error, *problems):
        if (found := _salvage(fault, header)) and _is_listed(found, entry):
            return LostSegment(found.pts, found.end_pts, fault)
    pts = _spread(entry.first_pts, entry.end_pts, entry.frame_count, _step(header))
    return LostSegment(pts, entry.end_pts, error)


def lost_between(
    before: int | None, after: int | None, listed: Index | None,
    problems: Sequence[BitstreamError], header: Header,
) -> list[LostSegment]:
    """What is missing between two whole segments.

    Args:
        before: end of the whole segment before, None at the beginning of the file.
        after: first pts of the next whole one, None at the end of the file.
        listed: the file's INDX where it could be read.
        problems: the damage that lies between; nothing is lost where there was none.
        header: of the file.

    Returns an empty list too where nothing tells how much is missing: at the end of a cut file, or
    for a gap of more frames than one segment may have.
    """
    if not problems:
        return []
    if listed is not None:
        return [
            lost_entry(entry, problems[0], header, problems) for entry in listed.segments
            if (before is None or entry.first_pts >= before)
            and (after is None or entry.first_pts < after)
        ]  # fmt: skip
    return _chain(before, after, problems, header) or _even(before, after, problems[0], header)


def _salvage(error: BitstreamError, header: Header) -> Segment | None:
    """What a damaged SEGM chunk says of its times; to be held against a witness before use."""
    if not isinstance(error, ChunkCrcError) or error.tag != b"SEGM":
        return None
    try:
        return Segment.parse(error.payload, header)
    except BitstreamError:
        return None


def _is_listed(segment: Segment, entry: SegmentEntry) -> bool:
    found = (segment.first_pts, segment.end_pts, segment.frame_count)
    return found == (entry.first_pts, entry.end_pts, entry.frame_count)


def _chain(
    before: int | None, after: int | None, problems: Sequence[BitstreamError], header: Header
) -> list[LostSegment]:
    """Damaged chunks whose times join their neighbours exactly; empty where they do not.

    At the end of the file joining the whole segment before has to do.
    """
    if before is None and after is None:
        return []
    out: list[LostSegment] = []
    for problem in problems:
        if isinstance(problem, ChunkCrcError) and problem.tag != b"SEGM":
            continue  # a whole chunk, but no frames
        found = _salvage(problem, header)
        if found is None or found.frame_count > header.keyint:
            return []
        if before is not None and found.first_pts != before:
            return []
        out.append(LostSegment(found.pts, found.end_pts, problem))
        before = found.end_pts
    return out if after is None or before == after else []


def _even(
    before: int | None, after: int | None, error: BitstreamError, header: Header
) -> list[LostSegment]:
    """A gap filled at the file's frame rate; a lost beginning is taken to have begun near 0."""
    if after is None:
        return []
    step = _step(header)
    count = int(after / step) if before is None else round((after - before) / step)
    if not 1 <= count <= MAX_SEGMENT_FRAMES:
        return []
    first = after - round(count * step) if before is None else before
    return [LostSegment(_spread(first, after, count, step), after, error)]


def _step(header: Header) -> Fraction:
    """Average ticks from frame to frame."""
    return Fraction(header.fps_den, header.fps_num) / Fraction(
        header.time_base_num, header.time_base_den
    )


def _spread(first: int, end: int, count: int, step: Fraction) -> tuple[int, ...]:
    """Evenly spread times; `end` is that of the last frame where its duration is unknown."""
    span = end - first
    steps = count - 1 if abs(span - step * (count - 1)) < abs(span - step * count) else count
    span = max(span, steps)  # times increase, whatever a damaged file says
    return tuple(first + i * span // max(1, steps) for i in range(count))
