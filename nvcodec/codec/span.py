"""A part of a video, as ticks: which segments hold it and which frames are inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import bitstream
from nvcodec.codec.plain import time_base_of
from nvcodec.errors import UsageError

#: After every time that a file can hold.
END = 2**63


class Timed(Protocol):
    """Some frames in a row."""

    @property
    def first_pts(self) -> int:
        """Time of the first frame, in ticks."""

    @property
    def end_pts(self) -> int:
        """First tick after the last frame, or that frame's own where its duration is unknown."""


def check_times(start: float | None, duration: float | None) -> None:
    """Refuse what is no part of a video; UsageError."""
    if start is not None and not 0 <= start < float("inf"):
        raise UsageError(f"start {start} is not a time", "give seconds from the beginning")
    if duration is not None and not 0 < duration < float("inf"):
        raise UsageError(f"duration {duration} is not a time", "give seconds above 0")


@dataclass(frozen=True)
class Span:
    """The frames with first <= pts < last, in ticks of the file's time base."""

    first: int
    last: int

    @classmethod
    def of(cls, header: bitstream.Header, origin: int, start: float | None,
           duration: float | None) -> Span:
        """From seconds after the first frame, which is at tick `origin`; to the nearest tick."""
        base = time_base_of(header)
        first = origin + round(Fraction(start or 0) / base)
        if duration is None:
            return cls(first, END)
        return cls(first, first + max(1, round(Fraction(duration) / base)))

    def __contains__(self, pts: int) -> bool:
        return self.first <= pts < self.last

    def choose(self, segments: Sequence[Timed]) -> list[int]:
        """Numbers of the segments that may hold frames of the span, in order."""
        return [i for i, s in enumerate(segments)
                if s.first_pts < self.last and self._reaches(s, segments[i + 1:i + 2])]

    def _reaches(self, segment: Timed, following: Sequence[Timed]) -> bool:
        """Whether a segment's last frame is not before the span.

        A segment ends one frame after its last frame's time, or at it where that frame's duration
        is unknown; but then the next segment begins later.
        """
        if segment.end_pts != self.first:
            return segment.end_pts > self.first
        return not following or following[0].first_pts != self.first


EVERYTHING = Span(-END, END)
