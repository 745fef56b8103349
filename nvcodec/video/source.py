"""Opening inputs safely: which paths become which FFmpeg demuxer, and what its errors mean.

Local files only: every path is passed with the `file:` protocol and a protocol whitelist, so that
neither a colon in a name nor a playlist inside a file makes FFmpeg reach for the network.
"""

from __future__ import annotations

import os
import re
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition

from nvcodec.errors import InputError
from nvcodec.video.suffixes import IMAGE_SUFFIXES

__all__ = [
    "IMAGE_FPS",
    "has_number",
    "is_image_container",
    "is_pattern",
    "open_container",
    "pick_video",
]

IMAGE_FPS = Fraction(25)
_PATTERN = re.compile(r"%0?\d*d")
# FFmpeg "decodes" text files into pictures of text; nobody means that.
_TEXT_CODECS = {"ansi", "bintext", "xbin", "idf"}


def has_number(path: str) -> bool:
    """Whether the file's name has a place for a number, as in `frame_%05d.png`."""
    return bool(_PATTERN.search(Path(path).name))


def is_pattern(path: str) -> bool:
    """Whether `path` names numbered images rather than a file of that very name."""
    return has_number(path) and not Path(path).exists()


def is_image_container(container: InputContainer) -> bool:
    """Whether this is one still image."""
    name = container.format.name
    return name.endswith("_pipe") and name != "image2pipe"


def open_container(path: str) -> InputContainer:
    """Open `path`, or standard input for "-".

    Raises:
        InputError: missing, a folder, empty, unreadable, or no format that FFmpeg knows.
    """
    if path == "-":
        return _open("pipe:0", "standard input", {"protocol_whitelist": "pipe"}, None)
    options = {"protocol_whitelist": "file"}
    if is_pattern(path):
        options["framerate"] = str(IMAGE_FPS)
        return _open(f"file:{path}", path, options, "image2")
    _check_file(Path(path))
    forced = None
    if has_number(path) and Path(path).suffix.lower() in IMAGE_SUFFIXES:
        # A real file whose name looks like a pattern: take it literally.
        options["pattern_type"] = "none"
        forced = "image2"
    return _open(f"file:{path}", path, options, forced)


def _check_file(path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path}: no such file", "check the path")
    if path.is_dir():
        raise InputError(
            f"{path}: is a folder",
            "name a video file, or numbered images as in folder/%05d.png",
        )
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: cannot be read", "check its permissions")
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty", "copy or download it again")


def _open(url: str, name: str, options: dict[str, str], forced: str | None) -> InputContainer:
    try:
        return av.open(
            url, "r", format=forced, container_options=options, metadata_errors="replace"
        )
    except (av.FFmpegError, ValueError, OSError) as error:
        remedy = "check that it is a whole video file (ffprobe names its streams)"
        if name == "standard input":
            remedy = "pipe a format that needs no seeking, such as y4m, mkv or mpegts"
        raise InputError(f"{name}: not a readable video ({reason(error)})", remedy) from error


def reason(error: BaseException) -> str:
    """FFmpeg's own words for an error, without the path and the numbers."""
    text = getattr(error, "strerror", None) or str(error)
    return str(text).split(": 'file:")[0].splitlines()[0] if text else type(error).__name__


def pick_video(container: InputContainer, name: str) -> av.VideoStream:
    """The first real video stream: not the cover picture of a song, not rendered text.

    Raises:
        InputError: there is none, or no decoder for it.
    """
    cover = False
    for stream in container.streams.video:
        if stream.disposition & Disposition.attached_pic:
            cover = True
        elif stream.codec_context is None:
            raise InputError(
                f"{name}: no decoder for its video stream", "convert it to H.264 in mp4 first"
            )
        elif stream.codec_context.codec.canonical_name not in _TEXT_CODECS:
            return stream
    what = "only audio and a cover picture" if cover else "no video stream"
    if container.streams.audio and not cover:
        what = "only audio, no video stream"
    raise InputError(f"{name}: {what}", "name a file that holds video")
