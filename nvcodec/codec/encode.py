"""Video file -> `.mvt` file, segment by segment in bounded memory."""

from __future__ import annotations

import sys
import time
import zlib
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

import bitstream
from bitstream.caps import MAX_SEGMENT_TOKENS
from nvcodec.codec import mapping
from nvcodec.codec.audio import AudioCopier
from nvcodec.codec.coders import CODERS, TokenCoder, coder_of, default_coder
from nvcodec.codec.events import EncodeReport, Listener, Progress, ignore
from nvcodec.codec.overlap import ahead
from nvcodec.codec.plain import plain_errors, time_base_of
from nvcodec.errors import InputError, OutputError, UsageError
from nvcodec.models import registry
from nvcodec.models.device import pick_device
from nvcodec.models.tokenizer import EncoderStream, Tokenizer
from nvcodec.rate import RateControl, search_qp, slope_of
from nvcodec.segments import Piece, pad_piece, pieces
from nvcodec.video.atomic import AtomicFile
from nvcodec.video.info import Frame, VideoInfo
from nvcodec.video.reader import open_video

#: Raw frames kept for the rate search, in bytes.
SAMPLE_BYTES = 256 << 20
#: Container bytes beside the segments: header, index, end, and the tags of a usual file.
CONTAINER_BYTES = 400
Tokens = NDArray[np.uint32]


@dataclass(frozen=True)
class EncodeOptions:
    """What to make of a source. At most one of qp, bpp, bitrate and size.

    Attributes:
        model: release name.
        qp: quality step 0 (best) .. 63 (smallest); None takes the release's default.
        bpp: wished bits per source pixel, audio left out.
        bitrate: wished kbit/s of everything but audio.
        size: wished bytes of the whole file.
        keyint: most frames in a segment.
        coder: "learned" (integer prior), "table" (static probabilities) or "none" (18 raw bits a
            token); None takes the best that the release has.
        start, duration: part of the source to encode, in seconds.
        audio: copy the audio tracks.
        device: "auto", "cpu", "cuda", ...
        verify: read the file back and compare every token.
        force: replace an existing target.
    """

    model: str = registry.DEFAULT_MODEL
    qp: int | None = None
    bpp: float | None = None
    bitrate: float | None = None
    size: int | None = None
    keyint: int = 97
    coder: str | None = None
    start: float | None = None
    duration: float | None = None
    audio: bool = True
    device: str = "auto"
    verify: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        asked = [n for n in ("qp", "bpp", "bitrate", "size") if getattr(self, n) is not None]
        if len(asked) > 1:
            raise UsageError(f"{' and '.join(asked)} were both given", "give one of them")
        if self.qp is not None and not 0 <= self.qp <= 63:
            raise UsageError(f"qp {self.qp} is not in 0..63", "0 is best quality, 63 smallest size")
        for name in ("bpp", "bitrate", "size"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"{name} {value} is not a size", "give a number above 0")
        if self.coder is not None and self.coder not in CODERS:
            raise UsageError(f"unknown coder {self.coder!r}", f"use one of {', '.join(CODERS)}")
        if not 1 <= self.keyint <= 65536:
            raise UsageError(f"keyint {self.keyint} is not in 1..65536", "97 is the default")


def encode(source: str | Path, target: str | Path, options: EncodeOptions | None = None,
           listen: Listener = ignore) -> EncodeReport:
    """Encode a video or still image to `target` ("-" is standard output).

    Raises InputError, OutputError, UsageError, UnsupportedFileError (see `nvcodec.errors`); the
    target appears only when it is whole.
    """
    options = options or EncodeOptions()
    with plain_errors(str(source), InputError), ExitStack() as stack:
        return _Job(str(source), str(target), options, listen, stack).run()


