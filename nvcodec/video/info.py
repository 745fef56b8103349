"""What a video file says about itself, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from nvcodec.video.color import ColorTags

__all__ = ["AudioStream", "Chapter", "Frame", "VideoInfo"]


@dataclass(frozen=True)
class AudioStream:
    """One audio track, with all that is needed to write its packets into another file.

    Attributes:
        index: 0, 1, ... among the file's audio tracks (not all its streams).
        codec: FFmpeg's canonical codec name: "aac", "mp3", "opus", ...
        time_base: seconds per tick of its packets' timestamps.
        sample_rate: in Hz.
        channels: how many.
        layout: "mono", "stereo", "5.1", ... or "N channels" where the file does not say.
        extradata: the codec's set-up bytes; b"" if it has none.
        language: ISO 639 code, or None.
    """

    index: int
    codec: str
    time_base: Fraction
    sample_rate: int
    channels: int
    layout: str
    extradata: bytes = b""
    language: str | None = None


@dataclass(frozen=True)
class Chapter:
    """A named part of the video, in seconds from time 0 of the file."""

    start: Fraction
    end: Fraction
    title: str


@dataclass(frozen=True)
class Frame:
    """One picture and when it is shown.

    Attributes:
        rgb: uint8 [height, width, 3], full range 0..255, contiguous, turned upright.
        pts: presentation time in ticks of the video's time base.
        duration: ticks until the next frame; for the last one what the file says, or one frame.
        cut: a shot begins with it, where somebody has looked for that.
    """

    rgb: NDArray[np.uint8]
    pts: int
    duration: int
    cut: bool = False


@dataclass(frozen=True)
class VideoInfo:
    """A video as its frames will come out: size and aspect after rotation.

    Attributes:
        width, height: in pixels, after rotation.
        fps: average frames per second.
        time_base: seconds per tick of all timestamps.
        is_vfr: a hint that frame durations vary.
        frame_count: what the container claims or the duration suggests; None if neither. Not a
            promise.
        duration: in seconds, or None.
        start_time: time of the first frame in seconds (usually 0).
        color: the tags by which YUV became RGB: matrix and range are always definite.
        color_tagged: the tags as they stand in the file.
        rotation: clockwise degrees that were applied to the pixels: 0, 90, 180, 270.
        mirrored: a left-right mirroring was applied before the rotation.
        sample_aspect_ratio: width / height of one pixel, after rotation; 1 is square.
        bit_depth: bits per component in the file (frames come out in 8).
        has_alpha: the pixel format has transparency (which is composited on black).
        is_image: a still image.
        codec: FFmpeg's canonical name, e.g. "h264".
        pix_fmt: FFmpeg's pixel format name, e.g. "yuv420p".
        container: FFmpeg's demuxer name, e.g. "mov,mp4,m4a,3gp,3g2,mj2".
        audio: the audio tracks.
        metadata: the container's tags (title, ...).
        chapters: in order of time.
    """

    width: int
    height: int
    fps: Fraction
    time_base: Fraction
    is_vfr: bool
    frame_count: int | None
    duration: Fraction | None
    start_time: Fraction
    color: ColorTags
    color_tagged: ColorTags
    rotation: int
    mirrored: bool
    sample_aspect_ratio: Fraction
    bit_depth: int
    has_alpha: bool
    is_image: bool
    codec: str
    pix_fmt: str
    container: str
    audio: tuple[AudioStream, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    chapters: tuple[Chapter, ...] = ()

    def frames_within(self, start: float | None, duration: float | None) -> int | None:
        """About how many frames that part has, at least 1; seconds as in `VideoSource.frames`."""
        total = self.frame_count
        if total is None:
            return None
        if start:
            total -= int(start * self.fps)
        if duration:
            total = min(total, round(duration * self.fps))
        return max(total, 1)
