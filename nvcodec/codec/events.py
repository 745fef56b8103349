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
        spacing: of each segment, frames from one coded frame to the next.
        background_bytes: what stands still told once more, of all segments.
        seconds: the search for a wished rate included, start-up of the model not.
        wanted_bpp: what the wished rate or size comes to, None where none was wished.
        wanted_quality: what was wished for, as {"lpips": 0.15}, None where it was no quality.
        sampled_quality: the same of the samples that qp was chosen by.
        passes: frames that went through the network over the source's frames; 1 without a wish.
        precision: that the network computed in, "float32" or "int8".
        partial: it was stopped before the source's end.
        reach: lowest and highest bpp measured on this source, where the wish lay outside; of a
            quality the best and the worst.
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
    spacing: tuple[float, ...]
    seconds: float
    background_bytes: int = 0
    wanted_bpp: float | None = None
    wanted_quality: dict[str, float] | None = None
    sampled_quality: dict[str, float] | None = None
    passes: float = 1.0
    reach: tuple[float, float] | None = None
    verified: bool = False
    precision: str = "float32"
    partial: bool = False
    warnings: list[str] = field(default_factory=list)

    @property
    def fps(self) -> float:
        """Frames encoded each second, start-up of the model excluded."""
        return self.frames / self.seconds if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self) | {"fps": round(self.fps, 2)}


@dataclass(frozen=True)
class Gap:
    """Consecutive frames that a damaged file has lost.

    Attributes:
        first, frames: number of the first in the whole video, from 0, and how many.
        start, seconds: when it is shown, from the video's beginning, and for how long all are.
        problem: why they are lost.
        concealed: they were filled in; otherwise they are left out.
    """

    first: int
    frames: int
    start: float
    seconds: float
    problem: str
    concealed: bool = False

    @property
    def where(self) -> str:
        """As in "frames 5-9 (0.167-0.333 s)"."""
        last = self.first + self.frames - 1
        numbers = f"frame {last}" if self.frames == 1 else f"frames {self.first}-{last}"
        return f"{numbers} ({self.start:.3f}-{self.start + self.seconds:.3f} s)"

    def __str__(self) -> str:
        return f"{self.where}: {'concealed' if self.concealed else 'left out'}, {self.problem}"


@dataclass(frozen=True)
class DecodeReport:
    """Figures of a finished decode.

    Attributes (those that do not speak for themselves):
        bytes_read: of the source; a part of a file is had without the segments beside it.
        concealed: of `frames`, those that were filled in.
        gaps: what was lost, in order.
        precision: that the network computed in, "float32" or "int8".
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
    gaps: list[Gap] = field(default_factory=list)
    precision: str = "float32"
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
