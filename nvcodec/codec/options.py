"""What may be asked of an encode. Loads no network library, so that options are checked at once."""

from __future__ import annotations

from dataclasses import dataclass

from bitstream.caps import SPACINGS
from nvcodec.codec.coders import CODERS
from nvcodec.codec.plain import check_precision
from nvcodec.errors import UsageError
from nvcodec.models import registry
from nvcodec.segments import DEFAULT_KEYINT
from nvcodec.train.recipes import CODEC

#: Gradient steps after which nothing is to be gained any more.
MAX_EFFORT = 64
#: The lowest qp, where spacings are chosen.
LEAST_QP = -16
#: What may be wished for: rates, and qualities with what each is below.
RATES = ("bpp", "bitrate", "size")
QUALITIES = {"lpips": 1, "psnr": 100, "msssim": 1}


@dataclass(frozen=True)
class EncodeOptions:
    """What to make of a source. At most one of qp, a rate (bpp, bitrate, size) and a quality
    (lpips, psnr, msssim).

    Attributes:
        model: release name.
        qp: quality step 0 (best with every frame coded) .. 63 (smallest); None takes the release's
            default. Down to -16 where the spacing is chosen: pictures between frames are coded too.
        bpp: wished bits per source pixel, audio left out.
        bitrate: wished kbit/s of everything but audio.
        size: wished bytes of the whole file.
        lpips, psnr, msssim: wished quality, on average over samples of the source: LPIPS (AlexNet),
            PSNR in dB, MS-SSIM.
        keyint: most frames in a segment.
        cuts: begin a segment where a shot begins.
        spacing: frames from one coded frame to the next, 1, 2 or 4; the others are made from them.
            0.5 codes a picture between each two frames as well. None takes what serves a segment
            best of 0.5, 1 and 2.
        background: tell what stands still once more, as a picture, where that is worth its bits.
        coder: "learned" (integer prior), "table" (static probabilities) or "none" (18 raw bits a
            token); None takes the best that the release has.
        start, duration: part of the source to encode, in seconds.
        audio: copy the audio tracks.
        device: "auto", "cpu", "cuda", ...
        precision: of the network: "float32", "int8", or "auto" for the faster one. The search
            always computes in float32.
        rdo: let the learned prior choose the sign of small latent values by its cost.
        fast: look at every picture once. Otherwise the encoder also looks at what it made of it,
            and mends what it misses, unless the search does.
        effort: gradient steps that search for better latent values; 0 takes the encoder's.
        effort_nets: LPIPS backbones that the search looks through: "alex", "squeeze" or both.
        verify: read the file back and compare every token.
        force: replace an existing target.
    """

    model: str = registry.DEFAULT_MODEL
    qp: int | None = None
    bpp: float | None = None
    bitrate: float | None = None
    size: int | None = None
    lpips: float | None = None
    psnr: float | None = None
    msssim: float | None = None
    keyint: int = DEFAULT_KEYINT
    cuts: bool = True
    spacing: float | None = None
    background: bool = True
    coder: str | None = None
    start: float | None = None
    duration: float | None = None
    audio: bool = True
    device: str = "auto"
    precision: str = "auto"
    rdo: bool = True
    fast: bool = False
    effort: int = 0
    effort_nets: tuple[str, ...] = CODEC.lpips_nets
    verify: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        asked = [n for n in ("qp", *RATES, *QUALITIES) if getattr(self, n) is not None]
        if len(asked) > 1:
            raise UsageError(f"{' and '.join(asked)} were both given", "give one of them")
        least = 0 if self.spacing else LEAST_QP
        if self.qp is not None and not least <= self.qp <= 63:
            raise UsageError(f"qp {self.qp} is not in {least}..63",
                             f"{least} is best quality, 63 smallest size")
        for name in RATES:
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"{name} {value} is not a size", "give a number above 0")
        for name, most in QUALITIES.items():
            value = getattr(self, name)
            if value is not None and not 0 < value < most:
                raise UsageError(f"{name} {value} is not a quality",
                                 f"give a number between 0 and {most}")
        if self.coder is not None and self.coder not in CODERS:
            raise UsageError(f"unknown coder {self.coder!r}", f"use one of {', '.join(CODERS)}")
        if not 0 <= self.effort <= MAX_EFFORT:
            raise UsageError(f"effort {self.effort} is not in 0..{MAX_EFFORT}", "0 is fastest")
        if not self.effort_nets or set(self.effort_nets) - set(CODEC.lpips_nets):
            raise UsageError(f"effort_nets {self.effort_nets} are not the weights' own backbones",
                             f"use some of {', '.join(CODEC.lpips_nets)}")
        check_precision(self.precision)
        if self.effort and self.precision == "int8":
            raise UsageError("the search needs gradients, which 8 bits do not give",
                             "leave out precision or effort")
        if self.spacing not in (None, *SPACINGS):
            raise UsageError(f"spacing {self.spacing} is not one of 0.5, 1, 2, 4",
                             "leave it out to have it chosen")
        if not 1 <= self.keyint <= 65536:
            raise UsageError(f"keyint {self.keyint} is not in 1..65536",
                             f"{DEFAULT_KEYINT} is the default")

    @property
    def network_precision(self) -> str:
        """Of the network: the search needs gradients, which only float32 gives."""
        return "float32" if self.effort else self.precision

    @property
    def wishes_rate(self) -> bool:
        """Whether a rate or size was asked for."""
        return any(getattr(self, name) is not None for name in RATES)

    @property
    def quality(self) -> tuple[str, float] | None:
        """The quality that was asked for, by name."""
        wishes = ((name, getattr(self, name)) for name in QUALITIES)
        return next((wish for wish in wishes if wish[1] is not None), None)

    @property
    def has_wish(self) -> bool:
        """Whether qp is still to be found."""
        return self.wishes_rate or self.quality is not None
