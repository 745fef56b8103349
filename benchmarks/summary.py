"""Rows -> the figures of the report: means at given rates, BD-rates, speeds. Plain data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from benchmarks.bdrate import Point, at_rate, bd_rate
from benchmarks.cache import Row
from benchmarks.plan import MATCHED_BPP

#: Rates in bits per pixel that figures are given at.
RATES = (0.01, 0.02, MATCHED_BPP, 0.06)
TEST_CODEC = "nvcodec"


@dataclass(frozen=True)
class Metric:
    """A column: its name in rows, its heading, digits, and its value as a rising quality."""

    name: str
    heading: str
    digits: int
    quality: Callable[[float], float]


def _decibel(msssim: float) -> float:
    return -10 * math.log10(max(1e-10, 1 - msssim))


#: In tables. MS-SSIM enters BD-rate in decibels, -10 log10(1 - x), for it crowds below 1.
METRICS = (
    Metric("lpips", "LPIPS ↓", 3, lambda v: -v),
    Metric("psnr", "PSNR dB ↑", 2, lambda v: v),
    Metric("msssim", "MS-SSIM ↑", 3, _decibel),
    Metric("vmaf", "VMAF ↑", 1, lambda v: v),
    Metric("flicker", "flicker ↓", 2, lambda v: -v),
)
#: For BD-rate and plots.
MAIN = METRICS[:3]


@dataclass(frozen=True)
class Results:
    """Rows of one report, ordered.

    Attributes:
        clips: names in order of appearance.
        codecs: names in the order of the plan.
        rows: of all.
    """

    clips: list[str]
    codecs: list[str]
    rows: list[Row]

    def of(self, codec: str, clip: str | None = None) -> list[Row]:
        """Rows of a codec (and clip) by falling rate."""
        found = [r for r in self.rows if r["codec"] == codec and clip in (None, r["clip"])]
        return sorted(found, key=lambda r: -r["bpp"])

    def curve(self, codec: str, clip: str, metric: str) -> list[Point]:
        """(bpp, metric) points."""
        return [(r["bpp"], r[metric]) for r in self.of(codec, clip) if r.get(metric) is not None]


def gather(rows: Iterable[Row], clips: Sequence[str], codecs: Sequence[str]) -> Results:
    """Results over the clips and codecs that have rows."""
    kept = list(rows)
    return Results([c for c in clips if any(r["clip"] == c for r in kept)],
                   [c for c in codecs if any(r["codec"] == c for r in kept)], kept)


def means_at(results: Results, bpp: float) -> dict[str, Any]:
    """Each codec's means over the clips at which every codec can be read at `bpp`.

    A codec that covers `bpp` on no clip at all is left out and does not narrow the others.
    `covered` counts, per codec, the clips whose measured range holds `bpp`.
    """
    covered = {codec: [clip for clip in results.clips
                       if at_rate(results.curve(codec, clip, "psnr"), bpp) is not None]
               for codec in results.codecs}
    there = [codec for codec in results.codecs if covered[codec]]
    common = [clip for clip in results.clips if all(clip in covered[c] for c in there)]
    table: dict[str, Any] = {}
    for codec in there if common else []:
        values = {m.name: [at_rate(results.curve(codec, clip, m.name), bpp) for clip in common]
                  for m in METRICS}
        table[codec] = {name: fmean(v for v in found if v is not None)
                        if found and all(v is not None for v in found) else None
                        for name, found in values.items()}
    return {"bpp": bpp, "clips": common, "means": table,
            "left_out": [c for c in results.clips if c not in common],
            "covered": {codec: len(clips) for codec, clips in covered.items()}}


def bd_rates(results: Results) -> dict[str, Any]:
    """BD-rate of nvcodec against each anchor and metric: the clips' mean, and each."""
    found: dict[str, Any] = {}
    if TEST_CODEC not in results.codecs:
        return found
    for anchor in (c for c in results.codecs if c != TEST_CODEC):
        found[anchor] = {}
        for metric in MAIN:
            each = {clip: bd_rate(_quality(results, anchor, clip, metric),
                                  _quality(results, TEST_CODEC, clip, metric))
                    for clip in results.clips}
            known = [v for v in each.values() if v is not None]
            found[anchor][metric.name] = {"percent": fmean(known) if known else None,
                                          "clips": len(known), "each": each}
    return found


def _quality(results: Results, codec: str, clip: str, metric: Metric) -> list[Point]:
    return [(bpp, metric.quality(v)) for bpp, v in results.curve(codec, clip, metric.name)]


def speeds(results: Results) -> dict[str, Any]:
    """Frames per second of whole processes over all rows, without start-up where known, memory."""
    found: dict[str, Any] = {}
    for codec in results.codecs:
        rows = results.of(codec)
        frames = sum(r["frames"] for r in rows)
        entry: dict[str, Any] = {"threads": rows[0]["settings"].get("threads"),
                                 "jobs": max(r["jobs"] for r in rows),
                                 "processors": sorted({r["processor"] for r in rows})}
        for verb in ("encode", "decode"):
            for kind in ("", "_inner"):
                seconds = [r[f"{verb}{kind}_seconds"] for r in rows]
                known = None not in seconds
                entry[f"{verb}{kind}_fps"] = frames / sum(seconds) if known else None
            entry[f"{verb}_rss_mib"] = max(r[f"{verb}_rss_mib"] for r in rows)
        found[codec] = entry
    return found


def mean_curve(results: Results, codec: str, metric: str) -> list[Point]:
    """(mean bpp, mean metric) at each rate point that every clip has, by falling rate."""
    points: list[Point] = []
    for point in sorted({r["point"] for r in results.of(codec)}):
        rows = {r["clip"]: r for r in results.of(codec)
                if r["point"] == point and r.get(metric) is not None}
        if len(rows) == len(results.clips):
            points.append((fmean(r["bpp"] for r in rows.values()),
                           fmean(r[metric] for r in rows.values())))
    return sorted(points, reverse=True)


def nearest(results: Results, codec: str, clip: str, bpp: float = MATCHED_BPP) -> Row | None:
    """The measured row whose rate is nearest to `bpp`, by ratio."""
    rows = results.of(codec, clip)
    return min(rows, key=lambda r: abs(math.log(r["bpp"] / bpp))) if rows else None


def summarize(results: Results, meta: dict[str, Any]) -> dict[str, Any]:
    """Everything that the report tells, as JSON."""
    frames = {clip: max(r["frames"] for r in results.rows if r["clip"] == clip)
              for clip in results.clips}
    return {
        "meta": meta, "clips": [{"name": c, "frames": frames[c]} for c in results.clips],
        "codecs": {c: {"version": results.of(c)[0]["version"],
                       "settings": results.of(c)[0]["settings"],
                       "points": len(results.of(c))} for c in results.codecs},
        "metrics": results.rows[0]["metrics"] if results.rows else {},
        "at": [means_at(results, bpp) for bpp in RATES],
        "bd_rate": bd_rates(results), "speed": speeds(results),
    }
