"""What every codec adapter offers: argument lists, rate points, settings and versions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from nvcodec.cores import cpu_count

#: Longest distance between random access points of the anchors, in frames: four of libvvenc's
#: 32-frame groups, and no shorter than nvcodec's segments here, of 97.
ANCHOR_KEYINT = 128


@dataclass(frozen=True)
class Codec(ABC):
    """One way of coding a master.

    Attributes:
        threads: that encoder and decoder may use.
    """

    threads: int = field(default_factory=cpu_count)

    #: Short name on the command line and in rows.
    name = ""
    #: Name in tables and plots.
    label = ""
    #: What a rate point is: "crf" or "qp".
    scale = ""
    #: Suffix of the coded file.
    suffix = ""
    #: Rate points of the full plan and of --quick: best quality first.
    points: ClassVar[tuple[int, ...]] = ()
    quick_points: ClassVar[tuple[int, ...]] = ()

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Everything that decides the bits besides the point: preset, GOP structure, threads."""

    @abstractmethod
    def version(self) -> str:
        """The tool's version; raises NvcodecError where the tool is missing."""

    @abstractmethod
    def encode_argv(self, master: Path, stream: Path, point: int) -> list[str]:
        """The command that codes `master` into `stream`; the stream holds video only."""

    @abstractmethod
    def decode_argv(self, stream: Path, decoded: Path) -> list[str]:
        """The command that decodes `stream` into a lossless (.mkv) or raw (.y4m) video."""

    def environment(self) -> dict[str, str]:
        """Variables that the commands need."""
        return {}

    def inner_seconds(self, stdout: str) -> float | None:
        """Seconds of the work alone, start-up left out, where the command tells them."""
        del stdout
        return None
