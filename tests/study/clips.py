"""Synthetic clips for the tests of the rater study."""

from __future__ import annotations

from pathlib import Path

from rater_study import media

#: Method names that would stand out in any response.
METHODS = ("zebracodec@0.04", "zebracodec@0.01", "walrusvvc@0.02")
SECONDS, RATE = 0.8, 25


def make_clip(target: Path, source: str, crf: int, frames: int = round(SECONDS * RATE),
              size: str = "320x180") -> Path:
    """A synthetic clip, lossless for crf 0."""
    target.parent.mkdir(parents=True, exist_ok=True)
    media.run([media.find_ffmpeg(), "-v", "error", "-y", "-f", "lavfi", "-i",
               f"{source}=s={size}:r={RATE}", "-frames:v", str(frames), "-c:v", "libx264",
               "-preset", "ultrafast", "-crf", str(crf), str(target)], target)
    return target
