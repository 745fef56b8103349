"""Finds the qp at which a source comes out as good as was wished: samples of it are coded, decoded
and measured at a few.

Unlike a rate, quality is not steered while the file is coded: all segments get the one qp.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from statistics import fmean

from nvcodec.codec.clip import Window, load
from nvcodec.codec.options import EncodeOptions
from nvcodec.codec.pictures import DecodedFrame, SegmentDecoder
from nvcodec.codec.ratesearch import Coder, Reach, Source, run
from nvcodec.codec.setup import Setup
from nvcodec.codec.shots import cutter, looked_through
from nvcodec.errors import UsageError
from nvcodec.quality import MSSSIM_SIDE, Meter
from nvcodec.rate import Band, QpSearch
from nvcodec.video.info import Frame

#: The first qp, about where the usual rates are; the most that are tried; and how far off the wish
#: the distortion may be (relative), which ends the search. It goes up and down by as much from one
#: qp to the next.
START_QP, MOST, TOLERANCE = 45.0, 7, 0.03
#: A long source is sampled in so many places, each of so many frames. Few bits make pictures that
#: decay from a segment's first on, over some thirty frames, so that short samples look too good.
PLACES, PLACE_FRAMES = 3, 65
#: What is left out at the beginning of each is this part of a whole segment, for the same reason.
FRESH = 0.1
#: Every so many-th frame is measured: no multiple of a turn's four, of which the last is the worst.
EVERY = 3


@dataclass(frozen=True)
class Measure:
    """A measure of quality that may be wished for.

    Attributes:
        title: as people write it.
        place: in what `Meter.add` returns.
        distortion: a value -> what grows with qp, above 0.
        power: of the distortion that bits usually fall with.
    """

    title: str
    place: int
    distortion: Callable[[float], float]
    power: float

    def worth(self, value: float, times: float = 1.0) -> float:
        """A value, or one of so many times the distortion -> what falls with qp much as sizes do,
        so that a search for those finds it."""
        return float((times * max(self.distortion(value), 1e-6)) ** -self.power)


MEASURES = {
    "lpips": Measure("LPIPS", 2, lambda v: v, 2.0),
    "psnr": Measure("PSNR", 0, lambda v: 10 ** (-v / 20), 4.5),
    "msssim": Measure("MS-SSIM", 1, lambda v: 1 - v, 2.0),
}


@dataclass(frozen=True)
class Found:
    """The qp for all segments, and the value that samples have there; the rest as in
    `EncodeReport`."""

    qp: float
    sampled: float
    reach: Reach | None = None
    warnings: tuple[str, ...] = ()


class QualitySearch:
    """Measures what a source's samples come to.

    Args:
        options: with a wished quality.
        setup: what the samples are coded with.
        code: codes one segment.
        source: a file.

    Raises UsageError where it cannot be sampled or measured, ModelError where LPIPS is wished for
    and its backbone is neither here nor to be downloaded.
    """

    def __init__(self, options: EncodeOptions, setup: Setup, code: Coder, source: Source) -> None:
        assert options.quality is not None
        name, self.wish = options.quality
        self.measure, self.options, self.code = MEASURES[name], options, code
        self.source = source
        if source.path == "-":
            raise UsageError("standard input can be read once, and quality is found on samples",
                             "give a file, or wish for a rate")
        self.meter = Meter("alex" if name == "lpips" else None, download=True)
        #: Frames at the beginning of each part that are not measured.
        self.fresh = 0
        self.parts = self._samples()
        self.decoder = SegmentDecoder(setup.header, coder=setup.coder, model=setup.model)
        self.seen: dict[float, float] = {}

    def find(self) -> Found:
        """Code samples at a few qp; that which comes nearest."""
        worth, ends = self.measure.worth, self.source.ends
        band = Band(worth(self.wish, 1 + TOLERANCE), worth(self.wish, 1 / (1 + TOLERANCE)))
        search = QpSearch(band, START_QP, PLACE_FRAMES, MOST, ends[0])
        run(search, self._worth)
        qp = search.best
        if band.holds(search.seen[qp]):
            return Found(qp, self.seen[qp])
        title = f"{self.measure.title} {self.wish:.4g}"
        nearest = f"{self.seen[qp]:.4g} (qp {qp:.0f})"
        # Too bad at the lowest qp, or too good at the highest: nothing lies beyond.
        if qp != (ends[0] if search.seen[qp] < band.low else ends[1]):
            return Found(qp, self.seen[qp], None, (
                f"{title} was missed: the nearest that was found is {nearest}",))
        for end in set(ends) - set(search.seen):
            search.tell(end, self._worth(end))
        best, worst = (self.seen[end] for end in ends)
        return Found(qp, self.seen[qp], (best, worst), (
            f"{title} is out of this model's reach here, which is {best:.4g} (qp {ends[0]:.0f}) to "
            f"{worst:.4g} (qp {ends[1]:.0f}); the nearest is {nearest}",))

    def _samples(self) -> list[Iterable[Frame]]:
        """A few places of the source; all of it where it is short, its beginning where nobody
        knows."""
        source, whole = self.source, PLACES * PLACE_FRAMES
        keep = source.fits(whole)
        if source.total is not None and source.total > whole:
            parts = load(source.windows(PLACE_FRAMES, PLACES), keep)
            if len(parts) > 1:  # else it is by far not as long as it says
                self.fresh = min(int(FRESH * source.header.keyint), PLACE_FRAMES // 2)
                return parts
        wished = source.total if self.options.duration else None
        parts = load([Window(source.path, source.start, min(whole, wished or whole))], keep)
        if not parts:
            raise UsageError(f"{source.path} has no frame at {source.start} s",
                             "ask for an earlier start")
        return parts

    def _worth(self, qp: float) -> float:
        """`Measure.worth` of all samples at a qp."""
        self.seen[qp] = fmean(value for part in self.parts for value in self._values(part, qp))
        return self.measure.worth(self.seen[qp])

    def _values(self, part: Iterable[Frame], qp: float) -> list[float]:
        """The measure of some frames of a part; of its last where it has hardly any."""
        shots, coded = cutter(looked_through(part, self.options), self.options), []
        while shots:
            coded.append(self.code(shots.segment(), qp, f"search qp {qp:.1f}"))
        pictures = chain.from_iterable(self.decoder.frames(c.chunk) for c in coded)
        values: list[float] = []
        for number, pair in enumerate(zip(part, pictures, strict=False), 1):
            if number > self.fresh and number % EVERY == 0:
                values.append(self._value(*pair))
        return values or [self._value(*pair)]

    def _value(self, frame: Frame, made: DecodedFrame) -> float:
        value = self.meter.add(frame.rgb, made.rgb)[self.measure.place]
        if math.isnan(value):
            raise UsageError(f"pictures are too small for {self.measure.title}",
                             f"it takes {MSSSIM_SIDE} pixels a side; wish for psnr or lpips")
        return value
