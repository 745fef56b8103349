"""HEVC: libx265, preset medium, CRF."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.codecs.anchor import Anchor


@dataclass(frozen=True)
class Hevc(Anchor):
    """x265's default random-access structure: up to 4 B frames as a pyramid, open GOP, scenecut.

    `info=0` drops the SEI that spells out the settings, about 2 kB that are no part of the video.
    The number of frame threads is x265's own choice for that many cores, stated because it
    changes the bits.
    """

    name = "hevc"
    label = "HEVC (libx265)"
    scale = "crf"
    suffix = ".hevc"
    points = (20, 25, 30, 35, 40, 45, 50)
    quick_points = (28, 36, 44)
    encoder = "libx265"
    preset = "medium"
    muxer = "hevc"
    version_pattern = r"HEVC encoder version (\S+)"
    gop = "random access: 4 B frames, pyramid, open GOP, scenecut"

    @property
    def frame_threads(self) -> int:
        """As x265 chooses by cores: 1 below 4, 2 below 8, 3 from there on."""
        return 1 + (self.threads >= 4) + (self.threads >= 8)

    def options(self, point: int) -> list[str]:
        """CRF 0 (best) to 51."""
        return ["-crf", str(point), "-x265-params",
                f"keyint={self.keyint}:pools={self.threads}:frame-threads={self.frame_threads}"
                ":info=0:log-level=error"]
