"""YUV <-> RGB by the matrix and range that the stream names, with accurate rounding.

The traps this module is built around, each of which costs 1-8 dB when missed:

- PyAV's `to_ndarray(format="rgb24")` and `VideoFrame.reformat` pass no matrix unless told to, and
  take untagged video for BT.601 limited whatever its size. Here matrix and range are always passed.
- swscale's fast paths round coarsely and skip chroma interpolation; `ACCURATE_RND`,
  `FULL_CHR_H_INT` and `FULL_CHR_H_INP` turn them off (about 380 conversions per second at 640x360).
- swscale takes every gray format for full range. Gray is converted with numpy instead.

Conventions for what streams leave unsaid:

- matrix: RGB formats need none; BT.709 if the stored picture is at least 1280 wide or 720 high,
  else BT.601. VP8 and WebP are BT.601 by definition.
- range: full for RGB, for the `yuvj` formats and for gray from still-image and lossless codecs;
  else limited.
- Transfer and primaries never change the pixels: RGB keeps those of the source, and they are
  written back as tags. PQ and HLG are refused, for 8-bit RGB would clip them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from nvcodec.errors import InputError

__all__ = [
    "UNTAGGED",
    "ColorTags",
    "RgbToYuv",
    "YuvToRgb",
    "check_supported",
    "merge",
    "resolve",
    "tags_of",
]

if int(av.__version__.split(".")[0]) < 18:
    # Measured with 17.1: pure red comes out 9 levels off, whatever matrix is asked for.
    raise ImportError(
        "PyAV before version 18 converts colours wrongly; run: pip install -U 'av>=18'"
    )

RGB, BT709, UNSPECIFIED, BT601_625, BT601_525, BT2020_NCL = 0, 1, 2, 5, 6, 9

MATRIX_NAMES = {
    0: "RGB", 1: "BT.709", 2: "unspecified", 4: "FCC", 5: "BT.601 (625)", 6: "BT.601 (525)",
    7: "SMPTE 240M", 8: "YCgCo", 9: "BT.2020", 10: "BT.2020 constant luminance", 14: "ICtCp",
}  # fmt: skip

# H.273 matrix code -> swscale's own numbering (SWS_CS_*).
_SWS_MATRIX = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}
_SWS_LIMITED, _SWS_FULL = 1, 2
_ACCURATE = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)
_HDR_TRANSFERS = {16: "PQ (SMPTE 2084)", 18: "HLG (ARIB STD-B67)"}
_BT601_CODECS = {"vp8", "webp"}
# Codecs whose untagged gray is limited, because their specifications say so.
_LIMITED_GRAY_CODECS = {
    "h264", "hevc", "vp9", "av1", "mpeg1video", "mpeg2video", "mpeg4", "vvc",
}  # fmt: skip
_GRAY_FORMATS = {
    "gray": 8, "gray9le": 9, "gray10le": 10, "gray12le": 12, "gray14le": 14, "gray16le": 16,
    "gray16be": 16,
}  # fmt: skip


@dataclass(frozen=True)
class ColorTags:
    """How numbers in a video mean colours, in the codes of ITU-T H.273 (as in H.264, mp4, FFmpeg).

    Attributes:
        matrix: YUV <-> RGB matrix: 0 RGB, 1 BT.709, 2 unspecified, 5 and 6 BT.601, 9 BT.2020.
        primaries: 2 is unspecified.
        transfer: 2 is unspecified.
        full_range: True for 0..255, False for 16..235, None for unspecified.
    """

    matrix: int = UNSPECIFIED
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    full_range: bool | None = None


UNTAGGED = ColorTags()


def tags_of(source: av.VideoFrame | av.VideoStream) -> ColorTags:
    """The tags of a decoded frame or of a stream, as they stand there."""
    ctx: Any = source.codec_context if isinstance(source, av.VideoStream) else source
    full_range = {1: False, 2: True}.get(int(ctx.color_range))
    return ColorTags(int(ctx.colorspace), int(ctx.color_primaries), int(ctx.color_trc), full_range)


def merge(first: ColorTags, second: ColorTags) -> ColorTags:
    """What `first` says, and where it says nothing, what `second` says."""
    return ColorTags(
        second.matrix if first.matrix == UNSPECIFIED else first.matrix,
        second.primaries if first.primaries == UNSPECIFIED else first.primaries,
        second.transfer if first.transfer == UNSPECIFIED else first.transfer,
        second.full_range if first.full_range is None else first.full_range,
    )


def resolve(tags: ColorTags, width: int, height: int, pix_fmt: str, codec: str = "") -> ColorTags:
    """Decide what `tags` leaves unsaid, by the conventions in the module's docstring.

    Args:
        tags: as read from the stream.
        width, height: of the stored picture, in pixels.
        pix_fmt: FFmpeg's name of the pixel format, e.g. "yuv420p10le".
        codec: FFmpeg's canonical codec name, e.g. "h264"; "" if there is none.

    Returns:
        Tags with a definite matrix and range.
    """
    if av.VideoFormat(pix_fmt).is_rgb or pix_fmt == "pal8":
        return replace(tags, matrix=RGB, full_range=True)
    matrix, full = tags.matrix, tags.full_range
    # An RGB matrix on a YUV format is a writer's mistake: treat it as unsaid. 3 is reserved.
    if matrix in (RGB, UNSPECIFIED, 3):
        large = (width >= 1280 or height >= 720) and codec not in _BT601_CODECS
        matrix = BT709 if large else BT601_525
    if pix_fmt.startswith("yuvj"):
        full = True
    elif full is None:
        full = pix_fmt.startswith(("gray", "ya", "mono")) and codec not in _LIMITED_GRAY_CODECS
    return replace(tags, matrix=matrix, full_range=full)


def check_supported(tags: ColorTags, name: str) -> None:
    """Refuse by name what cannot be shown rightly in 8-bit RGB.

    Raises:
        InputError: HDR transfer (PQ or HLG), or a matrix that swscale does not know.
    """
    if tags.transfer in _HDR_TRANSFERS:
        raise InputError(
            f"{name}: HDR video with {_HDR_TRANSFERS[tags.transfer]} transfer is not supported",
            "tone-map it to SDR first, e.g. ffmpeg -i IN -vf "
            "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable,"
            "zscale=t=bt709:m=bt709:r=tv,format=yuv420p OUT.mp4",
        )
    if tags.matrix != RGB and tags.matrix not in _SWS_MATRIX:
        matrix = MATRIX_NAMES.get(tags.matrix, f"number {tags.matrix}")
        raise InputError(
            f"{name}: colour matrix {matrix} is not supported",
            "convert it to BT.709 first, e.g. ffmpeg -i IN -vf zscale=m=bt709 OUT.mp4",
        )


class YuvToRgb:
    """Decoded frames of any pixel format to uint8 RGB. Keeps its scaler, so make one per stream."""

    def __init__(self) -> None:
        self._scaler = VideoReformatter()
        self.saw_transparency = False

    def __call__(self, frame: av.VideoFrame, tags: ColorTags) -> NDArray[np.uint8]:
        """Convert one frame.

        Transparent pixels are composited on black (straight alpha), and `saw_transparency` is set.

        Args:
            frame: as decoded.
            tags: resolved tags (see `resolve`): they decide, not those on the frame.

        Returns:
            uint8 RGB of shape [height, width, 3], full range 0..255, C-contiguous.
        """
        if frame.format.name in _GRAY_FORMATS:
            return _gray_to_rgb(frame, bool(tags.full_range))
        if any(component.is_alpha for component in frame.format.components):
            return self._composite(self._scale(frame, tags, "rgba"))
        if frame.format.name == "pal8":  # its palette holds alpha
            return self._composite(self._scale(frame, tags, "rgba"))
        return self._scale(frame, tags, "rgb24")

    def _scale(self, frame: av.VideoFrame, tags: ColorTags, target: str) -> NDArray[np.uint8]:
        matrix = None if tags.matrix == RGB else _SWS_MATRIX[tags.matrix]
        rgb = self._scaler.reformat(
            frame,
            format=target,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=_SWS_FULL if tags.full_range else _SWS_LIMITED,
            dst_color_range=_SWS_FULL,
            interpolation=_ACCURATE,
            threads=1,
        )
        return np.ascontiguousarray(rgb.to_ndarray(), dtype=np.uint8)

    def _composite(self, rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
        alpha = rgba[..., 3:]
        if alpha.min() == 255:
            return np.ascontiguousarray(rgba[..., :3])
        self.saw_transparency = True
        scaled = rgba[..., :3].astype(np.uint16) * alpha
        return ((scaled + 127) // 255).astype(np.uint8)


def _gray_to_rgb(frame: av.VideoFrame, full_range: bool) -> NDArray[np.uint8]:
    """Gray of 8 to 16 bits [height, width] -> uint8 RGB [height, width, 3]."""
    name = frame.format.name
    bits = _GRAY_FORMATS[name]
    plane = frame.planes[0]
    kind = np.dtype("u1" if bits == 8 else ">u2" if name.endswith("be") else "<u2")
    rows = np.frombuffer(bytes(plane), kind).reshape(plane.height, plane.line_size // kind.itemsize)
    luma = rows[:, : plane.width].astype(np.float32)
    if full_range:
        low, span = 0.0, float(2**bits - 1)
    else:
        low, span = 16.0 * 2 ** (bits - 8), 219.0 * 2 ** (bits - 8)
    gray = np.clip(np.rint((luma - low) * (255.0 / span)), 0, 255).astype(np.uint8)
    return np.repeat(gray[:, :, None], 3, axis=2)


class RgbToYuv:
    """uint8 RGB arrays to frames an encoder takes, tagged as they were converted.

    Args:
        pix_fmt: the encoder's pixel format, e.g. "yuv420p", "yuv444p", "bgr0", "rgb24".
        tags: resolved tags: matrix and range decide the conversion, and all four are put on the
            frame. 4:2:0 chroma is sited left, as H.264, VP9 and HEVC take it by default.
    """

    def __init__(self, pix_fmt: str, tags: ColorTags) -> None:
        self.pix_fmt = pix_fmt
        self.tags = tags
        self._scaler = VideoReformatter()

    def __call__(self, rgb: NDArray[np.uint8]) -> av.VideoFrame:
        """Convert one uint8 RGB array [height, width, 3], range 0..255."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        if self.pix_fmt != "rgb24":
            matrix = None if self.tags.matrix == RGB else _SWS_MATRIX[self.tags.matrix]
            frame = self._scaler.reformat(
                frame,
                format=self.pix_fmt,
                src_colorspace=matrix,
                dst_colorspace=matrix,
                src_color_range=_SWS_FULL,
                dst_color_range=_SWS_FULL if self.tags.full_range else _SWS_LIMITED,
                interpolation=_ACCURATE,
                threads=1,
            )
        frame.colorspace = self.tags.matrix
        frame.color_range = _SWS_FULL if self.tags.full_range else _SWS_LIMITED
        frame.color_primaries = self.tags.primaries
        frame.color_trc = self.tags.transfer
        return frame
