"""Crops of a few frames of every decode, kept losslessly for the page's side-by-side pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nvcodec.video.stills import write_png

#: Crop in pixels, from the centre, shown at its own size.
WIDTH, HEIGHT = 320, 240


def chosen_frames(frames: int) -> list[int]:
    """Indices of the frames that are kept: early, middle and late in the clip."""
    return sorted({frames // 6, frames // 2, frames * 5 // 6})


def crop(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The centre of a frame, uint8 [H, W, 3]; the whole frame where it is smaller."""
    height, width, _ = rgb.shape
    top, left = max(0, (height - HEIGHT) // 2), max(0, (width - WIDTH) // 2)
    return np.ascontiguousarray(rgb[top:top + HEIGHT, left:left + WIDTH])


def still_path(folder: Path, owner: str, frame: int) -> Path:
    """Where a crop lies; `owner` is a row's key, or "source-" and the master's hash."""
    return folder / f"{owner}-{frame:05d}.png"


def source_owner(pixels_sha256: str) -> str:
    """The owner's name of a master's own crops."""
    return f"source-{pixels_sha256[:24]}"


def keep(folder: Path, owner: str, frame: int, rgb: NDArray[np.uint8]) -> None:
    """Write a crop, unless it is there."""
    path = still_path(folder, owner, frame)
    if not path.exists():
        write_png(path, crop(rgb), force=True)
