"""Display matrices: how stored pixels must be turned and mirrored before they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from numpy.typing import NDArray

__all__ = ["UPRIGHT", "Orientation", "orientation_of"]


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways a picture can lie: transpose first, then flip.

    Attributes:
        transpose: swap rows and columns.
        flip_x: then mirror left-right.
        flip_y: then mirror top-bottom.
    """

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @property
    def mirrored(self) -> bool:
        """Whether the stored picture is a mirror image, which no rotation alone would mend."""
        return self.transpose ^ self.flip_x ^ self.flip_y

    @property
    def rotation(self) -> int:
        """Clockwise degrees (0, 90, 180, 270) to turn the stored picture, after mirroring it
        left-right if `mirrored`."""
        if self.transpose:
            return 90 if self.flip_x else 270
        return 180 if self.flip_y else 0

    def apply(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Stored pixels [h, w, 3] -> upright pixels, [w, h, 3] if transposed; contiguous uint8."""
        out = rgb.transpose(1, 0, 2) if self.transpose else rgb
        if self.flip_x:
            out = out[:, ::-1]
        if self.flip_y:
            out = out[::-1]
        return np.ascontiguousarray(out)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Stored (width, height) -> upright (width, height)."""
        return (height, width) if self.transpose else (width, height)

    def aspect(self, sample_aspect_ratio: Fraction) -> Fraction:
        """Sample aspect ratio (width / height of a pixel) after turning."""
        return 1 / sample_aspect_ratio if self.transpose else sample_aspect_ratio


UPRIGHT = Orientation()


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """Read a decoded frame's display matrix; angles between right angles go to the nearest."""
    data = next((d for d in _side_data(frame) if d.type == SideDataType.DISPLAYMATRIX), None)
    if data is None:
        return UPRIGHT
    matrix = np.frombuffer(bytes(data), dtype=np.int32)
    if matrix.size < 9:
        return UPRIGHT
    # Row vectors: x' = a x + c y, y' = b x + d y.
    a, b, c, d = (int(matrix[i]) for i in (0, 1, 3, 4))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)


def _side_data(frame: av.VideoFrame) -> list[Any]:
    """The frame's side data, whatever else is among it.

    PyAV raises on kinds that its list lacks, among them the EXIF of photographs and the view
    numbers of stereo video, even when only the display matrix is wanted. Its list is an Enum: once
    that has happened, unknown kinds get members of their own.
    """
    try:
        return list(cast(Any, frame.side_data))
    except ValueError:
        setattr(SideDataType, "_missing_", classmethod(_unknown_kind))  # noqa: B010 (typed final)
        return list(cast(Any, frame.side_data))


def _unknown_kind(cls: type[Any], value: object) -> Any:
    member = object.__new__(cls)
    member._name_, member._value_ = f"UNKNOWN_{value}", value
    return member
