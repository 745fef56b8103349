"""Where encoded frames go: a container with tracks, or PNG files."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
from av.container import InputContainer
from av.stream import Stream
from numpy.typing import NDArray

from nvcodec.errors import OutputError
from nvcodec.video import source
from nvcodec.video.atomic import AtomicFile
from nvcodec.video.audio import AudioPacket, AudioStream, audio_template
from nvcodec.video.color import UNTAGGED, ColorTags, RgbToYuv
from nvcodec.video.formats import OutputFormat, encoder_options, output_color
from nvcodec.video.info import Chapter

__all__ = ["ContainerSink", "PngSink", "Track"]

log = logging.getLogger("nvcodec.video")

_MAX_TIMESCALE = 2**31 - 1


@dataclass(frozen=True)
class Track:
    """Everything about the video track that is fixed before the first frame.

    Attributes:
        width, height: in pixels, as written (before `rotation`).
        fps: average frames per second.
        time_base: seconds per tick of the frames' timestamps.
        color: the source's tags.
        sample_aspect_ratio: width / height of one pixel.
        rotation: clockwise degrees by which players are to turn the picture.
        crf: quality of the lossy codecs; None for the format's default.
        threads: encoder threads; 0 means one per core.
    """

    width: int
    height: int
    fps: Fraction
    time_base: Fraction
    color: ColorTags = UNTAGGED
    sample_aspect_ratio: Fraction = Fraction(1)
    rotation: int = 0
    crf: float | None = None
    threads: int = 1
    metadata: dict[str, str] = field(default_factory=dict)
    chapters: Sequence[Chapter] = ()


class ContainerSink:
    """A video track and copied audio tracks in one container, written to `path` in one pass."""

    def __init__(
        self, path: str, name: str, form: OutputFormat, track: Track, audio: Sequence[AudioStream]
    ) -> None:
        self._name = name
        self._form = form
        self._track = track
        self._frames = 0
        self._durations: dict[int, int] = {}
        self._last_dts: dict[int, int] = {}
        self._templates: list[InputContainer] = []
        pix_fmt = form.pix_fmt(track.width, track.height)
        self.color = output_color(form, track.color, track.width, track.height)
        self._yuv = RgbToYuv(pix_fmt, self.color)
        # A container without timestamps counts frames.
        self._base = 1 / track.fps if form.constant_rate else track.time_base
        url = "pipe:1" if path == "-" else f"file:{path}"
        try:
            self._container = av.open(
                url, "w", format=form.muxer, container_options=self._muxer_options(audio)
            )
            self._container.metadata.update(track.metadata)
            self._video = self._add_video(pix_fmt)
            self._audio = {one.index: self._add_audio(one) for one in audio}
            if track.chapters and not form.constant_rate:
                self._container.set_chapters([_chapter(i, c) for i, c in enumerate(track.chapters)])
        except (av.FFmpegError, OSError, ValueError) as error:
            raise _failed(name, error) from error

    def _muxer_options(self, audio: Sequence[AudioStream]) -> dict[str, str]:
        if self._name == "-":
            return {"flush_packets": "1"}  # who reads the pipe gets each frame at once
        if not self._form.exact_ticks:
            return {}
        # mp4 keeps times in 1/timescale seconds: the track's own ticks, and for the edit list (the
        # first frame's offset) and chapters ticks that hold those of video, audio and milliseconds
        # alike.
        scale = min(self._base.denominator, _MAX_TIMESCALE)
        sound = [stream.time_base.denominator for stream in audio]
        choices = (math.lcm(scale, 1000, *sound), math.lcm(scale, *sound), math.lcm(scale, 1000))
        movie = next((choice for choice in choices if choice <= _MAX_TIMESCALE), scale)
        return {"video_track_timescale": str(scale), "movie_timescale": str(movie)}

    def _add_video(self, pix_fmt: str) -> av.VideoStream:
        track = self._track
        options = encoder_options(self._form.codec, track.crf, track.threads)
        stream = self._container.add_stream(self._form.codec, rate=track.fps, options=options)
        assert isinstance(stream, av.VideoStream)
        context = stream.codec_context
        context.width, context.height = track.width, track.height
        context.pix_fmt = pix_fmt
        context.time_base = self._base
        stream.time_base = self._base
        context.sample_aspect_ratio = track.sample_aspect_ratio
        if track.sample_aspect_ratio != 1 and self._form.codec != "libx264":
            # PyAV sets the codec's aspect but not the stream's, which is the one these muxers
            # write.
            log.warning("%s: pixel aspect %s is not stored", self._name, track.sample_aspect_ratio)
        context.colorspace = self.color.matrix
        context.color_primaries = self.color.primaries
        context.color_trc = self.color.transfer
        context.color_range = 2 if self.color.full_range else 1
        if track.rotation % 360:
            stream.set_display_rotation(-track.rotation)  # PyAV's degrees are counter-clockwise
        return stream

    def _add_audio(self, audio: AudioStream) -> Stream | None:
        if audio.codec not in self._form.audio:
            log.warning(
                "%s: audio track %d left out: %s cannot hold %s",
                self._name, audio.index, self._form.muxer, audio.codec,
            )  # fmt: skip
            return None
        template = audio_template(audio)
        self._templates.append(template)
        stream = self._container.add_stream_from_template(template.streams.audio[0])
        stream.time_base = audio.time_base
        if audio.language:
            stream.metadata["language"] = audio.language
        return stream

    def write(self, rgb: NDArray[np.uint8], pts: int, duration: int) -> None:
        """Encode one uint8 RGB frame [height, width, 3]; ticks of the track's time base."""
        frame = self._yuv(rgb)
        if self._form.constant_rate:
            pts, duration = self._frames, 1
        frame.pts = pts
        frame.time_base = self._base
        self._durations[pts] = duration
        self._frames += 1
        try:
            self._mux(self._video.encode(frame))
        except (av.FFmpegError, OSError) as error:
            raise _failed(self._name, error) from error

    def _mux(self, packets: list[av.Packet[av.VideoStream]]) -> None:
        for packet in packets:
            # Encoders do not pass durations on, and without one the last frame's would be lost.
            if packet.pts is not None:
                packet.duration = self._durations.pop(packet.pts, 0)
            self._container.mux(packet)

    def write_audio(self, packet: AudioPacket, shift: Fraction) -> None:
        """Copy one packet, `shift` seconds later; those of tracks left out are dropped."""
        stream = self._audio.get(packet.stream)
        if stream is None:
            return
        base = stream.time_base or Fraction(1)
        offset = round(shift / base)
        dts = packet.dts if packet.dts is not None else packet.pts
        copy: av.Packet[Stream] = av.Packet(packet.data)
        if dts is not None:
            # Muxers refuse decoding times that do not increase, which some sources have.
            dts = max(dts + offset, self._last_dts.get(packet.stream, dts + offset - 1) + 1)
            self._last_dts[packet.stream] = dts
            copy.dts = dts
            copy.pts = max(dts, (packet.pts if packet.pts is not None else dts) + offset)
        copy.duration = packet.duration
        copy.time_base = base
        copy.is_keyframe = packet.is_key
        copy.stream = stream
        try:
            self._container.mux(copy)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise _failed(self._name, error) from error

    def finish(self) -> None:
        """Flush the encoder and write the container's end."""
        try:
            self._mux(self._video.encode(None))
            self._container.close()
        except (av.FFmpegError, OSError) as error:
            raise _failed(self._name, error) from error
        self._close_templates()

    def abandon(self) -> None:
        """Release the file without finishing it."""
        try:
            self._container.close()
        except (av.FFmpegError, OSError) as error:
            log.debug("%s: while giving up: %s", self._name, error)
        self._close_templates()

    def _close_templates(self) -> None:
        for template in self._templates:
            template.close()
        self._templates.clear()


