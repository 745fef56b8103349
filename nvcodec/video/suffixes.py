"""Which files of a folder are taken for videos and pictures. A named file may have any suffix."""

from __future__ import annotations

__all__ = ["IMAGE_SUFFIXES", "VIDEO_SUFFIXES"]

VIDEO_SUFFIXES = frozenset({
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".y4m", ".ts", ".m2ts", ".mts", ".mpg",
    ".mpeg", ".mxf", ".wmv", ".flv", ".3gp", ".ogv", ".gif",
})
IMAGE_SUFFIXES = frozenset({
    ".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pnm",
})
