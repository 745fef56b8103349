"""Segments -> frames, and what stands in for those that are lost."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice, pairwise
from math import ceil
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import bitstream
from nvcodec.codec import mapping
from nvcodec.codec.coders import TokenCoder, coder_for
from nvcodec.codec.covering import covered
from nvcodec.codec.overlap import ahead
from nvcodec.codec.spacing import all_frames
from nvcodec.codec.span import END, Span
from nvcodec.models import precision, registry
from nvcodec.models.device import pick_device
from nvcodec.models.tokenizer import DecoderStream, Tokenizer
from nvcodec.segments import latent_pieces, piece_frames

RGB = NDArray[np.uint8]
Tokens = NDArray[np.uint32]
#: Latent frames that may be entropy-decoded before the network takes them: a default segment.
AHEAD = 48


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
        model: likewise; device and precision are its own then.
    """

    def __init__(self, header: bitstream.Header, device: str = "auto", wished: str = "auto",
                 coder: TokenCoder | None = None, model: Tokenizer | None = None) -> None:
        self.header = header
        self.release = registry.find_by_hash(header.model, header.model_sha256)
        mapping.check_matches(header, self.release)
        self.coder = coder or coder_for(header)
        self.model = model or precision.load(self.release, pick_device(device), wished)
        self.step = piece_frames(header.width, header.height) // header.time_stride

    def latents(self, segment: bitstream.Segment) -> Iterator[Tokens]:
        """The tokens uint32 [H', W'] of the segment's latent frames, one frame after the other.

        BadTokens where they are damaged, at the latest after the last.
        """
        shape = self.header.token_shape(segment.frame_count, segment.spacing)
        return self.coder.frames(segment.payload, shape, segment.qp)

    def background(self, segment: bitstream.Segment) -> bitstream.Background | None:
        """The segment's background, if it has one; BadSegment or BadTokens where it is damaged."""
        return bitstream.background_of(segment, self.header)

    def frames(self, segment: bitstream.Segment, last: int = END,
               latents: Iterable[Tokens] | None = None) -> Iterator[DecodedFrame]:
        """The segment's frames before tick `last`, in order.

        `latents` are what `latents` gives; left out, all are decoded before the first frame, so
        that BadTokens comes before it.
        """
        background = self.background(segment)
        tokens = iter(list(self.latents(segment)) if latents is None else latents)
        coded = self._coded(segment, tokens)
        if background is not None:
            coded = covered(coded, background,
                            self.header.time_stride // ceil(1 / segment.spacing))
        pictures = all_frames(coded, segment.pts, segment.spacing)
        for pts, end in pairwise((*segment.pts, segment.end_pts)):
            if pts >= last:
                return
            yield DecodedFrame(next(pictures).numpy(), pts, end - pts)

    def _coded(self, segment: bitstream.Segment, tokens: Iterator[Tokens]) -> Iterator[Tensor]:
        """The segment's coded pictures but for those that nobody is shown, uint8 [H, W, 3]; the
        last may come several times."""
        stream = DecoderStream(self.model, segment.qp, self.header.height, self.header.width,
                               ceil(1 / segment.spacing))
        count = self.header.token_shape(segment.frame_count, segment.spacing)[0]
        for a, b in latent_pieces(count, self.step):
            grid = torch.from_numpy(np.stack(list(islice(tokens, b - a))).astype(np.int32))
            yield from stream.push(grid)


@dataclass(frozen=True)
class _Begin:
    """A segment; its latent frames follow if any of its frames seem to be wished."""

    segment: bitstream.Segment
    is_wished: bool


@dataclass(frozen=True)
class _Latent:
    """Tokens of one latent frame."""

    tokens: Tokens


class Pictures:
    """Wished frames of the items of a stream, in order; all but segments passes through.

    Args:
        decoder: for the stream.
        report: told of every lost segment with the number of its first frame; may raise.
        lenient: go on after lost segments; otherwise `report` is expected to raise.
        conceal: put pictures in place of lost ones; otherwise they are left out.
        number: of the first item's first frame in the whole video.
        span: the wished part.
    """

    def __init__(self, decoder: SegmentDecoder,
                 report: Callable[[bitstream.LostSegment, int], None], lenient: bool,
                 conceal: bool, number: int, span: Span) -> None:
        self.decoder, self.report = decoder, report
        self.lenient, self.conceal = lenient, conceal
        self.number, self.span = number, span
        self._lost: list[bitstream.LostSegment] = []
        self._before: RGB | None = None

    def of(self, items: Iterable[Any], in_thread: bool) -> Iterator[Any]:
        """DecodedFrame, and the items that are no segments.

        Args:
            items: of the stream.
            in_thread: read and entropy-decode what comes next while the network is at work; not
                for a pipe, as nothing stops a thread that waits for one.
        """
        events = self._events(items)
        with closing(ahead(events, AHEAD) if in_thread else events) as source:
            for item in source:
                if isinstance(item, _Begin):
                    yield from self._segment(item, source)
                    self.number += item.segment.frame_count
                elif isinstance(item, bitstream.LostSegment):
                    self._lose(item)
                    self.number += item.frame_count
                else:
                    yield item
        yield from self._fill(None)

    def _events(self, items: Iterable[Any]) -> Generator[Any, None, None]:
        """The items, segments as _Begin and a _Latent for each of their latent frames.

        Segments with damaged tokens are lost ones where losses are made up for, which takes all
        latent frames before the first is shown; elsewhere the first damage is the end.
        """
        for item in items:
            if not isinstance(item, bitstream.Segment):
                yield item
            elif not self._is_wished(item):
                yield _Begin(item, False)
            elif not self.lenient:
                yield _Begin(item, True)
                yield from map(_Latent, self.decoder.latents(item))
            else:
                yield from self._whole(item)

    def _whole(self, segment: bitstream.Segment) -> Iterator[Any]:
        try:
            latents = list(self.decoder.latents(segment))
            self.decoder.background(segment)
        except bitstream.CorruptError as error:
            yield bitstream.LostSegment(segment.pts, segment.end_pts, error)
            return
        yield _Begin(segment, True)
        yield from map(_Latent, latents)

    def _is_wished(self, segment: bitstream.Segment) -> bool:
        is_after = segment.first_pts >= self.span.last
        is_before = segment.pts[-1] < self.span.first and not self.conceal
        return not is_after and not is_before

    def _segment(self, item: _Begin, source: Iterator[Any]) -> Iterator[DecodedFrame]:
        segment = item.segment
        if not item.is_wished and not self._stands_in(segment):
            return
        # One picture at least: behind the wished part it stands in for a lost beginning.
        last = max(self.span.last, segment.first_pts + 1)
        shape = self.decoder.header.token_shape(segment.frame_count, segment.spacing)
        latents = (event.tokens for event in islice(source, shape[0])) if item.is_wished else None
        try:
            yield from self._shown(self.decoder.frames(segment, last, latents))
            for _ in latents or ():  # those behind the wished part are checked as well
                pass
        except bitstream.CorruptError as error:
            self._lose(bitstream.LostSegment(segment.pts, segment.end_pts, error))

    def _shown(self, frames: Iterator[DecodedFrame]) -> Iterator[DecodedFrame]:
        """Frames of a segment that are wished, after pictures for what was lost before it."""
        for i, frame in enumerate(frames):
            if not i:
                yield from self._fill(frame.rgb)
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
