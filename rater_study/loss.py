"""What the browser-safe encode costs in LPIPS: `nvcodec compare`, started as a command.

This package knows no torch; the codec's command does, and takes a few seconds to start. So PSNR is
measured on every file (media.py), LPIPS on some clips of each condition.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

#: Above this LPIPS, or below this PSNR, an encode is not called visually lossless.
MOST_LPIPS, LEAST_PSNR = 0.01, 42.0
EVERY = 8


def lpips(source: Path, encoded: Path) -> dict[str, Any]:
    """{"lpips": value} on every 8th frame, or {"lpips": None, "why": reason}."""
    done = subprocess.run([sys.executable, "-m", "nvcodec", "compare", str(source), str(encoded),
                           "--json", "--quiet", "--every", str(EVERY)],
                          capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        return {"lpips": None, "why": f"nvcodec compare: {said[:200]}"}
    value = json.loads(done.stdout).get("lpips")
    if value is None:
        return {"lpips": None, "why": "no AlexNet features; set NVCODEC_LPIPS_WEIGHTS"}
    return {"lpips": round(float(value), 5)}


def verdict(losses: list[dict[str, Any]]) -> str:
    """One line about all encodes: worst figures, and whether they count as visually lossless."""
    psnrs = [x["psnr"] for x in losses if "psnr" in x]
    values = [x["lpips"] for x in losses if x.get("lpips") is not None]
    reasons = {x["why"] for x in losses if x.get("why")}
    if not psnrs:
        return "re-encoding loss: not measured"
    parts = [f"PSNR at least {min(psnrs):.1f} dB over {len(psnrs)} files"]
    if values:
        parts.append(f"LPIPS at most {max(values):.4f} over {len(values)}")
    else:
        parts.append(f"LPIPS not measured ({'; '.join(sorted(reasons)) or 'not asked for'})")
    good = min(psnrs) >= LEAST_PSNR and max(values, default=0.0) <= MOST_LPIPS
    return f"re-encoding loss: {', '.join(parts)}" + (
        "" if good else f"; WARNING: not visually lossless by the limits {LEAST_PSNR} dB "
        f"and {MOST_LPIPS}")
