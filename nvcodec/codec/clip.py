"""Frames of a part of a source that can be gone through more than once, in bounded memory."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice

from nvcodec.errors import InputError
from nvcodec.video.info import Frame
from nvcodec.video.reader import open_video

#: Raw frames that are kept for a second look, in bytes, for all that are kept at once: two default
#: segments of 768x576.
KEPT_BYTES = 448 << 20


@dataclass(frozen=True)
class Window:
    """Part of a file, decoded anew each time it is gone through.

    Attributes:
        path: the file (not standard input).
        start: first frame, in seconds after the file's first.
        count: frames, fewer where the file ends.
    """

    path: str
    start: float
    count: int

    def __iter__(self) -> Generator[Frame, None, None]:
        with open_video(self.path) as video:
            yield from islice(video.frames(self.start), self.count)


class Clip:
    """Frames that come from a stream once, and later from memory or, through `again`, elsewhere.

    Args:
        frames: the stream; gone through the first time, which has to be to the end.
        keep: hold the frames in memory.
        again: what to go through later where they are not held.
    """

    def __init__(self, frames: Iterable[Frame], keep: bool = False,
                 again: Window | None = None) -> None:
        self._frames: Iterable[Frame] | None = frames
        self._keep, self._again = keep, again
        self._kept: list[Frame] = []
        self._count = 0

    @property
    def is_lasting(self) -> bool:
        """Whether it can be gone through again."""
        return self._keep or self._again is not None

    def read(self) -> None:
        """Go through the stream now; frames that are not kept are lost."""
        for _ in self:
            pass

    def __iter__(self) -> Iterator[Frame]:
        if self._frames is None:
            yield from islice(self._kept if self._keep else self._again or (), self._count)
            return
        frames, self._frames = self._frames, None
        for frame in frames:
            self._count += 1
            if self._keep:
                self._kept.append(frame)
            yield frame


def fits(width: int, height: int, frames: int) -> bool:
    """Whether so many frames may be kept."""
    return 3 * width * height * frames <= KEPT_BYTES


def load(windows: Iterable[Window], keep: bool) -> list[Iterable[Frame]]:
    """The windows that hold frames, in memory where `keep`; damage is left for others to find."""
    out: list[Iterable[Frame]] = []
    for window in windows:
        with suppress(InputError), closing(iter(window)) as frames:
            held = list(frames if keep else islice(frames, 1))
            out.append(held if keep else window)
    return out
