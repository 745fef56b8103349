"""Video file -> `.mvt` file, segment by segment in bounded memory."""

from __future__ import annotations

import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

import bitstream
from bitstream.caps import MAX_SEGMENT_TOKENS
from nvcodec.codec import mapping
from nvcodec.codec.audio import AudioCopier
from nvcodec.codec.clip import Clip
from nvcodec.codec.coders import CODERS, coder_of, default_coder
from nvcodec.codec.events import EncodeReport, Listener, Progress, ignore
from nvcodec.codec.overlap import ahead
from nvcodec.codec.plain import plain_errors, time_base_of, writing_to
from nvcodec.codec.ratesearch import HELD, Coded, Pilot, Source, Take, Verdict
from nvcodec.codec.refine import Refiner, load_perceptual
from nvcodec.codec.segment import SegmentEncoder
from nvcodec.errors import InputError, OutputError, UsageError
from nvcodec.models import registry
from nvcodec.models.device import pick_device
from nvcodec.rate import Goal
from nvcodec.segments import Lookahead, pieces
from nvcodec.video.atomic import AtomicFile
from nvcodec.video.info import Frame, VideoInfo
from nvcodec.video.reader import open_video

#: Gradient steps after which nothing is to be gained any more.
MAX_EFFORT = 64


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
        rdo: let the learned prior choose the sign of small latent values by its cost.
        effort: gradient steps that search for better latent values; 0 takes the encoder's.
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
    rdo: bool = True
    effort: int = 0
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
        if not 0 <= self.effort <= MAX_EFFORT:
            raise UsageError(f"effort {self.effort} is not in 0..{MAX_EFFORT}", "0 is fastest")
        if not 1 <= self.keyint <= 65536:
            raise UsageError(f"keyint {self.keyint} is not in 1..65536", "97 is the default")

    @property
    def has_wish(self) -> bool:
        """Whether a rate or size was asked for."""
        return any(w is not None for w in (self.bpp, self.bitrate, self.size))


class _StoppedError(KeyboardInterrupt):
    """A search for a rate was stopped."""


def _never() -> bool:
    return False


def encode(source: str | Path, target: str | Path, options: EncodeOptions | None = None,
           listen: Listener = ignore, stop: Callable[[], bool] = _never) -> EncodeReport:
    """Encode a video or still image to `target` ("-" is standard output).

    `stop` is asked before each frame: from True on, the file is finished with the frames so far
    (`report.partial`); KeyboardInterrupt where there are none yet.

    Raises InputError, OutputError, UsageError, UnsupportedFileError (see `nvcodec.errors`); the
    target appears only when it is whole.
    """
    options = options or EncodeOptions()
    with plain_errors(str(source), InputError), ExitStack() as stack:
        return _Job(str(source), str(target), options, listen, stop, stack).run()


