"""Audio is copied, never decoded: compressed packets out of one container and into another.

    with read_audio("in.mp4") as audio:
        with VideoWriter("out.mp4", ..., audio_streams=audio.streams) as out:
            for packet in audio:
                out.write_audio(packet)

Packets are read from the file as they are asked for, in the order in which the file interleaves
them.
"""

from __future__ import annotations

import io
import logging
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType

import av
from av.audio.stream import AudioStream as AvAudioStream
from av.container import InputContainer
from av.stream import Discard, Stream

from nvcodec.errors import InputError, OutputError
from nvcodec.video import source
from nvcodec.video.info import AudioStream

__all__ = ["AudioPacket", "AudioReader", "AudioStream", "audio_template", "read_audio"]

log = logging.getLogger("nvcodec.video")


@dataclass(frozen=True)
class AudioPacket:
    """One compressed audio packet.

    Attributes:
        stream: `AudioStream.index` of its track.
        pts, dts: ticks of that track's time base; None where the file has none. Negative before
            time 0: encoder priming, which players skip.
        duration: in ticks; 0 if unknown.
        is_key: decodable without packets before it.
        data: the payload.
    """

    stream: int
    pts: int | None
    dts: int | None
    duration: int
    is_key: bool
    data: bytes


def audio_streams(container: InputContainer) -> tuple[AudioStream, ...]:
    """Describe the audio tracks of an open container, except those FFmpeg cannot decode."""
    return tuple(
        _describe(index, stream)
        for index, stream in enumerate(container.streams.audio)
        if stream.codec_context is not None
    )


def _describe(index: int, stream: AvAudioStream) -> AudioStream:
    context = stream.codec_context
    return AudioStream(
        index=index,
        codec=context.codec.canonical_name,
        time_base=stream.time_base or Fraction(1, context.sample_rate or 48000),
        sample_rate=context.sample_rate,
        channels=context.channels,
        layout=context.layout.name,
        extradata=context.extradata or b"",
        language=stream.language,
    )


def read_audio(
    path: str | os.PathLike[str], start: float | None = None, duration: float | None = None
) -> AudioReader:
    """Open the audio tracks of a video for copying.

    Args:
        path: a file (not "-": standard input can be read once only, and the video reads it).
        start, duration: in seconds from the first video frame, as in `VideoSource.frames`; packets
            that begin in that range are given. With `start` None or 0 priming packets before it are
            too.

    Returns:
        A context manager and iterator of AudioPacket; it gives none if the file has no audio.

    Raises:
        InputError: missing, a folder, empty or unreadable; while iterating: damage.
    """
    return AudioReader(os.fspath(path), start, duration)


