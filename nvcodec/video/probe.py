"""What can be told of a video from its open container and its first decoded frame."""

from __future__ import annotations

from fractions import Fraction

import av
from av.container import InputContainer

from nvcodec.video.audio import audio_streams
from nvcodec.video.color import ColorTags, merge, resolve, tags_of
from nvcodec.video.info import Chapter, VideoInfo
from nvcodec.video.orient import orientation_of
from nvcodec.video.source import IMAGE_FPS, is_image_container

__all__ = ["describe", "nominal_ticks", "picture_tags"]
#: Frames that a file has, for each that its duration has room for, from which on some are hidden.
HIDDEN = 1.02


def describe(
    container: InputContainer, stream: av.VideoStream, picture: av.VideoFrame, first_pts: int
) -> VideoInfo:
    """Collect a VideoInfo.

    Args:
        container, stream: open.
        picture: the first decoded frame.
        first_pts: its timestamp, in the stream's ticks.
    """
    still = is_image_container(container)
    orientation = orientation_of(picture)
    width, height = orientation.size(picture.width, picture.height)
    base = _time_base(stream)
    fps = IMAGE_FPS if still else frame_rate(stream)
    seconds = 1 / IMAGE_FPS if still else _duration(container, stream, first_pts * base)
    return VideoInfo(
        width=width,
        height=height,
        fps=fps,
        time_base=base,
        is_vfr=not still and stream.base_rate not in (None, 0, fps),
        frame_count=1 if still else _frame_count(container, stream, seconds, fps),
        duration=seconds,
        start_time=first_pts * base,
        color=picture_tags(picture, stream),
        color_tagged=merge(tags_of(picture), tags_of(stream)),
        rotation=orientation.rotation,
        mirrored=orientation.mirrored,
        sample_aspect_ratio=orientation.aspect(stream.sample_aspect_ratio or Fraction(1)),
        bit_depth=max(component.bits for component in picture.format.components),
        has_alpha=picture.format.name == "pal8"
        or any(component.is_alpha for component in picture.format.components),
        is_image=still,
        codec=stream.codec_context.codec.canonical_name,
        pix_fmt=picture.format.name,
        container=container.format.name,
        audio=audio_streams(container),
        metadata=dict(container.metadata),
        chapters=_chapters(container),
    )


def picture_tags(picture: av.VideoFrame, stream: av.VideoStream) -> ColorTags:
    """The definite colour tags by which `picture` is to be converted."""
    return resolve(
        merge(tags_of(picture), tags_of(stream)),
        picture.width,
        picture.height,
        picture.format.name,
        stream.codec_context.codec.canonical_name,
    )


def frame_rate(stream: av.VideoStream) -> Fraction:
    """Average frames per second; 25 where the file says nothing."""
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate:
            return rate
    return Fraction(25)


def nominal_ticks(stream: av.VideoStream) -> int:
    """The usual duration of a frame in ticks of the stream, at least 1."""
    return max(1, round(1 / (frame_rate(stream) * _time_base(stream))))


def _time_base(stream: av.VideoStream) -> Fraction:
    return stream.time_base or 1 / frame_rate(stream)


def _duration(
    container: InputContainer, stream: av.VideoStream, start: Fraction
) -> Fraction | None:
    """In seconds, of what is shown from `start` on."""
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    if container.duration:
        seconds = Fraction(container.duration, av.time_base)
        # Matroska counts from time 0, whenever its first frame is shown.
        since = start if container.format.name.startswith("matroska") else Fraction(0)
        return seconds - since if 0 < since < seconds else seconds
    return None


def _frame_count(
    container: InputContainer, stream: av.VideoStream, seconds: Fraction | None, fps: Fraction
) -> int | None:
    shown = max(1, round(seconds * fps)) if seconds else None
    if stream.frames <= 0 or shown is None:
        return stream.frames if stream.frames > 0 else shown
    # Files of the MP4 family that were cut without being coded anew hold frames from the key frame
    # before their start on, and hide them.
    hides = container.format.name.startswith("mov") and stream.frames > HIDDEN * shown + 2
    return shown if hides else stream.frames


def _chapters(container: InputContainer) -> tuple[Chapter, ...]:
    chapters = []
    for raw in container.chapters():
        base = raw["time_base"] or Fraction(1)
        title = raw["metadata"].get("title", "")
        chapters.append(Chapter(raw["start"] * base, raw["end"] * base, title))
    return tuple(sorted(chapters, key=lambda chapter: chapter.start))
