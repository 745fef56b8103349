"""Frame stream <-> closed segments (groups of pictures). Plain bookkeeping, no networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")

#: Most frames in a segment where none is named. The first latent frame of each is dear: shots that
#: stand still want few segments; seeking, and a loss, want short ones.
DEFAULT_KEYINT = 161
#: Whatever begins earlier, a segment begins after so many times the most frames in one, so that
#: parts of a source can be coded apart.
BLOCK = 2
#: A shot of fewer frames gets no segment of its own: it would cost more bits than it mends.
SHORTEST = 5


@dataclass(frozen=True)
class Piece(Generic[T]):
    """Consecutive frames of one segment.

    Attributes:
        frames: at least one.
        first: the segment begins here.
        last: the segment ends here.
    """

    frames: list[T]
    first: bool
    last: bool


class Cutter(Generic[T]):
    """A stream that is taken segment by segment, and knows what comes next.

    A segment ends after `keyint` items, before one that `begins` says to begin a shot, where it has
    SHORTEST items by then, and at each multiple of BLOCK * keyint items.
    """

    def __init__(self, items: Iterable[T], keyint: int, begins: Callable[[T], bool]) -> None:
        self._items = iter(items)
        self._next = list(islice(self._items, 1))
        self._keyint, self._begins = keyint, begins
        #: Items taken so far.
        self.taken = 0

    def __bool__(self) -> bool:
        """Whether there is more."""
        return bool(self._next)

    @property
    def next(self) -> T:
        """The item to come; IndexError where there is none."""
        return self._next[0]

    def segment(self) -> Iterator[T]:
        """The next segment's items, to be gone through to their end."""
        start = self.taken
        while self and not self._ends(self.taken - start):
            item = self._next.pop()
            self._next.extend(islice(self._items, 1))
            self.taken += 1
            yield item

    def _ends(self, length: int) -> bool:
        if not length:
            return False
        return (length == self._keyint or self.taken % (BLOCK * self._keyint) == 0
                or (length >= SHORTEST and self._begins(self.next)))


def pieces(frames: Iterable[T], keyint: int, step: int) -> Iterator[Piece[T]]:
    """Cut a stream into segments of `keyint` frames and those into pieces.

    The first piece of a segment has 1 + step frames, later ones `step`; the last may have fewer.
    Never holds more than 1 + step frames and one to look ahead.
    """
    held: list[T] = []
    taken = 0
    for frame in frames:
        full = step + 1 if taken == len(held) else step
        if held and (len(held) == full or taken == keyint):
            ends = taken == keyint
            yield Piece(held, taken == len(held), ends)
            taken = 0 if ends else taken
            held = []
        held.append(frame)
        taken += 1
    if held:
        yield Piece(held, taken == len(held), True)


def pad_piece(frames: list[T], first: bool, stride: int) -> list[T]:
    """Repeat the last frame until there are 1 + n * stride (first piece) or n * stride frames."""
    short = -(len(frames) - first) % stride
    return frames + frames[-1:] * short


def latent_pieces(count: int, step: int) -> Iterator[tuple[int, int]]:
    """Ranges [start, stop) over `count` latent frames: the first 1 + step long, later ones step."""
    start, stop = 0, min(count, 1 + step)
    while start < count:
        yield start, stop
        start, stop = stop, min(count, stop + step)


def piece_frames(width: int, height: int) -> int:
    """Frames that go through the network at once: more are faster, fewer keep memory down."""
    return 8 if width * height <= 1280 * 720 else 4