class AudioReader:
    """See `read_audio`. `streams` describes the tracks; iterating yields their packets."""

    def __init__(self, path: str, start: float | None, duration: float | None) -> None:
        self.name = path
        self._closed = False
        self._container = source.open_container(path)
        self.streams = audio_streams(self._container)
        for stream in self._container.streams.video:
            stream.discard = Discard.all
        origin = _video_start(self._container)
        self._from = origin + Fraction(start) if start else None
        self._to = origin + Fraction(start or 0) + Fraction(duration) if duration else None

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file; an iterator that is under way ends."""
        self._closed = True
        self._container.close()

    def __iter__(self) -> Iterator[AudioPacket]:
        if self._closed:
            return
        tracks = [self._container.streams.audio[stream.index] for stream in self.streams]
        if not tracks:
            return
        number = {track.index: one.index for track, one in zip(tracks, self.streams, strict=True)}
        if self._from is not None:
            self._seek(self._from)
        ended: set[int] = set()
        count = 0
        try:
            for packet in self._container.demux(*tracks):
                if not packet.size:
                    continue
                index = number[packet.stream_index]
                where = self._place(packet)
                if where > 0:
                    ended.add(index)
                    if len(ended) == len(tracks):
                        return
                elif where == 0:
                    count += 1
                    yield _copy(packet, index)
                    if self._closed:  # FFmpeg would crash on the next read
                        return
        except av.FFmpegError as error:
            raise InputError(
                f"{self.name}: damaged at audio packet {count} ({source.reason(error)})",
                "copy or download it again, or leave the audio out (--no-audio)",
            ) from error

    def _seek(self, seconds: Fraction) -> None:
        try:
            self._container.seek(int(seconds * av.time_base))
        except av.FFmpegError:
            log.debug("%s: cannot seek; audio is read from the beginning", self.name)

    def _place(self, packet: av.Packet[Stream]) -> int:
        """-1 before the range, 0 in it, 1 after it."""
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks is None:
            return 0
        time = ticks * packet.time_base
        if self._from is not None and time < self._from:
            return -1
        return 1 if self._to is not None and time >= self._to else 0


def _copy(packet: av.Packet[Stream], index: int) -> AudioPacket:
    return AudioPacket(
        stream=index,
        pts=packet.pts,
        dts=packet.dts,
        duration=packet.duration or 0,
        is_key=packet.is_keyframe,
        data=bytes(packet),
    )


def _video_start(container: InputContainer) -> Fraction:
    for stream in container.streams.video:
        if stream.start_time is not None and stream.time_base:
            return stream.start_time * stream.time_base
    return Fraction(0)


# -- writing ---------------------------------------------------------------------------------------

# Matroska's name for each codec that can be copied, and the bits per sample of raw PCM.
_MATROSKA = {
    "aac": ("A_AAC", 0), "mp3": ("A_MPEG/L3", 0), "mp2": ("A_MPEG/L2", 0), "ac3": ("A_AC3", 0),
    "eac3": ("A_EAC3", 0), "dts": ("A_DTS", 0), "truehd": ("A_TRUEHD", 0), "opus": ("A_OPUS", 0),
    "vorbis": ("A_VORBIS", 0), "flac": ("A_FLAC", 0), "alac": ("A_ALAC", 0),
    "pcm_u8": ("A_PCM/INT/LIT", 8), "pcm_s16le": ("A_PCM/INT/LIT", 16),
    "pcm_s24le": ("A_PCM/INT/LIT", 24), "pcm_s32le": ("A_PCM/INT/LIT", 32),
    "pcm_s16be": ("A_PCM/INT/BIG", 16), "pcm_s24be": ("A_PCM/INT/BIG", 24),
    "pcm_f32le": ("A_PCM/FLOAT/IEEE", 32), "pcm_f64le": ("A_PCM/FLOAT/IEEE", 64),
}  # fmt: skip


def audio_template(audio: AudioStream, priming: Fraction = Fraction(0)) -> InputContainer:
    """An open container that holds nothing but `audio`'s set-up, for `add_stream_from_template`.

    PyAV fills a stream's parameters only from another file's stream or from an encoder, and an
    encoder would put its own set-up bytes in the place of the source's. So a Matroska header of
    some 200 bytes is made in memory and opened.

    Args:
        audio: the track.
        priming: seconds of encoder priming to declare (Matroska's CodecDelay).

    Raises:
        OutputError: the codec is not one that can be copied.
    """
    if audio.codec not in _MATROSKA:
        raise OutputError(
            f"audio codec {audio.codec} cannot be copied", "convert the audio to AAC first"
        )
    name, bits = _MATROSKA[audio.codec]
    private = audio.extradata
    if audio.codec == "flac" and not private.startswith(b"fLaC"):
        private = b"fLaC\x80\x00\x00" + bytes([len(private)]) + private
    if audio.codec == "alac":
        private = private[12:]  # Matroska leaves out the atom's size, name and flags
    sound = _element(0xB5, struct.pack(">d", audio.sample_rate)) + _number(0x9F, audio.channels)
    if bits:
        sound += _number(0x6264, bits)
    track = _number(0xD7, 1) + _number(0x73C5, 1) + _number(0x83, 2)
    track += _element(0x86, name.encode()) + _element(0xE1, sound)
    if private:
        track += _element(0x63A2, private)
    if priming > 0:
        track += _number(0x56AA, round(priming * 10**9))
    body = _element(0x1549A966, _number(0x2AD7B1, 1_000_000))
    body += _element(0x1654AE6B, _element(0xAE, track))
    body += _element(0x1F43B675, _number(0xE7, 0))
    head = _element(0x1A45DFA3, _element(0x4282, b"matroska") + _number(0x4287, 4))
    return av.open(io.BytesIO(head + _element(0x18538067, body)), "r", format="matroska")


def _element(ident: int, payload: bytes) -> bytes:
    """An EBML element: its ID as it stands, an 8-byte length, the payload."""
    size = (1 << 56) | len(payload)
    return ident.to_bytes((ident.bit_length() + 7) // 8, "big") + size.to_bytes(8, "big") + payload


def _number(ident: int, value: int) -> bytes:
    return _element(ident, value.to_bytes(8, "big"))
