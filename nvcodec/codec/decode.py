"""`.mvt` file -> video file, segment by segment in bounded memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import bitstream
from nvcodec.codec import mapping
from nvcodec.codec.damage import Found, Slot, gap_of, other_problems, slots_of, stream_items
from nvcodec.codec.events import DecodeReport, Gap, Listener, Progress, ignore
from nvcodec.codec.overlap import Behind
from nvcodec.codec.pictures import DecodedFrame, Pictures, SegmentDecoder
from nvcodec.codec.plain import (
    check_precision,
    fps_of,
    passing_damage,
    plain_errors,
    time_base_of,
)
from nvcodec.codec.span import EVERYTHING, Span, check_times
from nvcodec.errors import CorruptFileError, NvcodecError, UsageError
from nvcodec.video.audio import AudioPacket
from nvcodec.video.writer import VideoWriter


@dataclass(frozen=True)
class DecodeOptions:
    """What to make of a `.mvt` file.

    Attributes:
        start, duration: part to decode, in seconds from the first frame.
        crf: quality of the output's encoder; None is visually lossless.
        audio: write the audio tracks.
        recover: read what is whole of a truncated or damaged file, and leave out the rest.
        conceal: as recover, but hold the last whole picture in place of lost segments. Number and
            times of the frames stay right.
        device: "auto", "cpu", "cuda", ...
        precision: of the network: "float32", "int8", or "auto" for the faster one.
        force: replace an existing target.
    """

    start: float | None = None
    duration: float | None = None
    crf: float | None = None
    audio: bool = True
    recover: bool = False
    conceal: bool = False
    device: str = "auto"
    precision: str = "auto"
    force: bool = False

    def __post_init__(self) -> None:
        check_times(self.start, self.duration)
        check_precision(self.precision)


def decode(source: str | Path, target: str | Path, options: DecodeOptions | None = None,
           listen: Listener = ignore) -> DecodeReport:
    """Decode a `.mvt` file ("-" is standard input) to a video by the target's extension.

    Raises CorruptFileError, UnsupportedFileError, OutputError, UsageError; the target appears only
    when it is whole.
    """
    options = options or DecodeOptions()
    with plain_errors(str(source)), ExitStack() as stack:
        return _Job(str(source), str(target), options, listen, stack).run()


class _Job:
    """One decode: everything that its steps share."""

    def __init__(self, source: str, target: str, options: DecodeOptions, listen: Listener,
                 stack: ExitStack) -> None:
        self.source, self.target, self.options, self.listen = source, target, options, listen
        self.lenient = options.recover or options.conceal
        self.items: Iterator[Any]
        self.reader: bitstream.Reader | bitstream.StreamReader
        self.total: int | None = None
        self.meta: dict[str, Any] = {}
        self.streams: list[bitstream.AudioStream] = []
        self.gaps: list[Gap] = []
        self.told: list[bitstream.BitstreamError] = []
        self.number = self.shift = self.origin = 0
        self.span = EVERYTHING
        if source == "-":
            self.reader = bitstream.StreamReader(sys.stdin.buffer, self.lenient)
            self.decoder = SegmentDecoder(self.reader.header, options.device,
                                          options.precision)
            self.items = self._peek(stream_items(self.reader))
        else:
            self.reader = stack.enter_context(self._open_reader())
            self.decoder = SegmentDecoder(self.reader.header, options.device,
                                          options.precision)
            self.items = self._seek(self.reader)

    def run(self) -> DecodeReport:
        header = self.reader.header
        start, done, filled = time.perf_counter(), 0, 0
        pictures = Pictures(self.decoder, self._lose, self.lenient, self.options.conceal,
                            self.number, self.span)
        with self._open_writer(header) as out, Behind[Callable[[], None]](_call) as writing:
            for item in pictures.of(self.items, in_thread=self.source != "-"):
                if isinstance(item, DecodedFrame):
                    if self.options.start and not self.shift:
                        self.shift = item.pts  # the output begins at time 0
                    writing.put(partial(out.write, item.rgb, item.pts - self.shift, item.duration))
                    done, filled = done + 1, filled + item.is_filled
                    self.listen(Progress(done, self.total, None, "decode"))
                elif isinstance(item, bitstream.AudioPackets) and self.options.audio:
                    for packet in self._wanted_audio(item):
                        writing.put(partial(out.write_audio, packet))
            if not done:
                raise self._nothing()
        warnings = [str(gap) for gap in self.gaps]
        return DecodeReport(
            source=self.source, target=self.target, model=header.model, width=header.width,
            height=header.height, frames=done, seconds=time.perf_counter() - start,
            bytes_read=self.reader.bytes_read, concealed=filled, gaps=self.gaps,
            precision=self.decoder.model.precision,
            warnings=warnings + other_problems(self.reader.problems, self.told))

    def _open_writer(self, header: bitstream.Header) -> VideoWriter:
        tracks = [mapping.unpack_stream(s) for s in self.streams] if self.options.audio else []
        return VideoWriter(
            self.target, header.width, header.height, fps_of(header),
            time_base_of(header), mapping.color_of(header),
            Fraction(header.sar_num, header.sar_den), crf=self.options.crf, audio_streams=tracks,
            metadata=mapping.tags_of(self.meta),
            chapters=() if self.options.start else mapping.chapters_of(self.meta),
            force=self.options.force)

    # -- reading ---------------------------------------------------------------------------------

    def _open_reader(self) -> bitstream.Reader:
        """The file; where its framing is damaged, an error that names the frames it costs."""
        try:
            return bitstream.Reader(self.source, self.lenient)
        except bitstream.CorruptError as error:
            if not self.lenient:
                self._place(error)
            raise

    def _place(self, error: bitstream.CorruptError) -> None:
        """Say of an error which frames it costs, or behind which it stands."""
        with suppress(bitstream.BitstreamError), \
                bitstream.Reader(self.source, recover=True) as reader:
            self.reader = reader
            slots = slots_of(reader)
            self.origin, number, end = slots[0].first_pts, 0, 0
            for slot in slots:
                found = slot.read()
                if isinstance(found, bitstream.LostSegment):
                    self._lose(found, number)
                if slot.offset < (error.offset or 0):
                    number, end = number + slot.frame_count, slot.end_pts - self.origin
            self._add_place(error, number, end)

    def _add_place(self, error: bitstream.CorruptError, number: int, ticks: int) -> None:
        seconds = float(ticks * time_base_of(self.reader.header))
        error.message = f"after {number} whole frames ({seconds:.3f} s): {error.message}"

    def _seek(self, reader: bitstream.Reader) -> Iterator[Any]:
        """Only the segments that hold wished frames, and the audio that lies with them."""
        slots = slots_of(reader)
        self._set_span(slots[0].first_pts)
        chosen = self.span.choose(slots)
        if self.options.start is None and self.options.duration is None:
            self.total = sum(s.frame_count for s in slots)
        self._read_configuration(reader)
        reads: list[tuple[int, Callable[[], Any]]] = []
        if chosen:
            a, b = self._widen(slots, chosen[0], chosen[-1])
            self.number = sum(s.frame_count for s in slots[:a])
            reads = [(s.offset, s.read) for s in slots[a:b + 1]]
            # Packets stand behind the segment they accompany, before the next.
            begin = slots[a].offset if a else 0
            stop = slots[b + 1].offset if b + 1 < len(slots) else None
            reads += [(e.offset, partial(reader.read_audio, e)) for e in reader.index.audio
                      if e.is_packets and e.offset > begin and (stop is None or e.offset < stop)]
        return self._read_all([read for _, read in sorted(reads, key=lambda r: r[0])])

    def _widen(self, slots: list[Slot], a: int, b: int) -> tuple[int, int]:
        """Take in the whole segment before a lost beginning, or else the one behind."""
        if not self.options.conceal or (a == 0 and b + 1 == len(slots)):
            return a, b
        while a > 0 and self._is_lost(slots[a]):
            a -= 1
        if self._is_lost(slots[a]):
            while b + 1 < len(slots) and self._is_lost(slots[b]):
                b += 1
        return a, b

    def _is_lost(self, slot: Slot) -> bool:
        found = slot.read()
        try:
            return isinstance(found, bitstream.LostSegment) or not list(self.decoder.latents(found))
        except bitstream.CorruptError:
            return True

    def _read_configuration(self, reader: bitstream.Reader) -> None:
        """Tags and audio tracks; those that are damaged are done without where that is wished."""
        with self._passing_damage():
            self.meta = reader.meta
        for entry in reader.index.audio:
            if not entry.is_packets:
                with self._passing_damage():
                    record = reader.read_audio(entry)
                    assert isinstance(record, bitstream.AudioStream)
                    self.streams.append(record)

    def _read_all(self, reads: Iterable[Callable[[], Any]]) -> Iterator[Any]:
        """Results of `reads`, without those that are damaged where recovery is wished."""
        for read in reads:
            with self._passing_damage():
                yield read()

    def _peek(self, items: Iterator[Any]) -> Iterator[Any]:
        """Tags and audio tracks come before the first segment: read up to it."""
        held: list[Any] = []
        located = self._located(items)
        for item in located:
            held.append(item)
            if isinstance(item, Found):
                self._set_span(item.first_pts)
                break
        self.streams = [i for i in held if isinstance(i, bitstream.AudioStream)]
        self.meta = next((i.values for i in held if isinstance(i, bitstream.Meta)), {})
        return chain(held, located)

    def _located(self, items: Iterator[Any]) -> Iterator[Any]:
        """The items; damage that ends them is told with the frames before it."""
        number, ticks = 0, 0
        try:
            for item in items:
                yield item
                if isinstance(item, Found):
                    number, ticks = number + item.frame_count, item.end_pts - self.origin
        except bitstream.CorruptError as error:
            self._add_place(error, number, ticks)
            raise

    # -- damage ----------------------------------------------------------------------------------

    def _passing_damage(self) -> AbstractContextManager[None]:
        return passing_damage(self.lenient, self.reader.problems)

    def _lose(self, lost: bitstream.LostSegment, number: int) -> None:
        """Note a lost segment, or stop at it."""
        gap = gap_of(lost, number, self.origin, self.reader.header, self.options.conceal)
        if not self.lenient:
            raise CorruptFileError(
                f"{self.source}: {gap.where} are lost: {gap.problem}",
                "decode --conceal fills them in, --recover leaves them out")
        self.gaps.append(gap)
        self.told.append(lost.error)

    def _nothing(self) -> NvcodecError:
        if self.gaps:
            return CorruptFileError(f"{self.source}: no whole segment is left in what was asked",
                                    "get another copy of the file")
        return UsageError(f"{self.source} has no frame at {self.options.start or 0} s",
                          "ask for an earlier start")

    # -- the wished part -------------------------------------------------------------------------

    def _set_span(self, origin: int) -> None:
        """The wished part of a video that begins at tick `origin`."""
        self.origin = origin
        self.span = Span.of(self.reader.header, origin, self.options.start, self.options.duration)

    def _wanted_audio(self, record: bitstream.AudioPackets) -> Iterator[AudioPacket]:
        """The record's packets inside the wished part, moved as its frames are."""
        packets = mapping.unpack_packets(record)
        if self.options.start is None and self.options.duration is None:
            yield from packets
            return
        stream = next((s for s in self.streams if s.index == record.index), None)
        if stream is None:  # its configuration is lost
            return
        base = Fraction(stream.time_base_num, stream.time_base_den)
        video = time_base_of(self.reader.header)
        first, last = self.span.first * video, self.span.last * video
        moved_by = round((self.shift * video or first) / base) if self.options.start else 0
        for p in packets:
            ticks = p.pts if p.pts is not None else p.dts or 0
            if first <= ticks * base < last:
                pts, dts = (None if v is None else v - moved_by for v in (p.pts, p.dts))
                yield AudioPacket(p.stream, pts, dts, p.duration, p.is_key, p.data)


def _call(action: Callable[[], None]) -> None:
    action()
