"""What the segments of one source are coded with: release, header, coder, network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from itertools import chain, islice
from math import ceil

import bitstream
from bitstream.caps import MAX_SEGMENT_TOKENS
from nvcodec.codec import mapping
from nvcodec.codec.background import BackgroundFinder
from nvcodec.codec.chooser import FINEST_QP, LEAST_FRAMES, Chooser, open_spacings, tried_frames
from nvcodec.codec.coders import CODERS, TokenCoder, coder_of, default_coder
from nvcodec.codec.options import EncodeOptions
from nvcodec.codec.ratesearch import Coded
from nvcodec.codec.refine import Refiner, load_perceptual
from nvcodec.codec.segment import SegmentEncoder
from nvcodec.codec.spacing import coded_frames
from nvcodec.errors import UsageError
from nvcodec.models import precision, registry
from nvcodec.models.device import pick_device
from nvcodec.models.tokenizer import Tokenizer
from nvcodec.segments import piece_frames, pieces
from nvcodec.train.losses import Perceptual
from nvcodec.video.info import Frame, VideoInfo


class Setup:
    """Codes segments of one source, each by itself; the network is loaded by its first use.

    Raises ModelError and UsageError where the options do not fit the source or what is here.
    """

    def __init__(self, info: VideoInfo, options: EncodeOptions) -> None:
        self.options = options
        self.release = registry.find(options.model)
        self.coder_name = options.coder or default_coder(self.release)
        self.step = piece_frames(info.width, info.height)
        #: The qp of segments where no rate is wished.
        self.qp = float(self.release.default_qp if options.qp is None else options.qp)
        #: Frames that wait until a segment's spacing is chosen; 0 where there is no choice.
        self.tried = tried_frames(info.width, info.height) if self._may_choose() else 0
        #: The lowest qp: below 0 pictures are coded between frames.
        self.finest_qp = FINEST_QP if self.tried else 0.0
        if self.qp < self.finest_qp:
            raise UsageError(f"qp {options.qp} cannot be had from model {self.release.id!r} here",
                             "0 is best quality, 63 smallest size")
        spacings: set[float] = {options.spacing or 1}
        if self.tried:
            spacings = open_spacings(None if options.has_wish else self.qp)
        self.header = mapping.make_header(
            info, self.release, CODERS[self.coder_name], options.keyint,
            ceil(max(1, *spacings)), ceil(1 / min(1, *spacings)),
            options.background and self.release.config.moves)
        _check_room(self.header, options.keyint)

    @cached_property
    def coder(self) -> TokenCoder:
        """What packs the tokens."""
        return coder_of(self.release, self.coder_name)

    @cached_property
    def model(self) -> Tokenizer:
        """The network, on its device."""
        return precision.load(self.release, pick_device(self.options.device),
                              self.options.network_precision)

    @cached_property
    def perceptual(self) -> Perceptual | None:
        """What the search measures with, where there is to be one."""
        if not self.options.effort:
            return None
        return load_perceptual(pick_device(self.options.device), self.options.effort_nets)

    @cached_property
    def chooser(self) -> Chooser:
        """What chooses spacings, where there is a choice."""
        return Chooser(self.model, self.coder, self.rdo)

    @property
    def rdo(self) -> float:
        """Strength of signs chosen by cost."""
        return self.release.rdo if self.options.rdo else 0.0

    def load(self) -> None:
        """Load what `code` needs, and meet its errors, now."""
        _ = self.coder, self.model, self.perceptual

    def _spaced(self, frames: Iterable[Frame], qp: float) -> tuple[Iterable[Frame], float, float]:
        """A segment's frames, the network's qp and the spacing. On its own, so that the frames that
        waited are let go once they are coded."""
        if not self.tried:
            return frames, qp, self.options.spacing or 1
        frames = iter(frames)
        beginning = list(islice(frames, self.tried if len(open_spacings(qp)) > 1 else 0))
        return chain(beginning, frames), *self.chooser.choose(beginning, qp)

    def _may_choose(self) -> bool:
        """Whether spacings are to be chosen: not for models without motion, which have not been
        measured."""
        o = self.options
        return o.spacing is None and self.release.config.moves and o.keyint >= LEAST_FRAMES

    def code(self, frames: Iterable[Frame], qp: float, shift: int,
             tell: Callable[[int], None]) -> Coded:
        """Code one segment of at most keyint frames; arguments as for `gather`."""
        return Coded(*self.gather(frames, qp, shift, tell).finish())

    def gather(self, frames: Iterable[Frame], qp: float, shift: int,
               tell: Callable[[int], None]) -> SegmentEncoder:
        """Choose the tokens of one segment of at most keyint frames; packing is to be finished.

        Timestamps go down by `shift` ticks; `tell` is called with the frames of each piece.
        """
        asked = qp
        frames, qp, spacing = self._spaced(frames, qp)
        finder = refiner = None
        if self.header.backgrounds:
            finder = BackgroundFinder(asked, self.header.time_stride, spacing, self.options.keyint)
        if self.perceptual is not None:
            refiner = Refiner(self.model, round(qp), self.options.effort, self.perceptual)
        segment = SegmentEncoder(
            self.model, self.coder, qp, self.header, self.rdo, refiner, spacing,
            self.options.fast or refiner is not None, finder)
        coded = coded_frames(frames, spacing, lambda frame: segment.note(frame, shift))
        told = 0
        for piece in pieces(coded, self.header.density * self.options.keyint, self.step):
            segment.add(piece)
            tell(len(segment.pts) - told)
            told = len(segment.pts)
        return segment


def _check_room(header: bitstream.Header, keyint: int) -> None:
    """Refuse segments above the container's cap before any work is done."""
    rows, columns = header.latent_height, header.latent_width
    latents = MAX_SEGMENT_TOKENS // (rows * columns)
    if header.token_shape(keyint, 1 / header.density)[0] > latents:
        most = 1 + (latents - 1) * header.time_stride // header.density
        raise UsageError(f"{keyint} frames of {header.width}x{header.height} are too much for one "
                         "segment", f"use --keyint {most} or less")