class _Job:
    """One encode: everything that its steps share."""

    def __init__(self, source: str, target: str, options: EncodeOptions, listen: Listener,
                 stack: ExitStack) -> None:
        self.source, self.target, self.options, self.listen = source, target, options, listen
        self.file = None if target == "-" else AtomicFile(target, options.force)
        if self.file:
            stack.callback(self.file.abort)
        self.video = stack.enter_context(open_video(source, threads=2))
        self.info: VideoInfo = self.video.info
        self.release = registry.find(options.model)
        self.coder_name = options.coder or default_coder(self.release)
        self.coder = coder_of(self.release, self.coder_name)
        self.header = mapping.make_header(
            self.info, self.release, self.coder.coder, options.keyint)
        _check_room(self.header, options.keyint)
        self.model = registry.load(self.release, pick_device(options.device))
        self.step = piece_frames(self.info.width, self.info.height)
        info = self.info if options.audio else replace(self.info, audio=())
        self.audio = AudioCopier(source, info, options.start, options.duration, stack)
        self.checks: list[int] = []

    def run(self) -> EncodeReport:
        wanted = self._wanted_bpp()
        rate = self._rate_control(wanted)
        sink: BinaryIO = sys.stdout.buffer if self.file is None else self.file.path.open("wb")
        start = time.perf_counter()
        try:
            writer = bitstream.Writer(sink, self.header)
            qps = self._write(writer, rate)
            totals = writer.close()
            sink.flush()
        except OSError as error:
            raise OutputError(f"{self.target}: cannot be written ({error.strerror})",
                              "check the free space and permissions") from error
        finally:
            if self.file:
                sink.close()
        seconds = time.perf_counter() - start
        if self.options.verify:
            self._verify()
        if self.file:
            self.file.commit()
        pixels = totals.frames * self.info.width * self.info.height
        bpp = 8 * (totals.file_bytes - totals.audio_bytes) / pixels
        return EncodeReport(
            source=self.source, target=self.target, model=self.release.id,
            coder=self.coder_name, width=self.info.width, height=self.info.height,
            frames=totals.frames, segments=totals.segments, file_bytes=totals.file_bytes,
            audio_bytes=totals.audio_bytes, bpp=bpp, qp=qps, seconds=seconds, wanted_bpp=wanted,
            verified=self.options.verify, warnings=self._warnings(wanted, bpp))

    def _write(self, writer: bitstream.Writer, rate: RateControl) -> tuple[int, ...]:
        """Every segment with the audio that belongs beside it; returns the qp of each."""
        if meta := mapping.make_meta(self.info):
            writer.write_meta(meta)
        for stream in self.audio.streams:
            writer.write_audio(stream)
        qps: list[int] = []
        pixels = self.info.width * self.info.height
        segment = _Segment(self.model, rate.qp, self.header)
        total = self._expected_frames()
        done, shift = 0, 0
        # Closed before the video is: its thread must not read from a closed file.
        source = ahead(self.video.frames(self.options.start, self.options.duration))
        with closing(source) as frames:
            for piece in pieces(frames, self.options.keyint, self.step):
                if piece.first:
                    segment = _Segment(self.model, rate.qp, self.header)
                if self.options.start and done == 0:
                    shift = piece.frames[0].pts
                    self.audio.shift_by(shift * time_base_of(self.header))
                segment.add(piece, shift)
                done += len(piece.frames)
                if piece.last:
                    self._finish(segment, writer, rate)
                    qps.append(segment.qp)
                bpp = 8 * writer.bytes_written / (done * pixels)
                self.listen(Progress(done, total, bpp, "encode"))
        self.audio.copy_until(writer, None)
        return tuple(qps)

    def _finish(self, segment: _Segment, writer: bitstream.Writer, rate: RateControl) -> None:
        """Write a segment and the audio beside it, and tell the rate control."""
        tokens = segment.tokens()
        if self.options.verify:
            self.checks.append(zlib.crc32(tokens.tobytes()))
        chunk, before = segment.pack(tokens, self.coder), writer.bytes_written
        writer.write_segment(chunk)
        pixels = self.info.width * self.info.height * chunk.frame_count
        rate.add(8.0 * (writer.bytes_written - before), float(pixels))
        self.audio.copy_until(writer, chunk.end_pts * time_base_of(self.header))

    def _verify(self) -> None:
        """Entropy-decode the written file and compare each segment's tokens."""
        if self.file is None:
            raise UsageError("standard output cannot be verified", "write to a file")
        with bitstream.Reader(self.file.path) as reader:
            for i, chunk in enumerate(reader.iter_segments()):
                self.listen(Progress(i, len(self.checks), None, "verify"))
                shape = reader.header.token_shape(chunk.frame_count)
                tokens = self.coder.decode(chunk.payload, shape, chunk.qp)
                if zlib.crc32(np.ascontiguousarray(tokens).tobytes()) != self.checks[i]:
                    raise OutputError(f"{self.target}: segment {i} reads back differently",
                                      "the disk or memory of this machine is not to be trusted")

    # -- rate ------------------------------------------------------------------------------------

    def _wanted_bpp(self) -> float | None:
        o, pixels = self.options, self.info.width * self.info.height
        if o.bitrate is not None:
            return o.bitrate * 1000 / (pixels * float(self.info.fps))
        if o.size is not None:
            frames = self._expected_frames()
            if not frames:
                raise UsageError(f"{self.source} does not say how long it is", "use --bpp")
            room = o.size - self.audio.count_bytes()
            if room <= CONTAINER_BYTES:
                raise UsageError(f"the audio alone takes more than {o.size} bytes",
                                 "allow more, or leave the audio out with --no-audio")
            return 8 * room / (frames * pixels)
        return o.bpp

    def _expected_frames(self) -> int | None:
        total = self.info.frame_count
        if total is None:
            return None
        if self.options.start:
            total -= int(self.options.start * self.info.fps)
        if self.options.duration:
            total = min(total, round(self.options.duration * self.info.fps))
        return max(total, 1)

    def _rate_control(self, wanted: float | None) -> RateControl:
        if wanted is None:
            qp = self.options.qp
            return RateControl(0.0, self.release.default_qp if qp is None else qp, fixed=True)
        if self.source == "-":  # read once only: feedback alone has to do
            return RateControl(wanted, self.release.default_qp)
        sample = self._sample()
        pixels = len(sample) * self.info.width * self.info.height
        tries = 0

        def measure(qp: int) -> float:
            nonlocal tries
            self.listen(Progress(tries, None, None, f"search qp {qp}"))
            tries += 1
            size = len(self._sample_segment(qp, sample).pack())
            return 8 * (size + CONTAINER_BYTES) / pixels

        qp, seen = search_qp(measure, wanted, self.release.default_qp)
        return RateControl(wanted, qp, slope_of(seen))

    def _sample(self) -> list[Frame]:
        """The first segment's frames, fewer where they would not fit into SAMPLE_BYTES."""
        size = self.info.width * self.info.height * 3
        most = max(1, min(self.options.keyint, SAMPLE_BYTES // size))
        frames = self.video.frames(self.options.start, self.options.duration)
        return [frame for frame, _ in zip(frames, range(most), strict=False)]

    def _sample_segment(self, qp: int, sample: Sequence[Frame]) -> bitstream.Segment:
        segment = _Segment(self.model, qp, self.header)
        for piece in pieces(sample, len(sample), self.step):
            segment.add(piece, 0)
        return segment.pack(segment.tokens(), self.coder)

    def _warnings(self, wanted: float | None, got: float) -> list[str]:
        if wanted is not None and not 0.9 < got / wanted < 1.1:
            return [f"{wanted:.4g} bpp is out of this model's reach here; nearest was {got:.4g}"]
        return []


class _Segment:
    """One segment on its way from frames to a chunk."""

    def __init__(self, model: Tokenizer, qp: int, header: bitstream.Header) -> None:
        self.stream = EncoderStream(model, qp)
        self.qp, self.header = qp, header
        self.parts: list[Tokens] = []
        self.pts: list[int] = []
        self.last_duration = 0

    def add(self, piece: Piece[Frame], shift: int) -> None:
        """Run the network over a piece; timestamps go down by `shift` ticks."""
        frames = pad_piece(piece.frames, piece.first, self.header.time_stride)
        pixels = torch.from_numpy(np.stack([f.rgb for f in frames]))
        self.parts.append(self.stream.push(pixels).numpy().astype(np.uint32))
        self.pts.extend(f.pts - shift for f in piece.frames)
        self.last_duration = max(0, piece.frames[-1].duration)

    def tokens(self) -> Tokens:
        """uint32 [T', H', W'] of what was added."""
        return np.concatenate(self.parts)

    def pack(self, tokens: Tokens, coder: TokenCoder) -> bitstream.Segment:
        """The finished chunk."""
        payload = coder.encode(tokens, self.qp)
        return bitstream.Segment(tuple(self.pts), payload, self.qp, self.last_duration)


def _check_room(header: bitstream.Header, keyint: int) -> None:
    """Refuse segments above the container's cap before any work is done."""
    rows, columns = header.latent_height, header.latent_width
    latents = MAX_SEGMENT_TOKENS // (rows * columns)
    if header.token_shape(keyint)[0] > latents:
        most = 1 + (latents - 1) * header.time_stride
        raise UsageError(f"{keyint} frames of {header.width}x{header.height} are too much for one "
                         "segment", f"use --keyint {most} or less")


def piece_frames(width: int, height: int) -> int:
    """Frames that go through the network at once: more are faster, fewer keep memory down."""
    return 8 if width * height <= 1280 * 720 else 4
