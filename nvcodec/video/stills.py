"""One picture to one PNG file."""

from __future__ import annotations

import os
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from nvcodec.video.writer import VideoWriter

__all__ = ["write_png"]


def write_png(path: str | os.PathLike[str], rgb: NDArray[np.uint8], force: bool = False) -> None:
    """Write uint8 RGB [H, W, 3] to a path that ends in .png.

    Raises:
        OutputError: the target exists without `force`, or cannot be written.
        UsageError: the path does not end in .png.
    """
    height, width, _ = rgb.shape
    with VideoWriter(path, width, height, Fraction(25), Fraction(1, 25), force=force) as out:
        out.write(rgb, 0, 1)
