"""The SEGM chunk: one closed group of frames whose token payload decodes alone."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, pairwise

from .caps import MAX_PTS, MAX_QP, MAX_SEGMENT_FRAMES, MAX_SEGMENT_TOKENS, SPACINGS
from .errors import BadSegment, CapExceeded
from .fields import Cursor, pack_varint
from .header import Header

__all__ = ["Segment"]

_FIXED = struct.Struct("<qIBB")
_FLAG_DELTAS = 1
_SPACING_SHIFT, _SPACING_MASK = 1, 3
_FLAG_BACKGROUND = 8


@dataclass(frozen=True)
class Segment:
    """Frames with their timestamps and one token payload.

    Attributes:
        pts: presentation time of every frame in time-base ticks, strictly increasing, within
            -2^62..2^62; 1..65536 of them.
        payload: entropy-coded tokens as `encode_tokens` returns them.
        qp: quality step 0 (best)..63.
        last_duration: ticks that the last frame is shown, 0 where unknown.
        spacing: the first, each spacing-th after it and the last frame are coded, 1, 2 or 4; those
            between are made from the coded ones beside them. 0.5: all frames are, and one picture
            between each two, which is not shown.
        background: what stands still, as `Background.pack` returns it; empty where there is none.

    Raises:
        BadSegment: a field is out of range.
    """

    pts: tuple[int, ...]
    payload: bytes
    qp: int = 0
    last_duration: int = 0
    spacing: float = 1
    background: bytes = b""

    def __post_init__(self) -> None:
        if not 1 <= len(self.pts) <= MAX_SEGMENT_FRAMES:
            raise _bad(f"{len(self.pts)} frames, allowed are 1..{MAX_SEGMENT_FRAMES}")
        if not 0 <= self.qp <= MAX_QP:
            raise _bad(f"qp is {self.qp}, allowed are 0..{MAX_QP}")
        if self.spacing not in SPACINGS:
            raise _bad(f"spacing is {self.spacing}, allowed are 1, 2, 4, 0.5")
        if self.last_duration < 0:
            raise _bad("the last frame's duration is negative")
        if any(later <= earlier for earlier, later in pairwise(self.pts)):
            raise _bad("timestamps do not increase")
        if self.pts[0] < -MAX_PTS or self.end_pts > MAX_PTS:
            raise _bad("timestamps are outside -2^62..2^62")

    @property
    def first_pts(self) -> int:
        """Timestamp of the first frame."""
        return self.pts[0]

    @property
    def end_pts(self) -> int:
        """First tick after the last frame (equals its timestamp where the duration is unknown)."""
        return self.pts[-1] + self.last_duration

    @property
    def frame_count(self) -> int:
        """Number of frames."""
        return len(self.pts)

    def pack(self) -> bytes:
        """Return the SEGM payload; equal steps are stored as one."""
        deltas = [later - earlier for earlier, later in pairwise(self.pts)]
        varied = len(set(deltas)) > 1
        flags = _FLAG_DELTAS * varied | SPACINGS.index(self.spacing) << _SPACING_SHIFT
        flags |= _FLAG_BACKGROUND * bool(self.background)
        fixed = _FIXED.pack(self.first_pts, self.frame_count, self.qp, flags)
        times = b"".join(map(pack_varint, deltas if varied else deltas[:1]))
        told = pack_varint(len(self.background)) + self.background if self.background else b""
        return fixed + pack_varint(self.last_duration) + times + told + self.payload

    @classmethod
    def parse(cls, payload: bytes, header: Header, base: int | None = None) -> Segment:
        """Read a SEGM payload of a stream with the given header.

        Raises:
            BadSegment: a field is out of range.
            CapExceeded: frames or tokens are above their caps.
        """
        cursor = Cursor(payload, BadSegment, "SEGM", base)
        first, count, qp, flags = _FIXED.unpack(cursor.take(_FIXED.size))
        spacing = SPACINGS[flags >> _SPACING_SHIFT & _SPACING_MASK]
        has_background = bool(flags & _FLAG_BACKGROUND)
        if flags > 15 or not header.allows(spacing) or has_background > header.backgrounds:
            raise cursor.fail(f"has unknown flags {flags:#04x}")
        if count < 1:
            raise cursor.fail("has no frames")
        if count > MAX_SEGMENT_FRAMES:
            raise _over(f"{count} frames", MAX_SEGMENT_FRAMES, base)
        latents, rows, columns = header.token_shape(count, spacing)
        if latents * rows * columns > MAX_SEGMENT_TOKENS:
            raise _over(f"{latents * rows * columns} tokens", MAX_SEGMENT_TOKENS, base)
        last_duration = cursor.varint()
        pts: Iterable[int]
        if flags & _FLAG_DELTAS:
            deltas = [cursor.varint() for _ in range(count - 1)]
            pts = accumulate(deltas, initial=first)
            if len(set(deltas)) < 2:
                raise cursor.fail("lists equal frame durations one by one")
        else:
            step = cursor.varint() if count > 1 else 1
            if step < 1:
                raise cursor.fail("has frames of no duration")
            pts = range(first, first + count * step, step)
        background = cursor.take(cursor.varint()) if has_background else b""
        if has_background and not background:
            raise cursor.fail("has a background of no bytes")
        try:
            return cls(tuple(pts), cursor.rest(), qp, last_duration, spacing, background)
        except BadSegment as error:
            error.offset = base
            raise


def _bad(message: str) -> BadSegment:
    return BadSegment(f"SEGM: {message}; get another copy or encode again")


def _over(what: str, cap: int, base: int | None) -> CapExceeded:
    return CapExceeded(f"SEGM: {what} are above the cap {cap}; get another copy of the file", base)
