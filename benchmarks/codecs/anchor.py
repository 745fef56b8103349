"""What the anchors' commands have in common: encoders inside ffmpeg."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.codecs.base import ANCHOR_KEYINT, Codec
from benchmarks.ffmpeg import CHROMA_LOCATION, QUIET, ffmpeg_version, library_version


@dataclass(frozen=True)
class Anchor(Codec):
    """An encoder inside ffmpeg, in its random-access configuration.

    Attributes:
        ffmpeg: path of the binary.
        keyint: longest distance between random access points, in frames.
    """

    ffmpeg: str = "ffmpeg"
    keyint: int = ANCHOR_KEYINT

    encoder = ""
    preset = ""
    #: ffmpeg's muxer for the bare elementary stream: no container bytes are counted.
    muxer = ""
    version_pattern = ""
    gop = ""

    @property
    def settings(self) -> dict[str, Any]:
        """Preset, GOP structure, threads."""
        return {"encoder": self.encoder, "preset": self.preset, "keyint": self.keyint,
                "gop": self.gop, "threads": self.threads}

    def version(self) -> str:
        """The library's version and ffmpeg's."""
        library = library_version(self.ffmpeg, self.encoder, self.version_pattern)
        return f"{self.encoder} {library} (ffmpeg {ffmpeg_version(self.ffmpeg)})"

    def encode_argv(self, master: Path, stream: Path, point: int) -> list[str]:
        """Every frame of the master, in its own pixel format."""
        return [self.ffmpeg, *QUIET, "-i", str(master), "-an", "-fps_mode", "passthrough",
                "-c:v", self.encoder, "-preset", self.preset, *self.options(point),
                "-f", self.muxer, str(stream)]

    @abstractmethod
    def options(self, point: int) -> list[str]:
        """The encoder's own options for a rate point."""

    def decode_argv(self, stream: Path, decoded: Path) -> list[str]:
        """The decoder's own samples: FFV1 for .mkv (bit depth and colour tags kept), else raw."""
        raw = decoded.suffix == ".y4m"
        kind = ["-strict", "-1"] if raw else ["-c:v", "ffv1", "-level", "3"]
        return [self.ffmpeg, *QUIET, "-threads", str(self.threads), "-i", str(stream),
                "-fps_mode", "passthrough", "-vf", f"setparams=chroma_location={CHROMA_LOCATION}",
                *kind, str(decoded)]
