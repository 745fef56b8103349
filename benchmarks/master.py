"""Clip -> master: 640x360, 4:2:0, 8 bits, BT.709 limited range, lossless, the start of every row.

Scaled by lanczos until both sides are covered, then cropped in the centre. A clip that already has
this size and colour keeps its samples. Masters are FFV1 in Matroska.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.cache import make_key
from benchmarks.clips import Clip
from benchmarks.ffmpeg import CHROMA_LOCATION, QUIET
from benchmarks.process import CommandError, Runner
from nvcodec.errors import InputError
from nvcodec.video.atomic import atomic_output
from nvcodec.video.reader import open_video

WIDTH, HEIGHT = 640, 360
#: Share of the promised frames below which a file counts as truncated; durations are rough.
LEAST_SHARE = 0.95
_TAGS = ("setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709:"
         f"chroma_location={CHROMA_LOCATION}")


@dataclass(frozen=True)
class Master:
    """A lossless clip ready for coding.

    Attributes:
        path: of the .mkv file.
        frames: in it.
        fps: as a fraction, such as "30000/1001".
        pixels_sha256: of its decoded RGB frames: the same pixels are the same master.
    """

    path: Path
    frames: int
    fps: str
    pixels_sha256: str


def filters(clip: Clip) -> str:
    """The filter chain from the clip's samples to the master's."""
    source = "" if clip.matrix is None else (
        f":in_color_matrix={clip.matrix}:in_range={'pc' if clip.full_range else 'tv'}")
    # Raw video says nothing of where its chroma samples lie.
    first = f"setparams=chroma_location={CHROMA_LOCATION}," if clip.is_raw else ""
    return (f"{first}scale={WIDTH}:{HEIGHT}:force_original_aspect_ratio=increase"
            f":flags=lanczos+accurate_rnd+full_chroma_int{source}"
            f":out_color_matrix=bt709:out_range=tv:out_chroma_loc={CHROMA_LOCATION},"
            f"crop={WIDTH}:{HEIGHT},setsar=1,format=yuv420p,{_TAGS}")


def master_argv(ffmpeg: str, clip: Clip, target: Path, frames: int) -> list[str]:
    """The command that makes a master of the first `frames` frames (0: all)."""
    limit = ["-frames:v", str(frames)] if frames else []
    return [ffmpeg, *QUIET, *clip.input_options, "-i", str(clip.path), "-map", "0:v:0", *limit,
            "-fps_mode", "passthrough", "-vf", filters(clip), "-c:v", "ffv1", "-level", "3",
            "-f", "matroska", str(target)]


def make_master(runner: Runner, ffmpeg: str, clip: Clip, folder: Path, frames: int) -> Master:
    """The clip's master below `folder`, made once. InputError where the clip is damaged."""
    recipe = make_key(clip=clip.sha256, frames=frames, filters=filters(clip))
    target = folder / f"{clip.name}-{recipe}.mkv"
    notes = target.with_suffix(".json")
    if target.exists() and notes.exists():
        return Master(target, **json.loads(notes.read_text()))
    try:
        with atomic_output(target, force=True) as partial:
            runner.run(master_argv(ffmpeg, clip, partial, frames))
            count, digest = _count(partial)
            _check_whole(clip, count, frames)
    except CommandError as error:
        raise InputError(f"{clip.path}: damaged or truncated ({error.said})",
                         "copy or download it again, or leave it out") from error
    master = Master(target, count, str(clip.fps), digest)
    facts = asdict(master)
    del facts["path"]
    notes.write_text(json.dumps(facts))
    return master


def _count(path: Path) -> tuple[int, str]:
    """Frames of a master and the SHA-256 of their RGB pixels."""
    digest, count = hashlib.sha256(), 0
    with open_video(path) as video:
        for frame in video.frames():
            digest.update(frame.rgb.tobytes())
            count += 1
    return count, digest.hexdigest()


def _check_whole(clip: Clip, count: int, limit: int) -> None:
    wanted = min(clip.frames, limit) if clip.frames and limit else clip.frames
    if wanted and count < LEAST_SHARE * wanted - 1:
        raise InputError(f"{clip.path}: truncated ({count} of {wanted} frames can be decoded)",
                         "copy or download it again, or leave it out")
