"""What does not move must cost next to nothing: `python -m benchmarks.still CLIP...`.

The first frame of each clip becomes a shot of ten seconds, once exactly still and once with a
little noise that changes from frame to frame, as a camera on a tripod gives it. The cost after the
first second is the difference between the whole shot's file and that of its first second.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

import nvcodec
from benchmarks import cli, machine, report
from benchmarks.ffmpeg import find_ffmpeg
from benchmarks.table import Table

FPS, SECONDS = 30, 10
#: Strength of ffmpeg's noise filter, about that many 8-bit levels of standard deviation.
NOISES = (0, 2)


def make_shot(ffmpeg: str, clip: Path, noise: int, folder: Path) -> Path:
    """The clip's first frame for ten seconds, lossless."""
    frame, shot = folder / "frame.png", folder / "shot.mkv"
    quiet = [ffmpeg, "-v", "error", "-y"]
    subprocess.run([*quiet, "-i", str(clip), "-frames:v", "1", str(frame)], check=True)
    grain = ["-vf", f"noise=alls={noise}:allf=t"] if noise else []
    subprocess.run([*quiet, "-loop", "1", "-framerate", str(FPS), "-i", str(frame), "-t",
                    str(SECONDS), *grain, "-pix_fmt", "yuv420p", "-c:v", "ffv1", str(shot)],
                   check=True)
    return shot


def measure(ffmpeg: str, clip: Path, noise: int, qp: int | None, model: str, keyint: int,
            folder: Path) -> dict[str, Any]:
    """Bits per pixel of the first second and of what follows."""
    shot = make_shot(ffmpeg, clip, noise, folder)
    sizes = []
    for seconds in (1.0, None):
        options = nvcodec.EncodeOptions(model=model, qp=qp, keyint=keyint, duration=seconds,
                                        force=True)
        sizes.append(nvcodec.encode(shot, folder / "shot.mvt", options))
    first, whole = sizes
    pixels = whole.width * whole.height
    later = whole.frames - first.frames
    return {"clip": clip.stem, "noise": noise, "qp": whole.qp[0], "segments": whole.segments,
            "first_second_bpp": first.bpp,
            "later_bpp": 8 * (whole.file_bytes - first.file_bytes) / (later * pixels)}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("clips", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--qp", type=click.IntRange(0, 63), help="Default: the model's own.")
@click.option("--keyint", type=click.IntRange(1), default=nvcodec.EncodeOptions.keyint,
              show_default=True,
              help="Most frames in a segment; each one begins anew, and that is what costs.")
@click.option("--model", default="s", show_default=True, help="nvcodec's release.")
@click.option("--ffmpeg", help="Another ffmpeg than imageio-ffmpeg's.")
@click.option("-o", "--output", "out", type=click.Path(path_type=Path), help="JSON file to write.")
def command(clips: tuple[Path, ...], qp: int | None, keyint: int, model: str,
            ffmpeg: str | None, out: Path | None) -> None:
    """Cost of shots in which nothing moves, made from the first frames of CLIPS."""
    tool = find_ffmpeg(ffmpeg)
    with cli.scratch() as folder:
        rows = [measure(tool, clip, noise, qp, model, keyint, folder)
                for clip, noise in tqdm([(c, n) for c in clips for n in NOISES], unit="shot")]
    if out:
        document = {"machine": machine.describe(), "rows": rows}
        report.write(out, json.dumps(document, indent=1) + "\n")
    cells = [[r["clip"], str(r["noise"]), str(r["qp"]), str(r["segments"]),
              f"{r['first_second_bpp']:.4f}", f"{r['later_bpp']:.5f}"] for r in rows]
    table = Table("Shots in which nothing moves",
                  ["clip", "noise", "qp", "segments", "bpp, first second", "bpp after it"], cells,
                  [f"{machine.one_line(machine.describe())}."])
    click.echo(table.markdown())


if __name__ == "__main__":
    cli.main(command)
