"""RGB frames with timestamps -> a video file of the kind its extension names (see formats.py).

    with VideoWriter("out.mp4", info.width, info.height, info.fps, info.time_base, info.color) as
    out:
        for frame in frames:
            out.write(frame.rgb, frame.pts, frame.duration)

The file appears under its name when it is whole, and not at all after an error.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from fractions import Fraction
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from nvcodec.errors import NvcodecError, OutputError, UsageError
from nvcodec.video.atomic import AtomicFile, atomic_output
from nvcodec.video.audio import AudioPacket, AudioStream
from nvcodec.video.color import UNTAGGED, ColorTags
from nvcodec.video.formats import OutputFormat, choose_format
from nvcodec.video.info import Chapter
from nvcodec.video.sinks import ContainerSink, PngSink, Track

__all__ = ["VideoWriter", "atomic_output"]

log = logging.getLogger("nvcodec.video")

# Audio that comes before the first video frame is held back until the frame's time is known.
_MAX_HELD_PACKETS = 10_000


class VideoWriter:
    """Writes one video. A context manager: leaving it closes, leaving it by an error aborts.

    Times: .mp4 and .mov keep every timestamp and the last frame's duration exactly (the track's
    timescale is the time base's denominator); .mkv and .webm round to 1 ms; .y4m and .png hold
    none, and are told so by a warning if frame durations vary. If the first timestamp is negative,
    which no output container can show, video and audio are shifted together so that it becomes 0
    (logged).

    Args:
        path: the target; "-" writes y4m to standard output.
        width, height: of the frames, in pixels; any positive size, odd ones too.
        fps: average frames per second (rate control, and the rate of y4m).
        time_base: seconds per tick of `pts` and `duration`.
        color: the source's tags; matrix and range are written as given, unspecified ones by
            convention.
        sample_aspect_ratio: width / height of one pixel.
        rotation: clockwise degrees (0, 90, 180, 270) that players shall turn the picture by.
        crf: 0..51 (H.264) or 0..63 (VP9), lower is better; None for the format's default.
        audio_streams: tracks whose packets `write_audio` will bring. Codecs that the container
            cannot hold are left out with a logged warning.
        metadata: the container's tags, such as {"title": "..."}.
        chapters: in seconds.
        force: replace an existing target.
        threads: encoder threads; 0 means one per core.

    Raises:
        OutputError: target exists without `force`, unwritable, disk full, or no frame was written.
        UsageError: unknown extension, impossible size, rate, rotation or crf.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        width: int,
        height: int,
        fps: Fraction,
        time_base: Fraction,
        color: ColorTags = UNTAGGED,
        sample_aspect_ratio: Fraction = Fraction(1),
        rotation: int = 0,
        *,
        crf: float | None = None,
        audio_streams: Sequence[AudioStream] = (),
        metadata: Mapping[str, str] | None = None,
        chapters: Sequence[Chapter] = (),
        force: bool = False,
        threads: int = 1,
    ) -> None:
        self.name = os.fspath(path)
        self._form = choose_format(self.name)
        self._track = Track(
            width, height, Fraction(fps), Fraction(time_base), color,
            Fraction(sample_aspect_ratio), rotation, crf, threads, dict(metadata or {}), chapters,
        )  # fmt: skip
        _check(self._track, self._form)
        self._last: int | None = None
        self._shift = 0
        self._steps: set[int] = set()
        self._held: list[AudioPacket] = []
        self._open = True
        self._file: AtomicFile | None = None
        self._sink: ContainerSink | PngSink
        if self._form.codec == "png":
            self._sink = PngSink(self.name, self._track, force)
            return
        if self.name != "-":
            self._file = AtomicFile(self.name, force)
        target = "-" if self._file is None else str(self._file.path)
        try:
            self._sink = ContainerSink(target, self.name, self._form, self._track, audio_streams)
        except BaseException:
            self._remove()
            raise

    @property
    def color(self) -> ColorTags:
        """The tags that are written to the output: matrix and range are definite."""
        return self._sink.color

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def write(self, rgb: NDArray[np.uint8], pts: int, duration: int) -> None:
        """Write the next frame.

        Args:
            rgb: uint8 [height, width, 3], full range 0..255.
            pts: in ticks, greater than the last one's.
            duration: in ticks; counts for the last frame, others last until the next.

        Raises:
            UsageError: wrong shape or type, timestamps that do not increase, or a closed writer.
            OutputError: the file cannot be written.
        """
        self._check_open()
        track = self._track
        if rgb.dtype != np.uint8 or rgb.shape != (track.height, track.width, 3):
            raise UsageError(
                f"{self.name}: a frame is {rgb.dtype} {list(rgb.shape)}",
                f"give uint8 [{track.height}, {track.width}, 3]",
            )
        if self._last is None:
            self._begin(pts)
        elif pts <= self._last:
            raise UsageError(
                f"{self.name}: timestamp {pts} follows {self._last}", "give increasing timestamps"
            )
        else:
            self._note_step(pts - self._last)
        self._last = pts
        self._sink.write(rgb, pts + self._shift, max(1, duration))

    def write_audio(self, packet: AudioPacket) -> None:
        """Copy an audio packet of one of `audio_streams`.

        Give packets roughly in time with the frames: what runs ahead is held in memory.

        Raises:
            UsageError: a closed writer.
            OutputError: the file cannot be written.
        """
        self._check_open()
        if self._last is None and len(self._held) < _MAX_HELD_PACKETS:
            self._held.append(packet)
        else:
            self._sink.write_audio(packet, self._shift * self._track.time_base)

    def close(self) -> None:
        """Finish the file and give it its name. Closing twice is harmless.

        Raises:
            OutputError: no frame was written, or the file cannot be written.
        """
        if not self._open:
            return
        if self._last is None:
            self.abort()
            raise OutputError(f"{self.name}: no frame was written", "give at least one frame")
        try:
            self._sink.finish()
        except BaseException:
            self.abort()
            raise
        self._open = False
        if self._file is not None:
            self._file.commit()

    def abort(self) -> None:
        """Give up: remove the temporary file and leave the target as it was."""
        if not self._open:
            return
        self._open = False
        self._sink.abandon()
        self._remove()

    def _remove(self) -> None:
        if self._file is not None:
            self._file.abort()

    def _begin(self, pts: int) -> None:
        if pts < 0 and not self._form.constant_rate:
            self._shift = -pts
            seconds = float(-pts * self._track.time_base)
            log.warning("%s: times shifted by %.3f s to begin at 0", self.name, seconds)
        for packet in self._held:
            self._sink.write_audio(packet, self._shift * self._track.time_base)
        self._held.clear()

    def _note_step(self, step: int) -> None:
        if not self._form.constant_rate or len(self._steps) > 1:
            return
        # Constant rates in coarse ticks (1 ms) alternate by one tick; that is not variable.
        if self._steps and abs(step - next(iter(self._steps))) > 1:
            log.warning("%s: holds a constant rate only; frame times are lost", self.name)
            self._steps.add(step)
        elif not self._steps:
            self._steps.add(step)

    def _check_open(self) -> None:
        if not self._open:
            raise UsageError(f"{self.name}: the writer is closed", "open a new one")


def _check(track: Track, form: OutputFormat) -> None:
    problem: NvcodecError | None = None
    if track.width < 1 or track.height < 1:
        problem = UsageError(f"size {track.width}x{track.height}", "give positive sizes")
    elif track.fps <= 0 or track.time_base <= 0:
        problem = UsageError(
            f"fps {track.fps}, time base {track.time_base}", "give positive numbers"
        )
    elif track.rotation % 90:
        problem = UsageError(f"rotation {track.rotation}", "give 0, 90, 180 or 270")
    elif track.sample_aspect_ratio <= 0:
        problem = UsageError(f"pixel aspect {track.sample_aspect_ratio}", "give a positive ratio")
    elif track.crf is not None:
        top = 63 if form.codec == "libvpx-vp9" else 51
        if not 0 <= track.crf <= top:
            problem = UsageError(f"crf {track.crf}", f"give 0 (best) to {top}")
    if problem is not None:
        raise problem
