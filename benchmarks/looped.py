"""Long videos from short clips, for what depends on length alone."""

from __future__ import annotations

from pathlib import Path

from benchmarks.ffmpeg import QUIET
from benchmarks.process import Runner


def make_looped(runner: Runner, ffmpeg: str, clip: Path, target: Path, seconds: float,
                fps: float | None = None, size: tuple[int, int] | None = None) -> Path:
    """`clip` over and over for `seconds`, in H.264 at CRF 18, without sound.

    `fps` drops frames, and `size` (width, height) scales; None leaves the clip's own.
    """
    filters = [f"fps={fps:g}"] if fps else []
    if size:
        filters.append(f"scale={size[0]}:{size[1]},setsar=1")
    runner.run([ffmpeg, *QUIET, "-stream_loop", "-1", "-i", str(clip), "-t", f"{seconds:g}",
                *(["-vf", ",".join(filters)] if filters else []), "-an", "-c:v", "libx264",
                "-crf", "18", "-preset", "veryfast", "-pix_fmt", "yuv420p", str(target)])
    return target
