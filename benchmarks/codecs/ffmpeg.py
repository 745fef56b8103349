"""The ffmpeg binary: where it is, what it has, and what the anchors' commands have in common."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmarks.codecs.base import ANCHOR_KEYINT, Codec
from nvcodec.errors import UsageError

REMEDY = "pip install 'imageio-ffmpeg>=0.6', or name another ffmpeg with --ffmpeg"
#: Where 4:2:0 chroma samples lie in masters and decodes: as HEVC and H.264 have it unless told
#: otherwise. Some decoders leave it open, and a reader's other guess shifts chroma by half a pixel.
CHROMA_LOCATION = "left"
#: Every command: quiet, over existing files, and an error instead of concealed damage.
QUIET = ("-hide_banner", "-nostdin", "-v", "error", "-xerror", "-y")


def find_ffmpeg(given: str | None = None) -> str:
    """Path of ffmpeg: `given`, else the one of imageio-ffmpeg, else the one on PATH."""
    if given:
        found = shutil.which(given)
        if not found:
            raise UsageError(f"{given}: no such program", REMEDY)
        return found
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        found = shutil.which("ffmpeg")
    if not found:
        raise UsageError("there is no ffmpeg here", REMEDY)
    return found


def ask(ffmpeg: str, *arguments: str) -> str:
    """What ffmpeg prints, both streams; UsageError where it cannot be run at all."""
    try:
        done = subprocess.run([ffmpeg, "-hide_banner", *arguments], capture_output=True,
                              text=True, errors="replace", stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        raise UsageError(f"{ffmpeg}: cannot be run ({error.strerror})", REMEDY) from error
    return done.stdout + done.stderr


@lru_cache(maxsize=8)
def ffmpeg_version(ffmpeg: str) -> str:
    """Such as "n9.0.2-17-g2a571b6068"."""
    found = re.match(r"ffmpeg version (\S+)", ask(ffmpeg, "-version"))
    if not found:
        raise UsageError(f"{ffmpeg}: is not ffmpeg", REMEDY)
    return found[1]


@lru_cache(maxsize=8)
def has_vmaf(ffmpeg: str) -> bool:
    """Whether the binary has the libvmaf filter."""
    return bool(re.search(r"\slibvmaf\s", ask(ffmpeg, "-filters")))


@lru_cache(maxsize=32)
def library_version(ffmpeg: str, encoder: str, pattern: str) -> str:
    """The encoder library's own version, from what it says when it codes one small frame."""
    if not re.search(rf"\s{re.escape(encoder)}\s", ask(ffmpeg, "-encoders")):
        raise UsageError(f"{ffmpeg} has no encoder {encoder}", REMEDY + ", or leave it out of "
                         "--codecs")
    said = ask(ffmpeg, "-f", "lavfi", "-i", "color=s=128x128:d=0.04", "-frames:v", "1",
               "-c:v", encoder, "-f", "null", "-")
    found = re.search(pattern, said)
    return found[1] if found else "unknown"


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

    def options(self, point: int) -> list[str]:
        """The encoder's own options for a rate point."""
        raise NotImplementedError

    def decode_argv(self, stream: Path, decoded: Path) -> list[str]:
        """The decoder's own samples: FFV1 for .mkv (bit depth and colour tags kept), else raw."""
        raw = decoded.suffix == ".y4m"
        kind = ["-strict", "-1"] if raw else ["-c:v", "ffv1", "-level", "3"]
        return [self.ffmpeg, *QUIET, "-threads", str(self.threads), "-i", str(stream),
                "-fps_mode", "passthrough", "-vf", f"setparams=chroma_location={CHROMA_LOCATION}",
                *kind, str(decoded)]
