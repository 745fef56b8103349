"""Video file -> `.mvt` file, segment by segment in bounded memory."""

from __future__ import annotations

import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

import bitstream
from nvcodec.codec import mapping
from nvcodec.codec.audio import AudioCopier
from nvcodec.codec.events import EncodeReport, Listener, Progress, ignore
from nvcodec.codec.options import EncodeOptions
from nvcodec.codec.overlap import Behind, ahead
from nvcodec.codec.plain import plain_errors, time_base_of, writing_to
from nvcodec.codec.qualitysearch import Found, QualitySearch
from nvcodec.codec.ratesearch import Coded, Pilot, Source, Take, Verdict
from nvcodec.codec.segment import SegmentEncoder
from nvcodec.codec.setup import Setup
from nvcodec.codec.shots import cutter, looked_through
from nvcodec.codec.split import Part
from nvcodec.errors import InputError, OutputError, UsageError
from nvcodec.rate import Goal
from nvcodec.segments import BLOCK, Cutter
from nvcodec.video.atomic import AtomicFile
from nvcodec.video.info import Frame, VideoInfo
from nvcodec.video.reader import open_video

#: Seconds that an encode that was stopped waits for the reader of standard input.
PIPE_PATIENCE = 0.5


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


def encode_part(source: str, options: EncodeOptions, part: Part) -> list[Coded]:
    """Code a part's segments, with the source's own times; none where the source ends before it.

    What comes before the part is decoded but not coded: seeking would be quicker, and would not
    give the very same pictures with every codec. Raises what `encode` does.
    """
    with plain_errors(source, InputError), ExitStack() as stack:
        video = stack.enter_context(open_video(source, threads=2))
        setup = Setup(video.info, options)
        setup.load()
        block = BLOCK * options.keyint
        frames = video.frames(options.start, options.duration, part.first * block)
        near = cutter(stack.enter_context(closing(ahead(looked_through(frames, options)))), options)
        coded: list[Coded] = []
        while near and (part.count is None or near.taken < part.count * block):
            coded.append(setup.code(near.segment(), setup.qp, 0, lambda _: None))
        return coded


def join(source: str | Path, target: str | Path, options: EncodeOptions,
         given: Sequence[Coded]) -> EncodeReport:
    """Write the file that `encode` writes, from all segments of the source, coded beforehand.

    Args:
        source, target, options: as for `encode`; no rate may be wished.
        given: at least one segment, in order, each timed as in the source.

    Raises what `encode` does.
    """
    with plain_errors(str(source), InputError), ExitStack() as stack:
        return _Job(str(source), str(target), options, ignore, _never, stack, given).run()