class PngSink:
    """PNG files: one, or numbered ones where the name has a `%05d`.

    Each file is written whole, then renamed.
    """

    def __init__(self, path: str, track: Track, force: bool) -> None:
        self._path = path
        self._force = force
        self._numbered = source.has_number(path)
        self._count = 0
        self.color = ColorTags(0, track.color.primaries, track.color.transfer, True)
        self._encoder = av.CodecContext.create("png", "w")
        assert isinstance(self._encoder, av.VideoCodecContext)
        self._encoder.width, self._encoder.height = track.width, track.height
        self._encoder.pix_fmt = "rgb24"
        self._encoder.time_base = 1 / track.fps
        self._encoder.sample_aspect_ratio = track.sample_aspect_ratio
        AtomicFile(self._name(1), force)  # refuse an existing target before any work is done

    def _name(self, number: int) -> str:
        return self._path % number if self._numbered else self._path

    def write(self, rgb: NDArray[np.uint8], pts: int, duration: int) -> None:
        """Write one uint8 RGB frame [height, width, 3] as the next file; times are dropped."""
        del pts, duration
        if self._count == 1 and not self._numbered:
            raise OutputError(
                f"{self._path}: holds one frame only",
                "put a number into the name, as in frame_%05d.png, or ask for one frame",
            )
        self._count += 1
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        frame.pts = self._count
        data = b"".join(bytes(packet) for packet in self._encoder.encode(frame))
        file = AtomicFile(self._name(self._count), self._force)
        try:
            file.path.write_bytes(data)
        except BaseException as error:
            file.abort()
            if isinstance(error, OSError):
                raise _failed(self._path, error) from error
            raise
        file.commit()

    def write_audio(self, packet: AudioPacket, shift: Fraction) -> None:
        """Pictures hold no sound: the packet is dropped."""

    def finish(self) -> None:
        """Nothing is left to do: each file is whole already."""

    def abandon(self) -> None:
        """Files already written stay: each is whole."""


def _chapter(number: int, chapter: Chapter) -> av.container.Chapter:
    base = Fraction(1, 1000)
    return {
        "id": number,
        "start": round(chapter.start / base),
        "end": round(chapter.end / base),
        "time_base": base,
        "metadata": {"title": chapter.title},
    }


def _failed(name: str, error: BaseException) -> OutputError:
    return OutputError(
        f"{name}: cannot be written ({source.reason(error)})",
        "check the free space and permissions, or write another format",
    )
