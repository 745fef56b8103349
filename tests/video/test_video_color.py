"""Colour: every conversion against the formulas of ITU-T H.273 in float64."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nvcodec.errors import InputError
from nvcodec.video.color import ColorTags, RgbToYuv, YuvToRgb, check_supported, merge, resolve
from nvcodec.video.reader import open_video
from nvcodec.video.writer import VideoWriter

# name: (Kr, Kb, H.273 code)
MATRICES = {"601": (0.299, 0.114, 6), "709": (0.2126, 0.0722, 1), "2020": (0.2627, 0.0593, 9)}
FORMATS = {
    "yuv420p": 8, "yuv422p": 8, "yuv444p": 8, "nv12": 8, "yuv420p10le": 10, "yuv422p10le": 10,
    "yuv444p10le": 10, "yuv420p12le": 12, "gray": 8, "gray10le": 10, "gray12le": 12,
}  # fmt: skip
PATCHES = [
    (0, 0, 0), (255, 255, 255), (128, 128, 128), (255, 0, 0), (0, 255, 0), (0, 0, 255),
    (255, 255, 0), (0, 255, 255), (255, 0, 255), (200, 120, 80), (20, 60, 40), (90, 30, 160),
]  # fmt: skip


def to_yuv(rgb: Any, matrix: str, full: bool, bits: int) -> Any:
    """Float YUV codes of an RGB triple 0..255."""
    kr, kb, _ = MATRICES[matrix]
    r, g, b = np.asarray(rgb, float) / 255
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr))
    top, one = 2**bits - 1, 2 ** (bits - 8)
    if full:
        codes = np.array([y * top, cb * top + 128 * one, cr * top + 128 * one])
    else:
        codes = np.array([y * 219 + 16, cb * 224 + 128, cr * 224 + 128]) * one
    return codes


def to_rgb(yuv: Any, matrix: str, full: bool, bits: int) -> Any:
    """Float RGB 0..255, clipped, of YUV codes."""
    kr, kb, _ = MATRICES[matrix]
    y, cb, cr = np.asarray(yuv, float)
    top, one = 2**bits - 1, 2 ** (bits - 8)
    if full:
        y, cb, cr = y / top, (cb - 128 * one) / top, (cr - 128 * one) / top
    else:
        y = (y - 16 * one) / (219 * one)
        cb, cr = (cb - 128 * one) / (224 * one), (cr - 128 * one) / (224 * one)
    r, b = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    g = (y - kr * r - kb * b) / (1 - kr - kb)
    return np.clip(np.array([r, g, b]) * 255, 0, 255)


def flat(pix_fmt: str, yuv: Any, width: int = 48, height: int = 32) -> av.VideoFrame:
    """A frame of one colour, written plane by plane."""
    frame = av.VideoFrame(width, height, pix_fmt)
    for index, plane in enumerate(frame.planes):
        codes = np.zeros(plane.buffer_size, np.uint8)
        if FORMATS[pix_fmt] > 8:
            codes.view("<u2")[:] = yuv[index]
        elif pix_fmt == "nv12" and index == 1:
            codes[0::2], codes[1::2] = yuv[1], yuv[2]
        else:
            codes[:] = yuv[index]
        plane.update(codes.tobytes())
    return frame


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("pix_fmt", FORMATS)
@pytest.mark.parametrize("matrix", MATRICES)
def test_yuv_to_rgb_matches_the_standard(matrix: str, pix_fmt: str, full: bool) -> None:
    bits = FORMATS[pix_fmt]
    convert = YuvToRgb()
    tags = ColorTags(MATRICES[matrix][2], 2, 2, full)
    for patch in PATCHES:
        gray = pix_fmt.startswith("gray")
        color = (patch[1],) * 3 if gray else patch
        yuv = np.rint(np.clip(to_yuv(color, matrix, full, bits), 0, 2**bits - 1)).astype(int)
        rgb = convert(flat(pix_fmt, yuv), tags)
        assert rgb.dtype == np.uint8 and rgb.shape == (32, 48, 3) and rgb.flags.c_contiguous
        error = np.abs(rgb - to_rgb(yuv, matrix, full, bits)).max()
        # swscale scales full-range 10 bits by 1/4 rather than 255/1023: up to 1.4.
        assert error <= (1 if bits == 8 else 2), (patch, error)


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p"])
@pytest.mark.parametrize("matrix", MATRICES)
def test_rgb_to_yuv_matches_the_standard(matrix: str, pix_fmt: str, full: bool) -> None:
    convert = RgbToYuv(pix_fmt, ColorTags(MATRICES[matrix][2], 2, 2, full))
    for patch in PATCHES:
        rgb = np.broadcast_to(np.array(patch, np.uint8), (32, 48, 3))
        frame = convert(rgb)
        assert (frame.colorspace, frame.color_range) == (MATRICES[matrix][2], 2 if full else 1)
        expected = np.clip(to_yuv(patch, matrix, full, 8), 0, 255)
        for plane, code in zip(frame.planes, expected, strict=False):
            codes = np.frombuffer(bytes(plane), np.uint8).reshape(plane.height, -1)
            assert np.abs(codes[:, : plane.width] - code).max() <= 1.1, patch


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.integers(0, 255)] * 3), st.sampled_from(sorted(MATRICES)), st.booleans())
def test_rgb_survives_the_round_trip(color: tuple[int, int, int], matrix: str, full: bool) -> None:
    tags = ColorTags(MATRICES[matrix][2], 2, 2, full)
    rgb = np.broadcast_to(np.array(color, np.uint8), (8, 16, 3))
    back = YuvToRgb()(RgbToYuv("yuv444p", tags)(rgb), tags)
    assert np.abs(back.astype(int) - rgb).max() <= 3  # 8-bit YUV itself holds no more


def test_one_converter_follows_changing_tags() -> None:
    """A scaler that kept the first frame's matrix would fail here."""
    convert = YuvToRgb()
    for _ in range(2):
        for matrix, (_, _, code) in MATRICES.items():
            for full in (False, True):
                rgb = convert(flat("yuv420p", (120, 90, 160)), ColorTags(code, 2, 2, full))
                assert np.abs(rgb - to_rgb((120, 90, 160), matrix, full, 8)).max() <= 1


