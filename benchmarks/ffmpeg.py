"""The ffmpeg binary: where it is and what it has. Imports no network library: the rater study
finds its ffmpeg here too."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import lru_cache

from nvcodec.errors import UsageError

INSTALL = "pip install 'imageio-ffmpeg>=0.6'"
#: Of the benchmark's commands, which have the option.
REMEDY = f"{INSTALL}, or name another ffmpeg with --ffmpeg"
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
        raise UsageError("there is no ffmpeg here", f"{INSTALL}, or put one on PATH")
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
