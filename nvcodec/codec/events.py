"""What a running encode or decode tells, and what it returns at the end. Plain data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Attributes:
        frames: done so far.  total: expected in all, None where unknown.
        bpp: bits per pixel so far (encoding), None where it means nothing.
        stage: what is being done, one word or two.
    """

    frames: int
    total: int | None
    bpp: float | None = None
    stage: str = ""


Listener = Callable[[Progress], None]


def ignore(_: Progress) -> None:
    """A listener that does nothing."""


@dataclass(frozen=True)
class EncodeReport:
    """Figures of a finished encode; bpp is of everything but audio over the source's pixels.

    Attributes (those that do not speak for themselves):
        qp: of each segment, rounded as the file states it.
        seconds: the search for a wished rate included, start-up of the model not.
        wanted_bpp: what the wished rate or size comes to, None where none was wished.
        passes: frames that went through the network over the source's frames; 1 without a wish.
        reach: lowest and highest bpp measured on this source, where the wish lay outside.
    """

    source: str
    target: str
    model: str
    coder: str
    width: int
    height: int
    frames: int
    segments: int
    file_bytes: int
    audio_bytes: int
    bpp: float
    qp: tuple[int, ...]
    seconds: float
    wanted_bpp: float | None = None
    passes: float = 1.0
    reach: tuple[float, float] | None = None
    verified: bool = False
    warnings: list[str] = field(default_factory=list)

    @property
    def fps(self) -> float:
        """Frames encoded each second, start-up of the model excluded."""
        return self.frames / self.seconds if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self) | {"fps": round(self.fps, 2)}


@dataclass(frozen=True)
class DecodeReport:
    """Figures of a finished decode.

    Attributes (those that do not speak for themselves):
        bytes_read: of the source; a part of a file is had without the segments beside it.
        concealed: frames whose segment was damaged.
    """

    source: str
    target: str
    model: str
    width: int
    height: int
    frames: int
    seconds: float
    bytes_read: int = 0
    concealed: int = 0
    warnings: list[str] = field(default_factory=list)

    @property
    def fps(self) -> float:
        """Frames decoded each second, start-up of the model excluded."""
        return self.frames / self.seconds if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self) | {"fps": round(self.fps, 2)}


@dataclass(frozen=True)
class TokensReport:
    """Figures of a finished conversion between a `.mvt` file and a token file.

    Attributes (those that do not speak for themselves):
        tokens: how many, in all segments.
        bytes: size of the target.
    """

    source: str
    target: str
    segments: int
    frames: int
    tokens: int
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)