def test_chroma_is_sited_left() -> None:
    """A chroma sample lies on the left one of its two luma columns."""
    frame = av.VideoFrame(64, 16, "yuv420p")
    for index, plane in enumerate(frame.planes):
        codes = np.full((plane.height, plane.line_size), 128, np.uint8)
        if index == 1:
            codes[:, : plane.width] = 100 + np.arange(plane.width)
        plane.update(codes.tobytes())
    rgb = YuvToRgb()(frame, ColorTags(1, 2, 2, True))
    columns = np.arange(64)
    expected = 128 + 1.8556 * (100 + columns / 2 - 128)
    assert np.abs(rgb[8, :, 2] - expected)[4:-4].max() <= 1


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize(("codec", "pix_fmt"), [("libx264", "yuv420p"), ("ffv1", "yuv420p10le")])
def test_tags_in_files_decide(clip: Any, matrix: str, full: bool, codec: str, pix_fmt: str) -> None:
    bits = FORMATS[pix_fmt]
    tags = (MATRICES[matrix][2], 2, 2, 2 if full else 1)
    color = (200, 90, 60)
    yuv = np.rint(to_yuv(color, matrix, full, bits)).astype(int)
    options = {"qp": "0"} if codec == "libx264" else {}
    path = clip(
        "c.mkv", [flat(pix_fmt, yuv)] * 2, codec=codec, pix_fmt=pix_fmt, tags=tags, options=options
    )
    with open_video(path) as video:
        assert video.info.color.matrix == tags[0] and video.info.color.full_range is full
        assert video.info.bit_depth == bits
        rgb = next(video.frames()).rgb
    assert np.abs(rgb - np.array(color, float)).max() <= 2


@pytest.mark.parametrize(
    ("width", "height", "codec", "code"),
    [(640, 360, "h264", 6), (1280, 544, "h264", 1), (960, 720, "h264", 1), (1280, 720, "webp", 6)],
)
def test_untagged_matrix_follows_the_size(width: int, height: int, codec: str, code: int) -> None:
    tags = resolve(ColorTags(), width, height, "yuv420p", codec)
    assert (tags.matrix, tags.full_range) == (code, False)