class _Job:
    """One encode: everything that its steps share."""

    def __init__(self, source: str, target: str, options: EncodeOptions, listen: Listener,
                 stop: Callable[[], bool], stack: ExitStack,
                 given: Sequence[Coded] | None = None) -> None:
        self.source, self.target, self.options, self.listen = source, target, options, listen
        self.stop, self.partial = stop, False
        self.file = None if target == "-" else AtomicFile(target, options.force)
        if self.file:
            stack.callback(self.file.abort)
        self.video = stack.enter_context(open_video(source, threads=2))
        self.info: VideoInfo = self.video.info
        self.setup = Setup(self.info, options)
        self.header = self.setup.header
        self.given = given
        if given is None:
            self.setup.load()
        info = self.info if options.audio else replace(self.info, audio=())
        self.audio = AudioCopier(source, info, options.start, options.duration, stack)
        self.picture = self.info.width * self.info.height
        self.shift = 0
        self.checks: list[int] = []
        self.qps: list[int] = []
        self.background_bytes = 0
        self.spacings: list[float] = []
        self.done = self.searched = self.passed = self.coded_bytes = self.coded_frames = 0
        self.stage = ""
        self.found: Found | None = None

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
        found, wish = self.found, self.options.quality
        return EncodeReport(
            source=self.source, target=self.target, model=self.setup.release.id,
            coder=self.setup.coder_name, width=self.info.width, height=self.info.height,
            frames=totals.frames, segments=totals.segments, file_bytes=totals.file_bytes,
            audio_bytes=totals.audio_bytes, background_bytes=self.background_bytes,
            bpp=8 * (totals.file_bytes - totals.audio_bytes) / (totals.frames * self.picture),
            qp=tuple(self.qps), spacing=tuple(self.spacings), seconds=seconds,
            passes=round(self.passed / totals.frames, 2),
            wanted_bpp=verdict.wanted_bpp, wanted_quality=dict([wish]) if wish else None,
            sampled_quality={wish[0]: found.sampled} if wish and found else None,
            reach=found.reach if found else verdict.reach, verified=self.options.verify,
            precision=self.setup.model.precision, partial=self.partial,
            warnings=list(found.warnings if found else verdict.warnings))

    def _write(self, writer: bitstream.Writer) -> Pilot | None:
        """Every segment with the audio that belongs beside it; returns who chose their qp."""
        if meta := mapping.make_meta(self.info):
            writer.write_meta(meta)
        pilot = self._pilot(writer) if self.options.wishes_rate else None
        if self.options.quality:
            self.found = QualitySearch(self.options, self.setup, self._code, self._source()).find()
        for stream in self.audio.streams:
            writer.write_audio(stream)
        if self.given is None:
            self._write_frames(writer, pilot)
        else:
            self._write_given(writer, self.given)
        if not self.partial:
            self.audio.copy_until(writer, None)
        return pilot

    def _write_frames(self, writer: bitstream.Writer, pilot: Pilot | None) -> None:
        """Code the source's frames."""
        held: list[Take] = []
        source = looked_through(self.video.frames(self.options.start, self.options.duration),
                                self.options)
        patience = PIPE_PATIENCE if self.source == "-" else None
        # Closed before the video is: its thread must not read from a closed file.
        with closing(ahead(source, patience=patience, give_up=self._stops)) as near:
            frames = cutter(self._until_stop(near), self.options)
            if self.partial:
                raise KeyboardInterrupt
            self._begin_at(frames.next.pts)
            if pilot is None:
                return self._write_at_one_qp(writer, frames)
            while frames or pilot.waiting:
                while pilot.is_full(held):
                    self._store(writer, held.pop(0).coded)
                held.append(self._take(frames, pilot))
        if not self.partial:
            before = sum(t.coded.size for t in held)
            with suppress(_StoppedError):  # all is coded, if not at the wished rate
                pilot.finish(held, writer, self.audio, whole=not self.qps)
            self.coded_bytes += sum(t.coded.size for t in held) - before
            self._tell("encode", 0)  # back from the search, with the figures of the end
        for take in held:
            self._store(writer, take.coded)

    def _write_at_one_qp(self, writer: bitstream.Writer, frames: Cutter[Frame]) -> None:
        """Entropy coding and writing of each segment run beside the network's work on the next."""
        qp = self.found.qp if self.found else self.setup.qp

        def pack(segment: SegmentEncoder) -> None:
            coded = Coded(*segment.finish())
            self._count(coded)
            self._store(writer, coded)

        with Behind(pack, depth=1) as packing:
            while frames:
                packing.put(self.setup.gather(frames.segment(), qp, self.shift,
                                              partial(self._tell, "encode")))
        self._tell("encode", 0)

    def _write_given(self, writer: bitstream.Writer, given: Sequence[Coded]) -> None:
        """Take segments that were coded elsewhere, with the times of the source."""
        self._begin_at(given[0].chunk.first_pts)
        for coded in given:
            pts = tuple(p - self.shift for p in coded.chunk.pts)
            self.passed += len(pts)
            self._store(writer, replace(coded, chunk=replace(coded.chunk, pts=pts)))

    def _begin_at(self, pts: int) -> None:
        """Times count from the first frame where the source is not taken from its start."""
        if self.options.start:
            self.shift = pts
            self.audio.shift_by(self.shift * time_base_of(self.header))

    def _until_stop(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            if self._stops():
                return
            yield frame

    def _stops(self) -> bool:
        self.partial = self.partial or self.stop()
        return self.partial

    def _take(self, frames: Cutter[Frame], pilot: Pilot) -> Take:
        """Code the next segment at the qp that the rate asks for."""
        clip, qp = pilot.clip(frames, first=not self.done), pilot.qp
        take = Take(clip, qp, self._code(clip, qp, "encode"))
        pilot.add(take)
        return take

    def _code(self, frames: Iterable[Frame], qp: float, stage: str) -> Coded:
        """Code one segment; `stage` is what listeners are told."""
        def tell(count: int) -> None:
            if stage != "encode" and self.stop():
                raise _StoppedError
            self._tell(stage, count)

        coded = self.setup.code(frames, qp, self.shift, tell)
        if stage == "encode":
            self._count(coded)
            self._tell(stage, 0)  # now with this segment's bits
        return coded

    def _count(self, coded: Coded) -> None:
        self.coded_bytes += coded.size
        self.coded_frames += len(coded.chunk.pts)

    def _tell(self, stage: str, frames: int) -> None:
        """Tell listeners of so many more frames; 0 where the coded bytes have changed instead."""
        self.passed += frames
        if stage == "encode":
            self.done += frames
            pixels = self.coded_frames * self.picture
            bpp = 8 * self.coded_bytes / pixels if pixels else None
            self.listen(Progress(self.done, self._total(), bpp, stage))
            return
        self.searched = frames + (self.searched if stage == self.stage else 0)
        self.stage = stage
        self.listen(Progress(self.searched, None, None, stage))

    def _store(self, writer: bitstream.Writer, coded: Coded) -> None:
        self.qps.append(coded.chunk.qp)
        self.background_bytes += len(coded.chunk.background)
        self.spacings.append(coded.chunk.spacing)
        self.checks.append(coded.check)
        self.audio.store(writer, coded.chunk)
        if self.file is None:
            sys.stdout.flush()  # who reads the pipe can decode this segment now

    def _verify(self) -> None:
        """Entropy-decode the written file and compare each segment's tokens."""
        if self.file is None:
            raise UsageError("standard output cannot be verified", "write to a file")
        with bitstream.Reader(self.file.path) as reader:
            for i, chunk in enumerate(reader.iter_segments()):
                self.listen(Progress(i, len(self.checks), None, "verify"))
                shape = reader.header.token_shape(chunk.frame_count, chunk.spacing)
                tokens = self.setup.coder.decode(chunk.payload, shape, chunk.qp)
                if zlib.crc32(np.ascontiguousarray(tokens).tobytes()) != self.checks[i]:
                    raise OutputError(f"{self.target}: segment {i} reads back differently",
                                      "the disk or memory of this machine is not to be trusted")

    # -- wishes ----------------------------------------------------------------------------------

    def _goal(self) -> Goal:
        o = self.options
        if o.bitrate is not None:
            return Goal(o.bitrate * 1000 / (self.picture * float(self.info.fps)))
        return Goal(o.bpp, o.size)

    def _source(self) -> Source:
        """What those have to know who choose qp."""
        return Source(self.source, self.info, self.header, self.options.start or 0.0,
                      self._total(), self.setup.finest_qp)

    def _total(self) -> int | None:
        return self.info.frames_within(self.options.start, self.options.duration)

    def _pilot(self, writer: bitstream.Writer) -> Pilot:
        """Who chooses qp, with a first choice from samples where the source is long."""
        goal, source = self._goal(), self._source()
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
