"""AV1: libsvtav1, preset 5, CRF."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.codecs.anchor import Anchor


@dataclass(frozen=True)
class Av1(Anchor):
    """SVT-AV1's default random-access structure: 32-frame mini-GOPs with temporal filtering.

    CRF goes through the library's own parameters, because ffmpeg's option ends at 63 and the
    library at 70, which detailed clips need to get below 0.01 bpp.
    """

    name = "av1"
    label = "AV1 (libsvtav1)"
    scale = "crf"
    suffix = ".obu"
    points = (22, 30, 38, 46, 54, 62, 70)
    quick_points = (38, 50, 62)
    encoder = "libsvtav1"
    preset = "5"
    muxer = "obu"
    version_pattern = r"SVT-AV1 Encoder Lib v?(\S+)"
    gop = "random access: 32-frame mini-GOPs, closed by key frames"

    def environment(self) -> dict[str, str]:
        """Its banner goes to stderr whatever ffmpeg's log level is: errors only (1)."""
        return {"SVT_LOG": "1"}

    def options(self, point: int) -> list[str]:
        """CRF 1 (best) to 70; `lp` is the library's level of parallelism, 1 to 6."""
        return ["-g", str(self.keyint), "-svtav1-params",
                f"crf={point}:lp={min(6, self.threads)}"]
