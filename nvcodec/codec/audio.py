"""Copies a source's audio packets into a `.mvt` file, in step with its segments."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from itertools import islice

import bitstream
from nvcodec.codec import mapping
from nvcodec.codec.plain import time_base_of
from nvcodec.video.audio import AudioPacket, AudioReader, read_audio
from nvcodec.video.info import VideoInfo

#: Packets and bytes of one record, far below the container's caps.
BATCH_PACKETS = 256
BATCH_BYTES = 1 << 20


class AudioCopier:
    """Audio of a part of one source; has no streams where there is none."""

    def __init__(self, source: str, info: VideoInfo, start: float | None, duration: float | None,
                 stack: ExitStack) -> None:
        self._source, self._start, self._duration = source, start, duration
        self._reader: AudioReader | None = None
        self._packets: Iterator[AudioPacket] = iter(())
        self._next: AudioPacket | None = None
        self._copied = 0
        self._bases: dict[int, Fraction] = {}
        self._shift = Fraction(0)
        self.streams: list[bitstream.AudioStream] = []
        if source != "-" and info.audio:
            self._reader = stack.enter_context(self._open())
            self.streams = [mapping.pack_stream(s) for s in self._reader.streams]
            self._bases = {s.index: s.time_base for s in self._reader.streams}
            self._packets = iter(self._reader)
            self._next = next(self._packets, None)

    def _open(self) -> AudioReader:
        return read_audio(self._source, self._start, self._duration)

    def shift_by(self, seconds: Fraction) -> None:
        """Times of all packets go down by this much (a source that is not read from its start)."""
        self._shift = seconds

    @contextmanager
    def rehearse(self) -> Iterator[AudioCopier]:
        """A twin that goes on from here, to try out what the rest takes; reads the source anew."""
        twin = copy.copy(self)
        if self._next is None:
            yield twin
            return
        with self._open() as packets:
            twin._packets = islice(iter(packets), self._copied, None)
            twin._next = next(twin._packets, None)
            yield twin

    def store(self, writer: bitstream.Writer, segment: bitstream.Segment) -> None:
        """Write a segment and the packets that belong beside it."""
        writer.write_segment(segment)
        self.copy_until(writer, segment.end_pts * time_base_of(writer.header))

    def copy_until(self, writer: bitstream.Writer, end: Fraction | None) -> None:
        """Write every packet that begins before `end` seconds (None: all that are left)."""
        batches: dict[int, list[bitstream.Packet]] = {}
        size = 0
        while self._next is not None and (end is None or self._time(self._next) < end):
            packet, self._next = self._next, next(self._packets, None)
            self._copied += 1
            ticks = round(self._shift / self._bases[packet.stream])
            batches.setdefault(packet.stream, []).append(mapping.pack_packet(packet, ticks))
            size += len(packet.data)
            if size > BATCH_BYTES or len(batches[packet.stream]) >= BATCH_PACKETS:
                _write(writer, batches)
                size = 0
        _write(writer, batches)

    def _time(self, packet: AudioPacket) -> Fraction:
        ticks = packet.pts if packet.pts is not None else packet.dts or 0
        return ticks * self._bases[packet.stream] - self._shift


def _write(writer: bitstream.Writer, batches: dict[int, list[bitstream.Packet]]) -> None:
    for index, packets in batches.items():
        writer.write_audio(bitstream.AudioPackets(index, tuple(packets)))
    batches.clear()
