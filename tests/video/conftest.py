"""Small clips, made on the spot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

Array = NDArray[np.uint8]


def picture(width: int, height: int, index: int = 0) -> Array:
    """uint8 RGB [height, width, 3]: smooth ramps, colour blocks, and a bright square that moves."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    ramps = [x * 255 / max(1, width - 1), y * 255 / max(1, height - 1), (x + y) % 256]
    rgb = np.stack(ramps, -1).astype(np.uint8)
    rgb[: height // 4, : width // 4] = (220, 30, 40)
    rgb[: height // 4, -(width // 4) or width :] = (20, 200, 60)
    side, at = max(1, height // 6), (index * 3) % max(1, width - height // 6)
    rgb[height // 2 : height // 2 + side, at : at + side] = (250, 250, 210)
    return rgb


@pytest.fixture
def pictures() -> Callable[..., list[Array]]:
    """pictures(width, height, count) -> that many RGB arrays."""

    def make(width: int = 64, height: int = 48, count: int = 5) -> list[Array]:
        return [picture(width, height, index) for index in range(count)]

    return make


def _add_audio(container: Any, codec: str, rate: int) -> Any:
    stream = container.add_stream(codec, rate=rate, layout="stereo")
    stream.codec_context.open()
    return stream


def _fill_audio(container: Any, stream: Any, seconds: float, rate: int) -> None:
    size = stream.codec_context.frame_size or 1024
    kind = stream.codec_context.format.name
    for index in range(max(2, round(seconds * rate / size))):
        frame = av.AudioFrame(format=kind, layout="stereo", samples=size)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.pts, frame.sample_rate, frame.time_base = index * size, rate, Fraction(1, rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


@pytest.fixture
def song(tmp_path: Path) -> Callable[..., Path]:
    """song(name, codec, seconds, rate) -> path of a file with silent audio alone."""

    def make(name: str, codec: str = "aac", seconds: float = 0.3, rate: int = 48000) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w") as out:
            _fill_audio(out, _add_audio(out, codec, rate), seconds, rate)
        return path

    return make


@pytest.fixture
def clip(tmp_path: Path) -> Callable[..., Path]:
    """clip(name, frames, ...) -> path of a video made with PyAV alone, not the writer under test.

    Keyword arguments: codec, pix_fmt, options, pts (in ticks), time_base, fps, tags (matrix,
    primaries, transfer, range), rotation (counter-clockwise), flip, audio (codec), rate (of audio),
    mux (muxer options). `frames` are RGB arrays, or av.VideoFrame to be encoded as they are.
    """

    def make(name: str, frames: Sequence[Any], **how: Any) -> Path:
        path = tmp_path / name
        base = how.get("time_base", Fraction(1, 25))
        with av.open(str(path), "w", container_options=how.get("mux", {})) as out:
            stream: Any = out.add_stream(
                how.get("codec", "libx264"), rate=how.get("fps", 25), options=how.get("options", {})
            )
            first = frames[0]
            raw = isinstance(first, av.VideoFrame)
            height, width = (first.height, first.width) if raw else first.shape[:2]
            stream.width, stream.height = width, height
            stream.pix_fmt = how.get("pix_fmt", "yuv420p")
            stream.codec_context.time_base = base
            stream.time_base = base
            matrix, primaries, transfer, color_range = how.get("tags", (2, 2, 2, 0))
            stream.codec_context.colorspace = matrix
            stream.codec_context.color_primaries = primaries
            stream.codec_context.color_trc = transfer
            stream.codec_context.color_range = color_range
            if "rotation" in how or "flip" in how:
                stream.set_display_rotation(how.get("rotation", 0), hflip=how.get("flip", False))
            rate = how.get("rate", 48000)
            sound = _add_audio(out, how["audio"], rate) if "audio" in how else None
            for index, item in enumerate(frames):
                frame = item if raw else av.VideoFrame.from_ndarray(item, format="rgb24")
                if not raw:
                    frame = frame.reformat(format=stream.pix_fmt)
                frame.colorspace, frame.color_range = matrix, color_range
                frame.color_primaries, frame.color_trc = primaries, transfer
                frame.pts = how["pts"][index] if "pts" in how else index
                frame.time_base = base
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
            if sound is not None:
                _fill_audio(out, sound, len(frames) / float(how.get("fps", 25)), rate)
        return path

    return make
