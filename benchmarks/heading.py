"""The sentences at the top of a report: what was measured, on what, with what."""

from __future__ import annotations

from typing import Any

from benchmarks import machine


def head_lines(summary: dict[str, Any]) -> list[str]:
    """What was measured, on what, with what: sentences for the top."""
    meta, metrics = summary["meta"], summary["metrics"]
    frames = sum(c["frames"] for c in summary["clips"])
    lines = [
        f"{meta['date']}. {count(len(summary['clips']), 'clip')}, {frames} frames at 640x360 from "
        "lossless masters; sizes of real files; metrics in 8-bit RGB after decoding, averaged per "
        "clip, then over clips.",
        f"LPIPS {metrics.get('lpips')}, backbone {metrics.get('lpips_weights')}, on every "
        f"{ordinal(metrics.get('every', 1))} frame.",
        f"Machine: {machine.one_line(meta['machine'])}.",
    ]
    return lines + [f"Failed: {failure}" for failure in meta["failures"]]


def count(n: int, noun: str) -> str:
    """1, "clip" -> "1 clip"; 3, "clip" -> "3 clips"."""
    return f"{n} {noun}" + "s" * (n != 1)


def ordinal(n: int) -> str:
    """1 -> "single", 2 -> "2nd", 4 -> "4th"."""
    if n == 1:
        return "single"
    ending = "th" if 10 < n % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"
