"""A video file, still image, numbered images or a pipe -> upright RGB frames with exact timestamps.

    with open_video("clip.mp4") as video:
        print(video.info.width, video.info.height, video.info.fps)
        for frame in video.frames(start=1.0, duration=2.5):
            use(frame.rgb, frame.pts * video.info.time_base)

Frames are decoded as they are asked for; besides the frame in hand only the next one is held, which
gives each frame its exact duration.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from fractions import Fraction
from types import TracebackType
from typing import Literal, NamedTuple

import av
from av.container import InputContainer

from nvcodec.errors import InputError, UsageError
from nvcodec.video import source
from nvcodec.video.color import YuvToRgb, check_supported
from nvcodec.video.info import Frame, VideoInfo
from nvcodec.video.orient import Orientation, orientation_of
from nvcodec.video.probe import describe, nominal_ticks, picture_tags
from nvcodec.video.timeline import Timeline

__all__ = ["Frame", "VideoInfo", "VideoSource", "open_video"]

log = logging.getLogger("nvcodec.video")


class _Decoded(NamedTuple):
    """A decoded frame in its own pixel format, with its repaired timestamp."""

    picture: av.VideoFrame
    pts: int
    own_pts: bool


def open_video(
    path: str | os.PathLike[str],
    *,
    threads: int = 1,
    thread_type: Literal["FRAME", "SLICE", "AUTO"] = "AUTO",
    tolerate_damage: bool = False,
) -> VideoSource:
    """Open a video for reading. Decodes its first frame, so that `info` is what frames will be.

    Args:
        path: anything FFmpeg reads (mp4, mov, mkv, webm, avi, ts, y4m, gif, ...), a still image
            (png, jpg, webp, ...: one frame, 25 fps, time base 1/25), numbered images
            (`shot_%05d.png`), or "-" for standard input, whose frames can be read once only.
        threads: decoder threads; 0 means one per core.
        thread_type: FRAME threads are faster and hold more frames in memory.
        tolerate_damage: log damaged frames and go on, instead of raising.

    Raises:
        InputError: missing, a folder, empty, not a video, audio only, HDR, or no frame can be
            decoded.
    """
    return VideoSource(os.fspath(path), threads, thread_type, tolerate_damage)


class VideoSource:
    """An open video: `info` and `frames()`. A context manager; see `open_video`."""

    def __init__(
        self,
        path: str,
        threads: int,
        thread_type: Literal["FRAME", "SLICE", "AUTO"],
        tolerate_damage: bool,
    ) -> None:
        self.name = "standard input" if path == "-" else path
        self._path = path
        self._threads = threads
        self._thread_type: Literal["FRAME", "SLICE", "AUTO"] = thread_type
        self._tolerate = tolerate_damage
        self._container: InputContainer | None = None
        self._rgb = YuvToRgb()
        self._warned: set[str] = set()
        self._sought: Fraction | None = None
        self.info: VideoInfo
        self._orientation: Orientation
        try:
            self._stream = self._open()
            self._nominal = nominal_ticks(self._stream)
            self._fresh: Iterator[_Decoded] | None = self._decode()
            self._first = self._first_frame()
            assert self._container is not None
            picture = self._first.picture
            self._orientation = orientation_of(picture)
            self.info = describe(self._container, self._stream, picture, self._first.pts)
            check_supported(self.info.color, self.name)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> VideoSource:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file. Iterators from `frames` end with an error after this."""
        if self._container is not None:
            if self._path != "-":  # a thread may still wait for a pipe, and goes with its container
                self._container.close()
            self._container = None

    def frames(self, start: float | None = None, duration: float | None = None,
               skip: int = 0) -> Iterator[Frame]:
        """Iterate the frames from `start` seconds after the first frame, for `duration` seconds.

        Timestamps stay those of the file, whatever `start` is. Each call starts anew and ends the
        iterator of the call before.

        Args:
            start: the first frame is the first whose time is at least this; None for all from the
                beginning.
            duration: in seconds; None for all to the end.
            skip: so many frames of that range are decoded but neither converted nor given, so that
                the others are exactly those that a call without it gives.

        Yields:
            Frame with rgb uint8 [info.height, info.width, 3], in order of time.

        Raises:
            UsageError: negative times, or standard input read twice.
            InputError: damage (names the frame), a change of picture size, no frame in the range.
        """
        if start is not None and not 0 <= start < float("inf"):
            raise UsageError(f"start {start} is not a time", "give seconds from the beginning")
        if duration is not None and not 0 < duration < float("inf"):
            raise UsageError(f"duration {duration} is not a time", "give seconds greater than 0")
        first_tick = self._first.pts
        last_tick = None
        if start is not None:
            first_tick += round(Fraction(start) / self.info.time_base)
        if duration is not None:
            last_tick = first_tick + max(1, round(Fraction(duration) / self.info.time_base))
        return self._window(self._from(first_tick), first_tick, last_tick, skip)

    # -- opening ---------------------------------------------------------------------------------

    def _open(self) -> av.VideoStream:
        self._container = source.open_container(self._path)
        stream = source.pick_video(self._container, self.name)
        stream.codec_context.thread_count = self._threads
        stream.codec_context.thread_type = self._thread_type
        return stream

    def _first_frame(self) -> _Decoded:
        assert self._fresh is not None
        first = next(self._fresh, None)
        if first is None:
            raise InputError(
                f"{self.name}: holds no frame that can be decoded", "copy or download it again"
            )
        return first

    # -- decoding --------------------------------------------------------------------------------

    def _from(self, tick: int) -> Iterator[_Decoded]:
        """Decoded frames that begin at or before `tick`, if the file has any."""
        fresh, self._fresh = self._fresh, None
        at_start = tick <= self._first.pts
        if fresh is not None and (at_start or self._path == "-"):
            yield self._first
            yield from fresh
            return
        if self._path == "-":
            raise UsageError(
                "standard input was read already", "read it once, or give the video as a file"
            )
        if not at_start and (sought := self._seek(tick)) is not None:
            yield from sought
            return
        self.close()
        self._sought = None
        self._stream = self._open()
        yield from self._decode()

    def _seek(self, tick: int) -> Iterator[_Decoded] | None:
        """Decode from the last key frame before `tick`; None if the file cannot be sought there."""
        self.close()
        self._stream = self._open()
        assert self._container is not None
        try:
            self._container.seek(tick, stream=self._stream)
            self._sought = (tick - self._first.pts) * self.info.time_base
            frames = self._decode()
            first = next(frames, None)
        except (av.FFmpegError, InputError):
            return None
        if first is None or not first.own_pts or first.pts > tick:
            return None
        return _chain(first, frames)

    def _decode(self) -> Iterator[_Decoded]:
        container, stream = self._container, self._stream
        assert container is not None
        timeline = Timeline(self._nominal, self.name)
        size: tuple[int, int] | None = None
        end: int | None = None
        for count, picture in enumerate(self._pictures(container, stream)):
            size = size or (picture.width, picture.height)
            if (picture.width, picture.height) != size:
                raise InputError(
                    f"{self.name}: the picture size changes from {size[0]}x{size[1]} to "
                    f"{picture.width}x{picture.height} at {self._where(count)}",
                    "scale it to one size first, e.g. ffmpeg -i IN -vf "
                    f"scale={size[0]}:{size[1]} OUT.mp4",
                )
            self._check_damage(picture, count)
            pts = timeline.place(picture.pts, picture.duration)
            end = pts + (picture.duration or self._nominal)
            yield _Decoded(picture, pts, picture.pts is not None)
        self._check_end(end)

    def _pictures(
        self, container: InputContainer, stream: av.VideoStream
    ) -> Iterator[av.VideoFrame]:
        """Decode packet by packet, naming the frame where damage stops it."""
        packets = container.demux(stream)
        count = 0
        while True:
            if self._container is not container:  # FFmpeg would crash on a closed file
                raise UsageError(
                    f"{self.name}: read on after it was closed or read anew",
                    "finish with one iterator of frames before the next",
                )
            try:
                packet = next(packets, None)
                pictures = [] if packet is None else packet.decode()
            except av.FFmpegError as error:
                if not self._tolerate:
                    raise self._damaged(count, source.reason(error)) from error
                self._say(f"data damaged near {self._where(count)} was skipped")
                continue
            yield from pictures
            count += len(pictures)
            if packet is None:
                return

    def _check_damage(self, picture: av.VideoFrame, index: int) -> None:
        if picture.is_corrupt:
            if not self._tolerate:
                raise self._damaged(index, "parts of the picture are missing")
            self._say(f"{self._where(index)} is damaged; its decoder concealed it")

    def _damaged(self, index: int, why: str) -> InputError:
        return InputError(
            f"{self.name}: damaged at {self._where(index)} ({why})",
            "copy or download it again, or repair it first with ffmpeg -i IN OUT.mp4",
        )

    def _where(self, index: int) -> str:
        """Name a frame: after seeking only its distance from the key frame is known."""
        if self._sought is None:
            return f"frame {index}"
        return f"frame {index} after the key frame before {float(self._sought):.3f} s"

    def _check_end(self, end: int | None) -> None:
        """Say so if the last frame ends (in ticks) well before the time the file promises."""
        if end is None or not self._stream.duration or self._sought is not None:
            return
        had = (end - self._first.pts) * self.info.time_base
        promised = self._stream.duration * self.info.time_base
        if had < promised * Fraction(95, 100) - 2 / self.info.fps:
            self._say(f"cut short: ends after {float(had):.2f} of {float(promised):.2f} s")

    # -- converting ------------------------------------------------------------------------------

    def _window(self, decoded: Iterator[_Decoded], first: int, last: int | None,
                skip: int) -> Iterator[Frame]:
        """Frames with first <= pts < last, each with the time to the next as its duration."""
        held: _Decoded | None = None
        empty = True
        for item in decoded:
            if held is not None:
                if skip <= 0:
                    yield self._frame(held, item.pts - held.pts)
                skip -= 1
            held = item if item.pts >= first and (last is None or item.pts < last) else None
            empty = empty and held is None
            if last is not None and item.pts >= last:
                break
        if held is not None and skip <= 0:
            yield self._frame(held, held.picture.duration or self._nominal)
        if empty:
            seconds = float((first - self._first.pts) * self.info.time_base)
            raise InputError(
                f"{self.name}: no frame from {seconds:.3f} s on in the range asked for",
                "choose a smaller start or a longer duration",
            )

    def _frame(self, item: _Decoded, duration: int) -> Frame:
        tags = picture_tags(item.picture, self._stream)
        check_supported(tags, self.name)
        rgb = self._orientation.apply(self._rgb(item.picture, tags))
        if self._rgb.saw_transparency:
            self._say("transparent pixels were composited on black")
        return Frame(rgb, item.pts, max(1, duration))

    def _say(self, what: str) -> None:
        """Log a warning, each once."""
        if what not in self._warned:
            self._warned.add(what)
            log.warning("%s: %s", self.name, what)


def _chain(first: _Decoded, rest: Iterator[_Decoded]) -> Iterator[_Decoded]:
    yield first
    yield from rest
