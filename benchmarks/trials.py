"""What trials of spacing are worth at equal bits: `python -m benchmarks.trials CLIP...`.

The beginning of each clip is coded with every frame and with the spacing that is tried at a qp.
What has the higher qp of the network can spend more bits and fewer: it is coded at three qp, and
its LPIPS read off at the bits of the other. Then it is asked what the encoder takes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

import click
import torch
from tqdm import tqdm

import nvcodec
from benchmarks import cli, machine, report
from benchmarks.bdrate import Point, at_rate
from benchmarks.table import Table
from nvcodec.codec.chooser import (
    LEAST_FRAMES,
    Chooser,
    equal_rate,
    open_spacings,
    tried_frames,
)
from nvcodec.codec.coders import coder_of, default_coder
from nvcodec.codec.compare import frames_of
from nvcodec.errors import UsageError
from nvcodec.models import precision, registry
from nvcodec.quality import Meter, zip_frames
from nvcodec.video.reader import open_video

#: Steps of qp on either side of what is read off.
STEP = 6


@dataclass(frozen=True)
class Bench:
    """What clips are coded and measured with: a release, `frames` of each, a folder to write in."""

    release: registry.Release
    chooser: Chooser
    meter: Meter
    frames: int
    folder: Path

    def point(self, clip: Path, spacing: float, qp: int) -> Point:
        """bpp and LPIPS of a clip's beginning at a qp of the network; NaN without a backbone."""
        target = self.folder / "trial.mvt"
        with open_video(clip) as video:
            seconds = (self.frames - 0.5) / float(video.info.fps)
        made = nvcodec.encode(clip, target, nvcodec.EncodeOptions(
            model=self.release.id, qp=qp, spacing=spacing, duration=seconds, cuts=False,
            force=True))
        pairs = zip_frames(islice(frames_of(clip), made.frames), frames_of(target))
        return made.bpp, fmean(self.meter.add(a, b)[2] for a, b in islice(pairs, 2, None, 3))

    def measure(self, clip: Path, qp: int) -> dict[str, Any]:
        """One clip at one qp, as it is asked for."""
        (spacing,) = open_spacings(qp) - {1}
        qps = {1: float(qp), spacing: equal_rate(qp, spacing)}
        higher = max(qps, key=lambda s: qps[s])
        curves = {s: [self.point(clip, s, min(63, max(0, round(q) + step)))
                      for step in ((-STEP, 0, STEP) if s == higher else (0,))]
                  for s, q in qps.items()}
        with open_video(clip) as video:
            waiting = tried_frames(video.info.width, video.info.height)
            taken = self.chooser.choose(list(islice(video.frames(), waiting)), qp)[1]
        return {"clip": clip.stem, "qp": qp, "spacing": spacing, "taken": taken == spacing,
                "change": change(curves[1], curves[spacing])}


def change(every: Sequence[Point], other: Sequence[Point]) -> float | None:
    """LPIPS of the other spacing against every frame at equal bits, as a logarithm; one of the two
    has a single point. None where the three of the other do not reach its bits, or without LPIPS.
    """
    one, three = (every, other) if len(every) == 1 else (other, every)
    (bits, lpips), = one
    read = None if math.isnan(lpips) else at_rate(three, bits)
    if read is None:
        return None
    ratio = math.log(read / lpips)
    return ratio if one is every else -ratio


def make_table(rows: Sequence[dict[str, Any]], notes: list[str]) -> Table:
    """Means over the clips that compare, a row for each qp; percent."""
    cells = []
    for qp, spacing in sorted({(r["qp"], r["spacing"]) for r in rows}):
        of = [r for r in rows if r["qp"] == qp and r["change"] is not None]
        changes = [[r["change"] for r in of], [r["change"] * r["taken"] for r in of],
                   [min(r["change"], 0.0) for r in of]]
        means = [f"{100 * math.expm1(fmean(c)):+.1f}" if c else "–" for c in changes]
        cells.append([str(qp), f"{spacing:g}", str(len(of)), *means,
                      str(sum(r["taken"] for r in of))])
    return Table("LPIPS against every frame, %, at equal bits", [
        "qp", "spacing", "clips", "always", "where a trial says so", "the better one", "taken"],
        cells, notes)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("clips", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--qp", "qps", type=click.IntRange(0, 63), multiple=True, default=(8, 44, 50),
              show_default=True, help="Of those at which something is tried.")
@click.option("--frames", type=click.IntRange(LEAST_FRAMES), default=33, show_default=True,
              help="Of each clip.")
@click.option("--model", default="s", show_default=True, help="nvcodec's release.")
@click.option("--lpips-weights", type=click.Path(exists=True, path_type=Path),
              help="AlexNet features, or a folder with them.")
@click.option("-o", "--output", "out", type=click.Path(path_type=Path), help="JSON file to write.")
def command(clips: tuple[Path, ...], qps: tuple[int, ...], frames: int, model: str,
            lpips_weights: Path | None, out: Path | None) -> None:
    """LPIPS of CLIPS with the spacing that is tried, against every frame, at equal bits."""
    if idle := [qp for qp in qps if open_spacings(qp) == {1}]:
        raise UsageError(f"nothing is tried at qp {idle[0]}", "ask for one below 20 or from 42 on")
    release = registry.find(model)
    chooser = Chooser(precision.load(release, torch.device("cpu")),
                      coder_of(release, default_coder(release)), release.rdo)
    rows = []
    with cli.scratch() as folder:
        bench = Bench(release, chooser, Meter(weights=lpips_weights), frames, folder)
        for clip in tqdm(clips, unit="clip"):
            rows += [bench.measure(clip, qp) for qp in qps]
    described = machine.describe()
    if out:
        report.write(out, json.dumps({"machine": described, "rows": rows}, indent=1) + "\n")
    click.echo(make_table(rows, [f"{frames} frames of each, every third measured.",
                                 f"{machine.one_line(described)}."]).markdown())


if __name__ == "__main__":
    cli.main(command)
