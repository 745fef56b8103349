"""Lands a file on a wished rate: real coded sizes of samples, steering, and a search at the end.

A long source is sampled in a few places for its first qp, steered while it is coded, and its last
segments are searched so that the whole comes out right. A source of no more frames than two whole
segments have is nothing but such an end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf
from statistics import fmean

import bitstream
from nvcodec.codec.audio import AudioCopier
from nvcodec.codec.clip import Clip, Window, fits, load
from nvcodec.rate import MAX_QP, Band, Goal, QpSearch, RateControl, first_qp
from nvcodec.segments import Cutter
from nvcodec.video.info import Frame, VideoInfo

#: The frames of so many whole segments are held back until the end is seen, to be coded again then.
HELD = 2
#: A long source is sampled in so many places, each of so many frames at most.
WINDOWS, WINDOW_FRAMES = 4, 33
#: Sizes of a sample may miss the wish by this (relative); what follows is steered.
SAMPLE_TOLERANCE = 0.03
#: What the container adds to a segment's tokens (framing, times, index) and at its end, in bytes,
#: about: only the steering goes by these, the end by what the writer says.
SEGMENT_BYTES, TAIL_BYTES = 48, 62
#: A lone last segment may differ from its neighbour by this much qp; beyond it both share.
LAST_STEP = 4.0


@dataclass(frozen=True)
class Coded:
    """A finished chunk with the CRC-32 of its tokens."""

    chunk: bitstream.Segment
    check: int

    @property
    def size(self) -> int:
        """Bytes of tokens and background, the part that qp moves."""
        return len(self.chunk.payload) + len(self.chunk.background)


@dataclass
class Take:
    """A coded segment that may still be replaced by another coding of the same frames."""

    clip: Clip
    qp: float
    coded: Coded


#: (frames of one segment, real qp, stage to show) -> the segment.
Coder = Callable[[Iterable[Frame], float, str], Coded]
Reach = tuple[float, float]


@dataclass(frozen=True)
class Source:
    """What a pilot has to know of a source.

    Attributes:
        path: "-" is standard input, which can be read once only.
        start: where coding begins, in seconds after the first frame.
        total: frames from there on as far as the source says, None where it does not.
        finest_qp: the lowest qp.
    """

    path: str
    info: VideoInfo
    header: bitstream.Header
    start: float
    total: int | None
    finest_qp: float

    @property
    def ends(self) -> tuple[float, float]:
        """Of the scale of qp."""
        return self.finest_qp, MAX_QP

    @property
    def picture(self) -> int:
        """Pixels of one frame."""
        return self.info.width * self.info.height

    @property
    def is_long(self) -> bool:
        """Whether it should have more frames than are held at the end."""
        return self.total is not None and self.total > HELD * self.header.keyint

    @property
    def is_short(self) -> bool:
        """Whether it says that it has no more: all of it is held, and gets one qp."""
        return self.total is not None and not self.is_long

    def fits(self, frames: int) -> bool:
        """Whether so many frames may be kept in memory."""
        return fits(self.info.width, self.info.height, frames)

    def windows(self, count: int, places: int = WINDOWS) -> list[Window]:
        """Parts of `count` frames from so many places, evenly spread."""
        step = (self.total or 1) / float(self.info.fps) / places
        return [Window(self.path, self.start + step * (i + 0.5), count) for i in range(places)]

    def excess(self, count: int) -> float:
        """How much more segments of `count` frames take than whole ones, for each pixel.

        The first frame of each has a latent frame to itself.
        """
        short, whole = (self.header.token_shape(n)[0] / n for n in (count, self.header.keyint))
        return short / whole


@dataclass(frozen=True)
class Verdict:
    """How a finished file stands to its goal; fields as in EncodeReport."""

    wanted_bpp: float | None = None
    reach: Reach | None = None
    warnings: tuple[str, ...] = ()


class Pilot:
    """Chooses qp for one file, and codes again what has to be.

    Args:
        goal: where the file shall land.
        code: codes one segment.
        source: what is coded; samples are taken where it is long.
        opening: bytes that the file begins with.
        audio: bytes of all audio, needed where the goal is a size.
    """

    def __init__(self, goal: Goal, code: Coder, source: Source, opening: int,
                 audio: int = 0) -> None:
        self.goal, self.code, self.source = goal, code, source
        self.picture = source.picture
        pixels = (source.total or 1) * self.picture
        wish = 8 * goal.band(pixels, audio).aim / pixels
        start = first_qp(wish, min(source.total or inf, source.header.keyint), source.finest_qp)
        self.control = RateControl(wish, start, pixels if source.total else None,
                                   bits=8.0 * (opening + TAIL_BYTES), least=source.finest_qp)
        self.reach: Reach | None = None
        #: Segments that were read before they are coded.
        self.waiting: list[Clip] = []
        #: Frames so far, and bits and pixels of segments that `control` is still to be told of.
        self._frames = 0
        self._untold: list[tuple[float, float]] = []
        if source.path != "-" and source.is_long:
            count = min(source.header.keyint, WINDOW_FRAMES)
            windows = load(source.windows(count), source.fits(WINDOWS * count))
            self._sample([[window] for window in windows], count)

    @property
    def qp(self) -> float:
        """For the next segment."""
        return self.control.qp

    def is_full(self, held: Sequence[Take]) -> bool:
        """Whether the first of the held segments has to go before another one is coded.

        Where cuts make short segments, more of them are held; of a source that is no longer than
        what is held, all.
        """
        room = (HELD if self.source.is_short else HELD - 1) * self.source.header.keyint
        return sum(t.coded.chunk.frame_count for t in held) > room

    def clip(self, frames: Cutter[Frame], first: bool) -> Clip:
        """The next segment's frames, such that they can be coded again where that is possible.

        The beginning of standard input is read at once: nothing else can be sampled there.
        """
        info, keyint, pipe = self.source.info, self.source.header.keyint, self.source.path == "-"
        keep = self.source.fits(HELD * keyint)
        if first and pipe and keep:
            self._read_ahead(frames)
        if self.waiting:
            return self.waiting.pop(0)
        again = None
        if not keep and not pipe:
            since = frames.next.pts * info.time_base - info.start_time
            again = Window(self.source.path, float(since), keyint)
        return Clip(frames.segment(), keep, again)

    def _read_ahead(self, frames: Cutter[Frame]) -> None:
        """Sample the first segments, until they have as many frames as a whole one."""
        keyint = self.source.header.keyint
        while frames and frames.taken < keyint:
            clip = Clip(frames.segment(), keep=True)
            clip.read()
            self.waiting.append(clip)
        if frames:
            self._sample([self.waiting], keyint)

    def add(self, take: Take) -> None:
        """Tell of a coded segment; moves `qp`, unless all of the source is held: that gets one."""
        frames = take.coded.chunk.frame_count
        self._frames += frames
        self._untold.append((8.0 * (take.coded.size + SEGMENT_BYTES), float(self.picture * frames)))
        if not self.source.is_short or self._frames > HELD * self.source.header.keyint:
            for bits, pixels in self._untold:
                self.control.add(bits, pixels)
            self._untold.clear()

    def finish(self, held: list[Take], writer: bitstream.Writer, audio: AudioCopier,
               whole: bool) -> None:
        """Replace the last segments so that the file meets the goal, if it does not.

        `held` are not written yet; `whole`: there are no others.
        """
        totals = _rehearse(held, writer, audio)
        pixels = totals.frames * self.picture
        fixed = totals.file_bytes - totals.audio_bytes - _total(held)
        band = self.goal.band(pixels, totals.audio_bytes).less(fixed)
        redo = [] if band.holds(_total(held)) else self._choose(held, band, whole)
        if redo:
            ends = self._land(redo, band.less(_total(held) - _total(redo)))
            if whole and ends:
                self.reach = 8 * (fixed + ends[0]) / pixels, 8 * (fixed + ends[1]) / pixels

    def verdict(self, totals: bitstream.Totals) -> Verdict:
        """Whether the finished file meets the goal, and what would have been in reach if not."""
        pixels = totals.frames * self.picture
        band = self.goal.band(pixels, totals.audio_bytes)
        wanted = 8 * (band.aim if self.goal.size is None else band.high) / pixels
        got = 8 * (totals.file_bytes - totals.audio_bytes) / pixels
        miss = self.goal.miss(totals.file_bytes, totals.audio_bytes, pixels)
        if self.goal.is_met(miss):
            return Verdict(wanted)
        asked, unit = (f"{wanted:.4g} bpp", "") if self.goal.size is None else (
            f"{self.goal.size} bytes", f" ({wanted:.4g} bpp)")
        if self.reach is None:
            return Verdict(wanted, None, (
                f"{asked}{unit} was missed by {miss:+.1%}: no qp comes nearer, or the last "
                "segments could not make up for the others",))
        low, high = min(got, self.reach[0]), max(got, self.reach[1])
        return Verdict(wanted, (low, high), (
            f"{asked}{unit} is out of this model's reach here, which is {high:.4g} bpp (qp "
            f"{self.source.finest_qp:.0f}) to {low:.4g} (qp 63); the nearest is {got:.4g}",))

    def _choose(self, held: list[Take], band: Band, whole: bool) -> list[Take]:
        """The last segment alone where that needs no visible step, else all that can be."""
        lasting = [t for t in held if t.clip.is_lasting]
        if not lasting or whole:
            return lasting
        last = lasting[-1]
        room = band.less(_total(held) - last.coded.size)
        step = room.octaves(last.coded.size) / self.control.slope
        return [last] if abs(step) <= LAST_STEP else lasting

    def _land(self, redo: list[Take], band: Band) -> Reach | None:
        """Replace `redo` by codings at one qp that come to `band` bytes together.

        Returns the least and most bytes measured where even an end of the scale is not in the band.
        """
        qp = fmean(t.qp for t in redo)
        tries = {qp: [t.coded for t in redo]}
        search = QpSearch(band, qp, fmean(t.coded.chunk.frame_count for t in redo),
                          least=self.source.finest_qp)
        search.tell(qp, _total(redo))

        def measure(qp: float) -> float:
            tries[qp] = [self._again(take, qp) for take in redo]
            return float(sum(c.size for c in tries[qp]))

        try:
            run(search, measure)
        except _UnsteadyError:
            return None
        for take, coded in zip(redo, tries[search.best], strict=True):
            take.qp, take.coded = search.best, coded
        missed = search.best in self.source.ends and not band.holds(_total(redo))
        return self._reach(search, measure) if missed else None

    def _sample(self, parts: Sequence[Sequence[Iterable[Frame]]], count: int) -> None:
        """Find the first qp on parts of the source, segments of `count` frames each or, together,
        as many."""
        if not parts:  # the source is shorter than it says
            return
        rates: dict[float, list[float]] = {}

        def measure(qp: float) -> float:
            rates[qp] = [self._rate(part, qp) / self.source.excess(count) for part in parts]
            return fmean(rates[qp])

        wish = self.control.first_rate
        band = Band(wish * (1 - SAMPLE_TOLERANCE), wish * (1 + SAMPLE_TOLERANCE))
        search = QpSearch(band, self.qp, count, most=6, least=self.source.finest_qp)
        run(search, measure)
        if search.best in self.source.ends:
            self.reach = self._reach(search, measure)
        self.control.learn(search.best, search.measured_slope(), rates[search.best])

    def _reach(self, search: QpSearch, measure: Callable[[float], float]) -> Reach:
        """The least and most of what was measured, both ends of the scale included."""
        for qp in self.source.ends:
            if qp not in search.seen:
                search.tell(qp, measure(qp))
        return min(search.seen.values()), max(search.seen.values())

    def _rate(self, part: Iterable[Iterable[Frame]], qp: float) -> float:
        """Bits per pixel of some segments."""
        coded = [self.code(segment, qp, f"search qp {qp:.1f}") for segment in part]
        pixels = self.picture * sum(c.chunk.frame_count for c in coded)
        return 8 * sum(c.size + SEGMENT_BYTES for c in coded) / pixels

    def _again(self, take: Take, qp: float) -> Coded:
        """Another coding of a segment; _UnsteadyError where its frames came out differently."""
        coded = self.code(take.clip, qp, f"search qp {qp:.1f}")
        first = take.coded.chunk
        if coded.chunk.pts != first.pts:
            raise _UnsteadyError
        return replace(coded, chunk=replace(coded.chunk, last_duration=first.last_duration))


class _UnsteadyError(Exception):
    """A file gave other frames the second time (broken times or key frames)."""


def _rehearse(held: Iterable[Take], writer: bitstream.Writer,
              audio: AudioCopier) -> bitstream.Totals:
    """What the file comes to if it ends with `held` as they are."""
    trial = writer.rehearse()
    with audio.rehearse() as rest:
        for take in held:
            rest.store(trial, take.coded.chunk)
        rest.copy_until(trial, None)
    return trial.close()


def run(search: QpSearch, measure: Callable[[float], float]) -> None:
    """Measure what a search asks for, to its end."""
    while (qp := search.ask()) is not None:
        search.tell(qp, measure(qp))


def _total(takes: Iterable[Take]) -> int:
    return sum(t.coded.size for t in takes)
