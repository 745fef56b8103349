"""Which points to measure: each codec's own, and one more at the rate that codecs are shown at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cache import Row, make_key
from benchmarks.codecs.base import Codec
from benchmarks.master import Master

#: Rate of the paper's Table 3 in bits per pixel, where decodes are shown side by side.
MATCHED_BPP = 0.0384
#: A point this near (relative) needs no other one beside it.
NEAR = 0.04


@dataclass(frozen=True)
class Task:
    """One point to measure.

    Attributes:
        clip: its name.
        master: the lossless clip.
        codec: adapter.
        point: on the codec's scale.
        key: of the row.
    """

    clip: str
    master: Master
    codec: Codec
    point: int
    key: str


class Planner:
    """Makes tasks whose keys hold the versions and metric settings of this run."""

    def __init__(self, codecs: Sequence[Codec], metrics: dict[str, Any], quick: bool,
                 given: Mapping[str, tuple[int, ...]] | None = None) -> None:
        self.codecs, self.metrics, self.quick = list(codecs), metrics, quick
        self.given = given or {}
        self.versions = {codec.name: codec.version() for codec in codecs}

    def task(self, clip: str, master: Master, codec: Codec, point: int) -> Task:
        """The task for one point."""
        # The commands, without the programs' paths: a change of an option measures anew.
        commands = [codec.encode_argv(Path("master"), Path("stream"), point)[1:],
                    codec.decode_argv(Path("stream"), Path("decoded.mkv"))[1:]]
        key = make_key(master=master.pixels_sha256, codec=codec.name, settings=codec.settings,
                       point=point, commands=commands, version=self.versions[codec.name],
                       metrics=self.metrics)
        return Task(clip, master, codec, point, key)

    def points(self, codec: Codec) -> tuple[int, ...]:
        """The rate points of this run."""
        usual = codec.quick_points if self.quick else codec.points
        return self.given.get(codec.name, usual)

    def base(self, clip: str, master: Master) -> list[Task]:
        """All points of all codecs for one clip."""
        return [self.task(clip, master, codec, point)
                for codec in self.codecs for point in self.points(codec)]

    def matched(self, clip: str, master: Master, codec: Codec, rows: Sequence[Row]) -> Task | None:
        """The point that should meet MATCHED_BPP, from the rows measured; None if it is there."""
        point = next_point([(row["point"], row["bpp"]) for row in rows])
        return None if self.quick or point is None else self.task(clip, master, codec, point)

    @property
    def size_per_clip(self) -> int:
        """Most points that one clip takes."""
        return sum(len(self.points(c)) for c in self.codecs) + (
            0 if self.quick else len(self.codecs))


def next_point(known: Sequence[tuple[int, float]], target: float = MATCHED_BPP) -> int | None:
    """Point between two of (point, bpp) whose rate should be nearest to `target`.

    By linear interpolation of ln(bpp). None where the target is outside, already met, or where
    the neighbours leave no integer between them.
    """
    above = [(bpp, point) for point, bpp in known if bpp >= target]
    below = [(bpp, point) for point, bpp in known if bpp < target]
    if not above or not below or any(abs(bpp / target - 1) < NEAR for _, bpp in known):
        return None
    (high, a), (low, b) = min(above), max(below)
    share = (math.log(high) - math.log(target)) / (math.log(high) - math.log(low))
    point = round(a + share * (b - a))
    return None if point in (a, b) else point
