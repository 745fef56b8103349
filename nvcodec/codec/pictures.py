"""Segments -> frames, and what stands in for those that are lost."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import bitstream
from nvcodec.codec import mapping
from nvcodec.codec.coders import TokenCoder, coder_for
from nvcodec.codec.overlap import ahead
from nvcodec.codec.span import END, Span
from nvcodec.models import precision, registry
from nvcodec.models.device import pick_device
from nvcodec.models.tokenizer import DecoderStream, Tokenizer
from nvcodec.segments import latent_pieces, piece_frames

RGB = NDArray[np.uint8]


@dataclass(frozen=True)
class DecodedFrame:
    """uint8 RGB [H, W, 3] with its time and duration in ticks of the file's time base.

    `is_filled`: it stands in for a lost one.
    """

    rgb: RGB
    pts: int
    duration: int
    is_filled: bool = False


class SegmentDecoder:
    """Turns segments of one stream into frames.

    Args:
        header: of the stream.
        device: "auto", "cpu", "cuda", ...
        wished: precision of the network, as in `DecodeOptions`.
        coder: that of the header, if it is here.
    """

    def __init__(self, header: bitstream.Header, device: str = "auto", wished: str = "auto",
                 coder: TokenCoder | None = None) -> None:
        self.header = header
        self.release = registry.find_by_hash(header.model, header.model_sha256)
        mapping.check_matches(header, self.release)
        self.coder = coder or coder_for(header)
        self.model: Tokenizer = precision.load(self.release, pick_device(device), wished)
        self.step = piece_frames(header.width, header.height) // header.time_stride

    def tokens(self, segment: bitstream.Segment) -> NDArray[np.uint32]:
        """The segment's token grid [T', H', W']."""
        shape = self.header.token_shape(segment.frame_count)
        return self.coder.decode(segment.payload, shape, segment.qp)

    def frames(self, segment: bitstream.Segment, last: int = END,
               tokens: NDArray[np.uint32] | None = None) -> Iterator[DecodedFrame]:
        """The segment's frames before tick `last`, in order; from its `tokens` where known.

        BadTokens before the first if the segment's tokens are damaged.
        """
        tokens = self.tokens(segment) if tokens is None else tokens
        grid = torch.from_numpy(tokens.astype(np.int32))
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


@dataclass(frozen=True)
class _Ready:
    """A segment with its tokens; None where none of its frames seem to be wished."""

    segment: bitstream.Segment
    tokens: NDArray[np.uint32] | None


class Pictures:
    """Wished frames of the items of a stream, in order; all but segments passes through.

    Args:
        decoder: for the stream.
        report: told of every lost segment with the number of its first frame; may raise.
        conceal: put pictures in place of lost ones; otherwise they are left out.
        number: of the first item's first frame in the whole video.
        span: the wished part.
    """

    def __init__(self, decoder: SegmentDecoder,
                 report: Callable[[bitstream.LostSegment, int], None], conceal: bool,
                 number: int, span: Span) -> None:
        self.decoder, self.report, self.conceal = decoder, report, conceal
        self.number, self.span = number, span
        self._lost: list[bitstream.LostSegment] = []
        self._before: RGB | None = None

    def of(self, items: Iterable[Any], in_thread: bool) -> Iterator[Any]:
        """DecodedFrame, and the items that are no segments.

        Args:
            items: of the stream.
            in_thread: read and entropy-decode the next segment while the network is at this one;
                not for a pipe, as nothing stops a thread that waits for one.
        """
        ready = self._with_tokens(items)
        with closing(ahead(ready, depth=1) if in_thread else ready) as source:
            for item in source:
                if isinstance(item, _Ready):
                    yield from self._segment(item)
                    self.number += item.segment.frame_count
                elif isinstance(item, bitstream.LostSegment):
                    self._lose(item)
                    self.number += item.frame_count
                else:
                    yield item
        yield from self._fill(None)

    def _with_tokens(self, items: Iterable[Any]) -> Generator[Any, None, None]:
        """The items, segments with their tokens; those with damaged tokens are lost ones."""
        for item in items:
            yield self._ready(item) if isinstance(item, bitstream.Segment) else item

    def _ready(self, segment: bitstream.Segment) -> _Ready | bitstream.LostSegment:
        is_after = segment.first_pts >= self.span.last
        is_before = segment.pts[-1] < self.span.first and not self.conceal
        if is_after or is_before:
            return _Ready(segment, None)
        try:
            return _Ready(segment, self.decoder.tokens(segment))
        except bitstream.CorruptError as error:
            return bitstream.LostSegment(segment.pts, segment.end_pts, error)

    def _segment(self, item: _Ready) -> Iterator[DecodedFrame]:
        segment = item.segment
        if item.tokens is None and not self._stands_in(segment):
            return
        # One picture at least: behind the wished part it stands in for a lost beginning.
        last = max(self.span.last, segment.first_pts + 1)
        frames = self.decoder.frames(segment, last, item.tokens)
        try:
            first = next(frames)
        except bitstream.CorruptError as error:
            self._lose(bitstream.LostSegment(segment.pts, segment.end_pts, error))
            return
        yield from self._fill(first.rgb)
        for frame in chain([first], frames):
            self._before = frame.rgb
            if frame.pts in self.span:
                yield frame

    def _stands_in(self, segment: bitstream.Segment) -> bool:
        """Whether an unwished segment has the first whole picture after a lost beginning."""
        return bool(self._lost) and self._before is None and segment.first_pts >= self.span.last

    def _lose(self, lost: bitstream.LostSegment) -> None:
        if lost.pts[-1] >= self.span.first and lost.first_pts < self.span.last:
            self.report(lost, self.number)
        if self.conceal:
            self._lost.append(lost)

    def _fill(self, after: RGB | None) -> Iterator[DecodedFrame]:
        """Frames for all that was lost since the last whole segment: its last picture, held.

        A lost beginning shows the first whole picture. Held pictures are nearer to what was lost,
        by LPIPS, than fades are: docs/robustness.md has the figures.
        """
        lost, self._lost = self._lost, []
        shown = after if self._before is None else self._before
        if shown is None:
            return
        for one in lost:
            for pts, end in pairwise((*one.pts, one.end_pts)):
                if pts in self.span:
                    yield DecodedFrame(shown, pts, max(0, end - pts), is_filled=True)
