"""`.mvt` file -> video file, segment by segment in bounded memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import bitstream
from nvcodec.codec import mapping
from nvcodec.codec.coders import TokenCoder, coder_for
from nvcodec.codec.encode import piece_frames
from nvcodec.codec.events import DecodeReport, Listener, Progress, ignore
from nvcodec.codec.overlap import Behind
from nvcodec.codec.plain import fps_of, passing_damage, plain_errors, time_base_of
from nvcodec.codec.span import END, Span, check_times
from nvcodec.errors import UsageError
from nvcodec.models import registry
from nvcodec.models.device import pick_device
from nvcodec.models.tokenizer import DecoderStream, Tokenizer
from nvcodec.segments import latent_pieces
from nvcodec.video.audio import AudioPacket
from nvcodec.video.writer import VideoWriter


@dataclass(frozen=True)
class DecodeOptions:
    """What to make of a `.mvt` file.

    Attributes:
        start, duration: part to decode, in seconds from the first frame.
        crf: quality of the output's encoder; None is visually lossless.
        audio: write the audio tracks.
        recover: read what is whole of a truncated or damaged file.
        device: "auto", "cpu", "cuda", ...
        force: replace an existing target.
    """

    start: float | None = None
    duration: float | None = None
    crf: float | None = None
    audio: bool = True
    recover: bool = False
    device: str = "auto"
    force: bool = False

    def __post_init__(self) -> None:
        check_times(self.start, self.duration)


@dataclass(frozen=True)
class DecodedFrame:
    """uint8 RGB [H, W, 3] with its time and duration in ticks of the file's time base."""

    rgb: NDArray[np.uint8]
    pts: int
    duration: int


def decode(source: str | Path, target: str | Path, options: DecodeOptions | None = None,
           listen: Listener = ignore) -> DecodeReport:
    """Decode a `.mvt` file ("-" is standard input) to a video by the target's extension.

    Raises CorruptFileError, UnsupportedFileError, OutputError, UsageError; the target appears only
    when it is whole.
    """
    options = options or DecodeOptions()
    with plain_errors(str(source)), ExitStack() as stack:
        return _Job(str(source), str(target), options, listen, stack).run()


class SegmentDecoder:
    """Turns segments of one stream into frames. `coder`: that of the header, if it is here."""

    def __init__(self, header: bitstream.Header, device: str = "auto",
                 coder: TokenCoder | None = None) -> None:
        self.header = header
        self.release = registry.find_by_hash(header.model, header.model_sha256)
        mapping.check_matches(header, self.release)
        self.coder = coder or coder_for(header)
        self.model: Tokenizer = registry.load(self.release, pick_device(device))
        self.step = piece_frames(header.width, header.height) // header.time_stride

    def tokens(self, segment: bitstream.Segment) -> NDArray[np.uint32]:
        """The segment's token grid [T', H', W']."""
        shape = self.header.token_shape(segment.frame_count)
        return self.coder.decode(segment.payload, shape, segment.qp)

    def frames(self, segment: bitstream.Segment, last: int = END) -> Iterator[DecodedFrame]:
        """The segment's frames before tick `last`, in order.

        BadTokens before the first if the segment's tokens are damaged.
        """
        grid = torch.from_numpy(self.tokens(segment).astype(np.int32))
        stream = DecoderStream(self.model, segment.qp, self.header.height, self.header.width)
        ends = (*segment.pts[1:], segment.end_pts)
        done = 0
        for a, b in latent_pieces(len(grid), self.step):
            if segment.pts[done] >= last:
                return
            for rgb in stream.push(grid[a:b]).numpy()[:segment.frame_count - done]:
                pts = segment.pts[done]
                if pts >= last:
                    return
                yield DecodedFrame(rgb, pts, ends[done] - pts)
                done += 1


