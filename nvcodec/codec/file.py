"""A `.mvt` file to read from Python: facts, frames and tokens, by time, segment by segment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import bitstream
from nvcodec.codec.coders import TokenCoder, coder_for
from nvcodec.codec.damage import origin_of
from nvcodec.codec.inspect import SegmentInfo, segment_infos
from nvcodec.codec.plain import (
    check_precision,
    fps_of,
    passing_damage,
    plain_errors,
    time_base_of,
)
from nvcodec.codec.span import Span, check_times
from nvcodec.errors import UsageError
from nvcodec.models.factors import factorize

if TYPE_CHECKING:
    from nvcodec.codec.pictures import DecodedFrame, SegmentDecoder

Tokens: TypeAlias = NDArray[np.uint32]


@dataclass(frozen=True)
class TokenGrid:
    """The tokens of one segment.

    Attributes:
        number: of the segment, 0, 1, ...
        tokens: uint32 [T', H', W'], each in 0 .. 2**token_bits - 1; T' is
            1 + ceil((frames - 1) / (spacing * time_stride)), H' and W' are the picture's over
            spatial_stride.
        pts: of each of the segment's frames, in ticks of the file's time base.
        last_duration: ticks that the last frame is shown, 0 where unknown.
        qp: quality step 0..63 that the tokens were made for.
        spacing: frames from one coded frame to the next, 1, 2 or 4; the last is coded as well. 0.5:
            a picture between each two frames is.
        bytes: that their coded form takes in the file.
    """

    number: int
    tokens: Tokens
    pts: tuple[int, ...]
    last_duration: int
    qp: int
    spacing: float
    bytes: int

    @property
    def factors(self) -> tuple[Tokens, Tokens]:
        """(low, high): the tokens' 9-bit sub-tokens, uint32 [T', H', W'] in 0..511 each."""
        return factorize(self.tokens)


class VideoFile:
    """An open `.mvt` file. Made by `nvcodec.open`; a context manager that closes it.

    Reads header and index at once and each segment when it is asked for, one at a time in memory.
    Loads torch for `frames` only, and for the tokens of files that a learned prior codes. Several
    iterators may be in use at once, but in one thread.

    Attributes:
        name: the path as it was given.
        width, height: of a frame, in pixels.
        frame_count: frames of the whole video.
        fps: frames per second, the average where `is_vfr`.
        is_vfr: frames are not equally long.
        time_base: seconds per tick: `frame.pts * video.time_base` is a time.
        duration: seconds from the first frame to the end of the last.
        model: name of the weights.
        coder: "raw", "table" or "learned".
        token_bits: bits of one token, 18 in released models.
        time_stride, spatial_stride: frames and pixels a side that one token stands for.
        file_bytes: size of the file.
        bpp: bits of all but the audio for each displayed pixel of each frame.
        segments: what the index says of each segment.
        problems: damage that was passed over, in words; empty unless `recover`.
    """

    def __init__(self, path: str | Path, device: str = "auto", recover: bool = False,
                 precision: str = "auto") -> None:
        check_precision(precision)
        self.name, self._device, self._recover = str(path), device, recover
        self._precision = precision
        self._closed = False
        with plain_errors(self.name):
            self._reader = bitstream.Reader(path, recover)
        header = self._reader.header
        self.width, self.height = header.width, header.height
        self.fps, self.is_vfr = fps_of(header), header.vfr
        self.time_base = time_base_of(header)
        self.model, self.coder = header.model, bitstream.CODER_NAMES[header.coder]
        self.token_bits, self.time_stride = header.token_bits, header.time_stride
        self.spatial_stride = header.spatial_stride
        self.frame_count = self._reader.frames
        self.file_bytes, self.bpp = self._reader.file_bytes, self._reader.bpp
        self.segments: tuple[SegmentInfo, ...] = segment_infos(self._reader)
        self._origin = origin_of(self._reader)
        last = self._reader.segments[-1]
        self.duration: Fraction = (last.end_pts - self._origin) * self.time_base

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return (f"<VideoFile {self.name!r}: {self.frame_count} frames of "
                f"{self.width}x{self.height}, {len(self.segments)} segments>")

    def close(self) -> None:
        """Close the file; iterators that are still in use end in an error."""
        self._closed = True
        self._reader.close()

    @property
    def metadata(self) -> dict[str, Any]:
        """The file's JSON metadata, such as {"tags": {"title": ...}}; empty where it has none.

        Raises CorruptFileError.
        """
        with plain_errors(self.name):
            return self._reader.meta

    @property
    def bytes_read(self) -> int:
        """Bytes fetched from the file so far."""
        return self._reader.bytes_read

    @property
    def problems(self) -> tuple[str, ...]:
        """Damage that was passed over so far."""
        return tuple(map(str, self._reader.problems))

    def frames(self, start: float | None = None,
               duration: float | None = None) -> Iterator[DecodedFrame]:
        """Decode the frames of a part of the video, in order.

        Args:
            start: seconds from the video's first frame; the first frame that comes is the first
                whose time is at least this, to the nearest tick. None is 0.
            duration: seconds to take; None is all that are left.

        Yields:
            frames with `rgb` uint8 [height, width, 3] (full range, C order), `pts` and `duration`
            in ticks of the file, whatever `start` is. Only segments that hold such frames are
            read. Consecutive frames share memory: copy `rgb` to keep a few of many.

        Raises:
            UsageError: impossible times or device.  CorruptFileError.
            UnsupportedFileError: the weights or the prior are not here.
        """
        return self._decoded(self._span(start, duration))

    def tokens(self, start: float | None = None,
               duration: float | None = None) -> Iterator[TokenGrid]:
        """Entropy-decode the segments that hold frames of a part of the video, in order.

        Needs the file's prior but not its weights. Arguments and errors as for `frames`; segments
        come whole.
        """
        return self._grids(self._span(start, duration))

    def _span(self, start: float | None, duration: float | None) -> Span:
        check_times(start, duration)
        return Span.of(self._reader.header, self._origin, start, duration)

    @cached_property
    def _token_coder(self) -> TokenCoder:
        return coder_for(self._reader.header)

    @cached_property
    def _decoder(self) -> SegmentDecoder:
        from nvcodec.codec.pictures import SegmentDecoder

        return SegmentDecoder(self._reader.header, self._device, self._precision,
                              self._token_coder)

    def _segment(self, number: int) -> bitstream.Segment:
        if self._closed:
            raise UsageError(f"{self.name} is closed", "keep it open while you read from it")
        return self._reader.read_segment(number)

    def _decoded(self, span: Span) -> Iterator[DecodedFrame]:
        with plain_errors(self.name):
            for number in span.choose(self._reader.segments):
                with passing_damage(self._recover, self._reader.problems):
                    for frame in self._decoder.frames(self._segment(number), span.last):
                        if frame.pts in span:
                            yield frame

    def _grids(self, span: Span) -> Iterator[TokenGrid]:
        with plain_errors(self.name):
            for number in span.choose(self._reader.segments):
                with passing_damage(self._recover, self._reader.problems):
                    s = self._segment(number)
                    shape = self._reader.header.token_shape(s.frame_count, s.spacing)
                    tokens = self._token_coder.decode(s.payload, shape, s.qp)
                    yield TokenGrid(number, tokens, s.pts, s.last_duration, s.qp, s.spacing,
                                    len(s.payload))


def open_file(path: str | Path, device: str = "auto", recover: bool = False,
              precision: str = "auto") -> VideoFile:
    """Open a `.mvt` file for reading.

    Args:
        path: of the file; it has to be seekable.
        device: where frames are decoded: "auto", "cpu", "cuda", ...
        recover: also open truncated files and pass over damaged segments (`VideoFile.problems`).
        precision: of the network: "float32", "int8", or "auto" for the faster one.

    Raises:
        UsageError: an unknown precision.
        CorruptFileError, UnsupportedFileError.
        InputError: the file cannot be read.
    """
    return VideoFile(path, device, recover, precision)
