"""VVC: libvvenc, preset medium, constant QP with its perceptual adaptation."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.codecs.anchor import Anchor


@dataclass(frozen=True)
class Vvc(Anchor):
    """vvenc's default random access: groups of 32 frames, CRA refresh, 10 bits, QPA on."""

    name = "vvc"
    label = "VVC (libvvenc)"
    scale = "qp"
    suffix = ".vvc"
    points = (22, 27, 32, 37, 42, 47, 52)
    quick_points = (30, 38, 46)
    encoder = "libvvenc"
    preset = "medium"
    muxer = "vvc"
    version_pattern = r"libvvenc version: (\S+)"
    gop = "random access: 32-frame hierarchical groups, 10 bits, QPA on"

    def options(self, point: int) -> list[str]:
        """QP 0 (best) to 63."""
        return ["-qp", str(point), "-g", str(self.keyint), "-threads", str(self.threads)]