class _Job:
    """One encode: everything that its steps share."""

    def __init__(self, source: str, target: str, options: EncodeOptions, listen: Listener,
                 stop: Callable[[], bool], stack: ExitStack) -> None:
        self.source, self.target, self.options, self.listen = source, target, options, listen
        self.stop, self.partial = stop, False
        self.file = None if target == "-" else AtomicFile(target, options.force)
        if self.file:
            stack.callback(self.file.abort)
        self.video = stack.enter_context(open_video(source, threads=2))
        self.info: VideoInfo = self.video.info
        self.release = registry.find(options.model)
        self.coder_name = options.coder or default_coder(self.release)
        self.coder = coder_of(self.release, self.coder_name)
        self.rdo = self.release.rdo if options.rdo else 0.0
        self.header = mapping.make_header(
            self.info, self.release, self.coder.coder, options.keyint)
        _check_room(self.header, options.keyint)
        device = pick_device(options.device)
        self.model = registry.load(self.release, device)
        self.perceptual = load_perceptual(device) if options.effort else None
        self.step = piece_frames(self.info.width, self.info.height)
        info = self.info if options.audio else replace(self.info, audio=())
        self.audio = AudioCopier(source, info, options.start, options.duration, stack)
        self.picture = self.info.width * self.info.height
        self.shift = 0
        self.checks: list[int] = []
        self.qps: list[int] = []
        self.done = self.coded_bytes = self.searched = self.passed = 0
        self.stage = ""
        self.bpp: float | None = None

    def run(self) -> EncodeReport:
        sink: BinaryIO = sys.stdout.buffer if self.file is None else self.file.path.open("wb")
        start = time.perf_counter()
        try:
            with writing_to(self.target):
                writer = bitstream.Writer(sink, self.header)
                pilot = self._write(writer)
                totals = writer.close()
                sink.flush()
        finally:
            if self.file:
                sink.close()
        seconds = time.perf_counter() - start
        if self.options.verify:
            self._verify()
        if self.file:
            self.file.commit()
        return self._report(totals, pilot, seconds)

    def _report(self, totals: bitstream.Totals, pilot: Pilot | None,
                seconds: float) -> EncodeReport:
        verdict = pilot.verdict(totals) if pilot and not self.partial else Verdict()
        return EncodeReport(
            source=self.source, target=self.target, model=self.release.id,
            coder=self.coder_name, width=self.info.width, height=self.info.height,
            frames=totals.frames, segments=totals.segments, file_bytes=totals.file_bytes,
            audio_bytes=totals.audio_bytes,
            bpp=8 * (totals.file_bytes - totals.audio_bytes) / (totals.frames * self.picture),
            qp=tuple(self.qps), seconds=seconds, passes=round(self.passed / totals.frames, 2),
            wanted_bpp=verdict.wanted_bpp, reach=verdict.reach, verified=self.options.verify,
            partial=self.partial, warnings=list(verdict.warnings))

    def _write(self, writer: bitstream.Writer) -> Pilot | None:
        """Every segment with the audio that belongs beside it; returns who chose their qp."""
        if meta := mapping.make_meta(self.info):
            writer.write_meta(meta)
        pilot = self._pilot(writer) if self.options.has_wish else None
        for stream in self.audio.streams:
            writer.write_audio(stream)
        held: list[Take] = []
        # Closed before the video is: its thread must not read from a closed file.
        with closing(ahead(self.video.frames(self.options.start, self.options.duration))) as source:
            frames = Lookahead(self._until_stop(source))
            if self.partial:
                raise KeyboardInterrupt
            if self.options.start:
                self.shift = frames.next.pts
                self.audio.shift_by(self.shift * time_base_of(self.header))
            while frames:
                if len(held) == HELD:
                    self._store(writer, held.pop(0))
                held.append(self._take(frames, pilot))
                if not pilot:
                    self._store(writer, held.pop())
        if pilot and not self.partial:
            before = sum(t.coded.size for t in held)
            with suppress(_StoppedError):  # all is coded, if not at the wished rate
                pilot.finish(held, writer, self.audio, whole=not self.qps)
            self.coded_bytes += sum(t.coded.size for t in held) - before
            self._tell("encode", 0)  # back from the search, with the figures of the end
        for take in held:
            self._store(writer, take)
        if not self.partial:
            self.audio.copy_until(writer, None)
        return pilot

    def _until_stop(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            if self.stop():
                self.partial = True
                return
            yield frame

    def _take(self, frames: Lookahead[Frame], pilot: Pilot | None) -> Take:
        """Code the next segment."""
        if pilot:
            clip, qp = pilot.clip(frames, first=not self.done), pilot.qp
        else:
            clip = Clip(islice(frames, self.options.keyint))
            qp = float(self.release.default_qp if self.options.qp is None else self.options.qp)
        take = Take(clip, qp, self._code(clip, qp, "encode"))
        if pilot:
            pilot.add(take)
        return take

    def _code(self, frames: Iterable[Frame], qp: float, stage: str) -> Coded:
        """Code one segment; `stage` is what listeners are told."""
        segment = SegmentEncoder(
            self.model, self.coder, qp, self.header, self.rdo, self._refiner(qp))
        for piece in pieces(frames, self.options.keyint, self.step):
            if stage != "encode" and self.stop():
                raise _StoppedError
            segment.add(piece, self.shift)
            self._tell(stage, len(piece.frames))
        coded = Coded(*segment.finish())
        if stage == "encode":
            self.coded_bytes += coded.size
            self._tell(stage, 0)  # now with this segment's bits
        return coded

    def _refiner(self, qp: float) -> Refiner | None:
        """A fresh one for a segment, where search was asked for."""
        if self.perceptual is None:
            return None
        return Refiner(self.model, round(qp), self.options.effort, self.perceptual)

    def _tell(self, stage: str, frames: int) -> None:
        """Tell listeners of so many more frames; 0 where the coded bytes have changed instead."""
        self.passed += frames
        if stage == "encode":
            self.done += frames
            if not frames:
                self.bpp = 8 * self.coded_bytes / (self.done * self.picture)
            self.listen(Progress(self.done, self._total(), self.bpp, stage))
            return
        self.searched = frames + (self.searched if stage == self.stage else 0)
        self.stage = stage
        self.listen(Progress(self.searched, None, None, stage))

    def _store(self, writer: bitstream.Writer, take: Take) -> None:
        self.qps.append(take.coded.chunk.qp)
        self.checks.append(take.coded.check)
        self.audio.store(writer, take.coded.chunk)
        if self.file is None:
            sys.stdout.flush()  # who reads the pipe can decode this segment now

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

    def _goal(self) -> Goal:
        o = self.options
        if o.bitrate is not None:
            return Goal(o.bitrate * 1000 / (self.picture * float(self.info.fps)))
        return Goal(o.bpp, o.size)

    def _total(self) -> int | None:
        total = self.info.frame_count
        if total is None:
            return None
        if self.options.start:
            total -= int(self.options.start * self.info.fps)
        if self.options.duration:
            total = min(total, round(self.options.duration * self.info.fps))
        return max(total, 1)

    def _pilot(self, writer: bitstream.Writer) -> Pilot:
        """Who chooses qp, with a first choice from samples where the source is long."""
        o, goal = self.options, self._goal()
        source = Source(self.source, self.info, self.header, o.start or 0.0, self._total())
        if goal.size is None:
            return Pilot(goal, self._code, source, writer.bytes_written)
        if source.total is None:
            raise UsageError(f"{self.source} does not say how long it is", "use --bpp")
        audio = self._audio_bytes(writer)
        if audio and audio + writer.bytes_written >= goal.size:
            raise UsageError(f"the audio alone takes more than {goal.size} bytes",
                             "allow more, or leave the audio out with --no-audio")
        return Pilot(goal, self._code, source, writer.bytes_written, audio)

    def _audio_bytes(self, writer: bitstream.Writer) -> int:
        """Bytes that all audio chunks will take; reads the source's audio through."""
        trial = writer.rehearse()
        with self.audio.rehearse() as audio:
            for stream in audio.streams:
                trial.write_audio(stream)
            audio.copy_until(trial, None)
        return trial.bytes_written - writer.bytes_written


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
