"""One adapter per codec; `make_codecs` builds those that were asked for."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.codecs.av1 import Av1
from benchmarks.codecs.base import Codec
from benchmarks.codecs.hevc import Hevc
from benchmarks.codecs.nvcodec import (
    Nvcodec,
    NvcodecDense,
    NvcodecFast,
    NvcodecFloat32,
    NvcodecPlain,
    NvcodecSearch,
    NvcodecTokens,
)
from benchmarks.codecs.vvc import Vvc
from benchmarks.ffmpeg import find_ffmpeg
from nvcodec.errors import UsageError

OWN = {"nvcodec": Nvcodec, "nvcodec-fast": NvcodecFast, "nvcodec-search": NvcodecSearch,
       "nvcodec-plain": NvcodecPlain, "nvcodec-dense": NvcodecDense,
       "nvcodec-tokens": NvcodecTokens, "nvcodec-float32": NvcodecFloat32}
ANCHORS: dict[str, type[Hevc] | type[Vvc] | type[Av1]] = {"hevc": Hevc, "vvc": Vvc, "av1": Av1}
#: In the order of tables: the codec under test first, then what it is compared with.
NAMES = (*OWN, *ANCHORS)
DEFAULT = ("nvcodec", *ANCHORS)

__all__ = ["ANCHORS", "DEFAULT", "NAMES", "OWN", "Codec", "make_codecs"]


def make_codecs(names: Sequence[str], ffmpeg: str | None, threads: int, model: str,
                device: str) -> list[Codec]:
    """The adapters called `names`, in the order of NAMES; UsageError for an unknown name."""
    unknown = [n for n in names if n not in NAMES]
    if unknown or not names:
        raise UsageError(f"unknown codec {', '.join(unknown) or '(none)'}",
                         f"choose from {','.join(NAMES)}")
    codecs: list[Codec] = []
    for name in NAMES:
        if name in names:
            codecs.append(OWN[name](threads, model, device) if name in OWN
                          else ANCHORS[name](threads, find_ffmpeg(ffmpeg)))
    return codecs
