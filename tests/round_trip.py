"""Check clips of your own: what has to be equal before and after a round trip.

    python -m tests.round_trip CLIP...        exit code 1 if anything differs

For each clip: frames, times within one tick, size, audio packets, and whether the tokens verify.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import nvcodec
from nvcodec.video.audio import read_audio
from nvcodec.video.reader import open_video


@dataclass(frozen=True)
class Facts:
    """What is compared. Times in seconds; tick is one unit of the time base."""

    times: list[Fraction]
    end: Fraction
    tick: Fraction
    size: tuple[int, int]
    packets: int


def facts_of(path: Path) -> Facts:
    """Read a clip through."""
    with open_video(path) as video:
        base, info = video.info.time_base, video.info
        marks = [(f.pts * base, (f.pts + f.duration) * base) for f in video.frames()]
    with read_audio(path) as audio:
        packets = sum(1 for _ in audio)
    return Facts([m[0] for m in marks], marks[-1][1], base, (info.width, info.height), packets)


def differences(a: Facts, b: Facts) -> list[str]:
    """In words; empty where all is equal."""
    out = []
    if len(a.times) != len(b.times):
        out.append(f"{len(a.times)} frames became {len(b.times)}")
    else:
        worst = max(abs(x - y) for x, y in zip([*a.times, a.end], [*b.times, b.end], strict=True))
        if worst > max(a.tick, b.tick):
            out.append(f"times differ by up to {float(worst):.6f} s")
    if a.size != b.size:
        out.append(f"size {a.size} became {b.size}")
    if a.packets != b.packets:
        out.append(f"{a.packets} audio packets became {b.packets}")
    return out


def main(clips: list[str]) -> int:
    """Print a line for each clip; returns the exit code."""
    failed = 0
    for name in clips:
        with tempfile.TemporaryDirectory() as folder:
            mvt, back = Path(folder) / "a.mvt", Path(folder) / "a.mp4"
            nvcodec.encode(name, mvt, nvcodec.EncodeOptions(verify=True))
            nvcodec.decode(mvt, back)
            before, after = facts_of(Path(name)), facts_of(back)
            wrong = differences(before, after)
            failed += bool(wrong)
            width, height = after.size
            print(f"{Path(name).name}: {'; '.join(wrong) or 'equal'} ({len(after.times)} frames, "
                  f"{width}x{height}, {after.packets} audio packets)")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
