"""One adapter per codec; `make_codecs` builds those that were asked for."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.codecs.av1 import Av1
from benchmarks.codecs.base import Codec
from benchmarks.codecs.ffmpeg import find_ffmpeg
from benchmarks.codecs.hevc import Hevc
from benchmarks.codecs.nvcodec import Nvcodec
from benchmarks.codecs.vvc import Vvc
from nvcodec.errors import UsageError

#: In the order of tables: the codec under test first, then the anchors.
NAMES = ("nvcodec", "hevc", "vvc", "av1")
ANCHORS = {"hevc": Hevc, "vvc": Vvc, "av1": Av1}

__all__ = ["ANCHORS", "NAMES", "Codec", "make_codecs"]


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
            codecs.append(Nvcodec(threads, model, device) if name == "nvcodec"
                          else ANCHORS[name](threads, find_ffmpeg(ffmpeg)))
    return codecs