def test_untagged_range_follows_the_format() -> None:
    def full(pix_fmt: str, codec: str) -> bool | None:
        return resolve(ColorTags(), 64, 48, pix_fmt, codec).full_range

    assert full("yuvj420p", "mjpeg") and full("rgb24", "png") and full("gray", "png")
    assert not full("gray", "h264") and not full("yuv420p", "mjpeg")
    assert resolve(ColorTags(0), 64, 48, "yuv420p").matrix == 6  # RGB on YUV is a mistake


def test_merge_prefers_the_first() -> None:
    assert merge(ColorTags(1), ColorTags(6, 5, 4, True)) == ColorTags(1, 5, 4, True)


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused_by_name(clip: Any, transfer: int, name: str) -> None:
    frames = [flat("yuv420p10le", (400, 512, 512))] * 2
    path = clip("hdr.mkv", frames, codec="ffv1", pix_fmt="yuv420p10le", tags=(9, 9, transfer, 1))
    with pytest.raises(InputError, match=f"{name}.*tone-map"):
        open_video(path)


def test_unknown_matrix_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="YCgCo"):
        check_supported(ColorTags(8, 2, 2, False), "x.mp4")


@pytest.mark.parametrize("suffix", ["jpg", "webp", "png"])
@pytest.mark.parametrize("size", [(96, 64), (1280, 720)])
def test_stills_agree_with_pillow(tmp_path: Any, pictures: Any, suffix: str, size: Any) -> None:
    path = tmp_path / f"still.{suffix}"
    Image.fromarray(pictures(*size, 1)[0]).save(path, quality=95)
    expected = np.asarray(Image.open(path).convert("RGB"), float)
    with open_video(path) as video:
        rgb = next(video.frames()).rgb
    difference = np.abs(rgb - expected)
    # Chroma upsampling differs at edges; a wrong matrix or range would shift everything.
    assert np.abs((rgb - expected).mean((0, 1))).max() < 0.4
    assert np.median(difference) <= 1


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_composited_on_black(tmp_path: Any, mode: str, caplog: Any) -> None:
    rgba = np.zeros((16, 24, 4), np.uint8)
    rgba[..., :3] = (200, 200, 200)
    rgba[:, :12, 3], rgba[:, 12:, 3] = 255, 51
    image = Image.fromarray(rgba)
    data = io.BytesIO()
    image.convert(mode).save(data, "png")
    path = tmp_path / "alpha.png"
    path.write_bytes(data.getvalue())
    with open_video(path) as video:
        assert video.info.has_alpha or mode == "P"
        rgb = next(video.frames()).rgb
    assert np.abs(rgb[:, :12].astype(int) - 200).max() <= 1
    if mode != "P":
        assert np.abs(rgb[:, 12:].astype(int) - 40).max() <= 1
        assert "composited on black" in caplog.text


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", [1, 6, 5, 9])
@pytest.mark.parametrize("suffix", ["mp4", "mov", "webm"])
def test_written_tags_and_colours_come_back(
    tmp_path: Any, matrix: int, full: bool, suffix: str
) -> None:
    path = tmp_path / f"out.{suffix}"
    color = np.array((180, 90, 60), np.uint8)
    rgb = np.broadcast_to(color, (48, 64, 3))
    tags = ColorTags(matrix, 1, 1, full)
    with VideoWriter(path, 64, 48, Fraction(25), Fraction(1, 25), tags) as out:
        for pts in range(3):
            out.write(rgb, pts, 1)
    with open_video(path) as video:
        read = video.info.color_tagged
        frames = list(video.frames())
    assert read.matrix in ((5, 6) if matrix in (5, 6) else (matrix,))
    assert read.full_range is full
    if suffix != "webm":
        assert read == tags
    for frame in frames:
        assert np.abs(frame.rgb.astype(int) - color).max() <= 3


def test_y4m_uses_the_matrix_that_readers_guess(tmp_path: Any) -> None:
    """y4m names no matrix: BT.709 pixels in a small y4m would be read as BT.601."""
    path = tmp_path / "out.y4m"
    color = np.array((200, 60, 60), np.uint8)
    with VideoWriter(path, 64, 48, Fraction(25), Fraction(1, 25), ColorTags(1, 1, 1, False)) as out:
        out.write(np.broadcast_to(color, (48, 64, 3)), 0, 1)
        assert out.color.matrix == 6
    with open_video(path) as video:
        assert np.abs(next(video.frames()).rgb.astype(int) - color).max() <= 2
