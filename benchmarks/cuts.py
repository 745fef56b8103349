"""What segments that begin at cuts are worth: `python -m benchmarks.cuts CLIP CLIP...`.

The beginnings of each clip and the next one (the first behind the last) are joined into a video of
two shots, which is coded with and without segments that begin where a shot does, and measured: all
of it, and the frames beside the cut.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from statistics import fmean
from typing import Any

import click
import numpy as np
from tqdm import tqdm

import nvcodec
from benchmarks import cli, machine, report
from benchmarks.ffmpeg import QUIET, find_ffmpeg
from benchmarks.process import Runner
from benchmarks.table import Table, number
from nvcodec.codec.compare import frames_of
from nvcodec.quality import Meter, zip_frames
from nvcodec.video.reader import open_video

#: Frames a second of what is joined, and how many on either side of a cut are beside it.
FPS, BESIDE = 25, 2


def join(runner: Runner, ffmpeg: str, first: Path, second: Path, frames: int,
         folder: Path) -> Path:
    """The first frames of two clips one after the other, lossless, in the first one's size."""
    with open_video(first) as video:
        size = f"scale={video.info.width}:{video.info.height}"
    shots = [f"[{i}:v]{size},setsar=1,trim=end_frame={frames},setpts=N/{FPS}/TB,fps={FPS}[s{i}]"
             for i in range(2)]
    graph = ";".join([*shots, "[s0][s1]concat=n=2"])
    joined = folder / f"{first.stem}-{second.stem}.mkv"
    runner.run([ffmpeg, *QUIET, "-i", str(first), "-i", str(second), "-filter_complex", graph,
                "-pix_fmt", "yuv420p", "-c:v", "ffv1", str(joined)])
    return joined


def measure(joined: Path, frames: int, options: nvcodec.EncodeOptions, meter: Meter,
            folder: Path) -> dict[str, Any]:
    """Code and compare one joined video."""
    target = folder / "cuts.mvt"
    made = nvcodec.encode(joined, target, options)
    # PSNR, MS-SSIM and LPIPS of each frame.
    seen = np.array([meter.add(a, b) for a, b in zip_frames(frames_of(joined), frames_of(target))])
    beside = seen[frames - BESIDE:frames + BESIDE]
    return {"clips": joined.stem, "qp": options.qp, "cuts": options.cuts, "frames": len(seen),
            "segments": made.segments, "bpp": made.bpp, "fps": made.fps,
            "psnr": float(seen[:, 0].mean()), "lpips": _mean(seen[:, 2]),
            "lpips_beside": _mean(beside[:, 2])}


def _mean(values: np.ndarray[Any, Any]) -> float | None:
    return None if np.isnan(values).any() else float(values.mean())


def make_table(rows: Sequence[dict[str, Any]], notes: list[str]) -> Table:
    """Means over the joined videos, a row for each qp with and without."""
    digits = {"segments": 1, "bpp": 4, "psnr": 2, "lpips": 4, "lpips_beside": 3, "fps": 2}
    cells = []
    for qp, cuts in sorted({(r["qp"], r["cuts"]) for r in rows}):
        chosen = [r for r in rows if (r["qp"], r["cuts"]) == (qp, cuts)]
        means = {k: fmean(r[k] for r in chosen) if all(r[k] is not None for r in chosen) else None
                 for k in digits}
        cells.append([str(qp), "at cuts" if cuts else "by length",
                      *(number(means[k], d) for k, d in digits.items())])
    return Table("Two shots", ["qp", "segments begin", "segments", "bpp", "PSNR", "LPIPS",
                               "LPIPS beside the cut", "encode fps"], cells, notes)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("clips", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--qp", "qps", type=click.IntRange(0, 63), multiple=True, default=(24, 48),
              show_default=True)
@click.option("--frames", type=click.IntRange(BESIDE), default=31, show_default=True,
              help="Of each shot.")
@click.option("--model", default="s", show_default=True, help="nvcodec's release.")
@click.option("--lpips-weights", type=click.Path(exists=True, path_type=Path),
              help="AlexNet features, or a folder with them.")
@click.option("--ffmpeg", help="Another ffmpeg than imageio-ffmpeg's.")
@click.option("-o", "--output", "out", type=click.Path(path_type=Path), help="JSON file to write.")
def command(clips: tuple[Path, ...], qps: tuple[int, ...], frames: int, model: str,
            lpips_weights: Path | None, ffmpeg: str | None, out: Path | None) -> None:
    """Rate and quality of videos of two shots, made from CLIPS."""
    tool, meter, rows = find_ffmpeg(ffmpeg), Meter(weights=lpips_weights), []
    pairs = list(zip(clips, chain(clips[1:], clips[:1]), strict=True))
    with cli.scratch() as folder, cli.stopping(Runner()) as runner:
        for first, second in tqdm(pairs, unit="video"):
            joined = join(runner, tool, first, second, frames, folder)
            rows += [measure(joined, frames, nvcodec.EncodeOptions(
                        model=model, qp=qp, cuts=cuts, force=True), meter, folder)
                     for qp in qps for cuts in (False, True)]
    described = machine.describe()
    if out:
        report.write(out, json.dumps({"machine": described, "rows": rows}, indent=1) + "\n")
    notes = [f"{len(pairs)} videos of two shots, {frames} frames each.",
             f"{machine.one_line(described)}."]
    click.echo(make_table(rows, notes).markdown())


if __name__ == "__main__":
    cli.main(command)