class _Job:
    """One decode: everything that its steps share."""

    def __init__(self, source: str, target: str, options: DecodeOptions, listen: Listener,
                 stack: ExitStack) -> None:
        self.source, self.target, self.options, self.listen = source, target, options, listen
        self.items: Iterator[Any]
        self.reader: bitstream.Reader | bitstream.StreamReader
        self.total: int | None = None
        self.meta: dict[str, Any] = {}
        if source == "-":
            self.reader = bitstream.StreamReader(sys.stdin.buffer, options.recover)
            self.items, self.streams = _peek_streams(iter(self.reader))
        else:
            self.reader = stack.enter_context(bitstream.Reader(source, options.recover))
            self.meta = self.reader.meta
            self.items, self.streams = self._seek(self.reader)
        self.decoder = SegmentDecoder(self.reader.header, options.device)
        self.shift = 0

    def run(self) -> DecodeReport:
        header = self.reader.header
        start, done = time.perf_counter(), 0
        with self._open_writer(header) as out, Behind[Callable[[], None]](_call) as writing:
            for item in self.items:
                if isinstance(item, bitstream.Segment):
                    for frame in self._wanted(item):
                        writing.put(partial(out.write, frame.rgb, frame.pts - self.shift,
                                            frame.duration))
                        done += 1
                        self.listen(Progress(done, self.total, None, "decode"))
                elif isinstance(item, bitstream.AudioPackets) and self.options.audio:
                    for packet in self._wanted_audio(item):
                        writing.put(partial(out.write_audio, packet))
            if not done:
                raise UsageError(f"{self.source} has no frame at {self.options.start or 0} s",
                                 "ask for an earlier start")
        return DecodeReport(
            source=self.source, target=self.target, model=header.model, width=header.width,
            height=header.height, frames=done, seconds=time.perf_counter() - start,
            bytes_read=self.reader.bytes_read,
            warnings=[str(p) for p in self.reader.problems])

    def _open_writer(self, header: bitstream.Header) -> VideoWriter:
        tracks = [mapping.unpack_stream(s) for s in self.streams] if self.options.audio else []
        return VideoWriter(
            self.target, header.width, header.height, fps_of(header),
            time_base_of(header), mapping.color_of(header),
            Fraction(header.sar_num, header.sar_den), crf=self.options.crf, audio_streams=tracks,
            metadata=mapping.tags_of(self.meta),
            chapters=() if self.options.start else mapping.chapters_of(self.meta),
            force=self.options.force)

    def _seek(self, reader: bitstream.Reader) -> tuple[Iterator[Any], list[bitstream.AudioStream]]:
        """Only the segments that hold wished frames, and the audio that lies with them."""
        segments = reader.segments
        chosen = self._span(segments[0].first_pts, reader.header).choose(segments)
        if self.options.start is None and self.options.duration is None:
            self.total = reader.frames
        streams = [reader.read_audio(e) for e in reader.index.audio if not e.is_packets]
        reads: list[tuple[int, Callable[[], Any]]] = [
            (segments[i].offset, partial(reader.read_segment, i)) for i in chosen]
        if chosen:
            # Packets stand behind the segment they accompany, before the next.
            begin = segments[chosen[0]].offset if chosen[0] else 0
            stop = segments[chosen[-1] + 1].offset if chosen[-1] + 1 < len(segments) else None
            reads += [(e.offset, partial(reader.read_audio, e)) for e in reader.index.audio
                      if e.is_packets and e.offset > begin and (stop is None or e.offset < stop)]
        items = self._read_all([read for _, read in sorted(reads, key=lambda r: r[0])])
        return items, [s for s in streams if isinstance(s, bitstream.AudioStream)]

    def _read_all(self, reads: Iterable[Callable[[], Any]]) -> Iterator[Any]:
        """Results of `reads`, without those that are damaged where recovery is wished."""
        for read in reads:
            with passing_damage(self.options.recover, self.reader.problems):
                yield read()

    def _span(self, origin: int, header: bitstream.Header) -> Span:
        """The wished part of a video that begins at tick `origin`."""
        return Span.of(header, origin, self.options.start, self.options.duration)

    def _wanted(self, segment: bitstream.Segment) -> Iterator[DecodedFrame]:
        """The segment's frames inside the wished part."""
        span = self._span(self._origin(), self.reader.header)
        with passing_damage(self.options.recover, self.reader.problems):
            for frame in self.decoder.frames(segment, span.last):
                if frame.pts >= span.first:
                    if self.options.start and not self.shift:
                        self.shift = frame.pts  # the output begins at time 0
                    yield frame

    def _origin(self) -> int:
        """First tick of the whole video."""
        return self.reader.index.segments[0].first_pts

    def _wanted_audio(self, record: bitstream.AudioPackets) -> Iterator[AudioPacket]:
        """The record's packets inside the wished part, moved as its frames are."""
        packets = mapping.unpack_packets(record)
        if self.options.start is None and self.options.duration is None:
            yield from packets
            return
        stream = next(s for s in self.streams if s.index == record.index)
        base = Fraction(stream.time_base_num, stream.time_base_den)
        video = time_base_of(self.reader.header)
        span = self._span(self._origin(), self.reader.header)
        moved_by = round((self.shift or span.first) * video / base) if self.options.start else 0
        for p in packets:
            ticks = p.pts if p.pts is not None else p.dts or 0
            if span.first * video <= ticks * base < span.last * video:
                pts, dts = (None if v is None else v - moved_by for v in (p.pts, p.dts))
                yield AudioPacket(p.stream, pts, dts, p.duration, p.is_key, p.data)


def _call(action: Callable[[], None]) -> None:
    action()


def _peek_streams(items: Iterator[Any]) -> tuple[Iterator[Any], list[bitstream.AudioStream]]:
    """Audio configurations come before the first segment: read up to it."""
    held: list[Any] = []
    for item in items:
        held.append(item)
        if isinstance(item, bitstream.Segment):
            break
    streams = [i for i in held if isinstance(i, bitstream.AudioStream)]

    def again() -> Iterator[Any]:
        yield from held
        yield from items

    return again(), streams
