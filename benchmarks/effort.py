"""What the encoder's search buys, and what it costs: `python -m benchmarks.effort CLIP...`.

Each clip is coded as it is at each qp with each effort, decoded, and measured; files decode at the
same speed whatever the effort was. LPIPS with AlexNet is part of what the search minimizes, so it
flatters the search: `--net squeeze` keeps AlexNet out of it, and tells what is left. PSNR and
MS-SSIM, which it does not look at, stand beside it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import click
from tqdm import tqdm

import nvcodec
from benchmarks import cli, machine, report
from benchmarks.table import Table, number

DEFAULT_NETS = nvcodec.EncodeOptions.effort_nets
FIGURES = ("bpp", "lpips", "psnr", "msssim", "fps")


def measure(clip: Path, options: nvcodec.EncodeOptions, folder: Path) -> dict[str, Any]:
    """Code and compare one clip."""
    target = folder / "effort.mvt"
    made = nvcodec.encode(clip, target, options)
    seen = nvcodec.compare(clip, target, every=4)
    return {"clip": clip.stem, "qp": options.qp, "effort": options.effort,
            "nets": options.effort_nets, "frames": made.frames, "bpp": made.bpp, "fps": made.fps,
            **{k: seen[k] for k in ("lpips", "psnr", "msssim")}}


def make_table(rows: Sequence[dict[str, Any]], notes: list[str]) -> Table:
    """Means over the clips, a row for each qp and effort."""
    cells = []
    for qp, effort in sorted({(r["qp"], r["effort"]) for r in rows}):
        chosen = [r for r in rows if (r["qp"], r["effort"]) == (qp, effort)]
        means = {f: fmean(r[f] for r in chosen) if all(r[f] is not None for r in chosen) else None
                 for f in FIGURES}
        cells.append([str(qp), str(effort), str(len(chosen))] + [
            number(means[f], digits) for f, digits in zip(FIGURES, (4, 3, 2, 3, 2), strict=True)])
    return Table("The encoder's search", ["qp", "effort", "clips", "bpp", "LPIPS", "PSNR",
                                          "MS-SSIM", "encode fps"], cells, notes)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("clips", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--qp", "qps", type=click.IntRange(0, 63), multiple=True, default=(24, 48),
              show_default=True)
@click.option("--effort", "efforts", type=click.IntRange(0), multiple=True, default=(0, 2, 4, 8),
              show_default=True)
@click.option("--net", "nets", type=click.Choice(DEFAULT_NETS), multiple=True,
              default=DEFAULT_NETS, show_default=True,
              help="LPIPS backbone that the search looks through; LPIPS is measured with alex.")
@click.option("--model", default="s", show_default=True, help="nvcodec's release.")
@click.option("-o", "--output", "out", type=click.Path(path_type=Path), help="JSON file to write.")
def command(clips: tuple[Path, ...], qps: tuple[int, ...], efforts: tuple[int, ...],
            nets: tuple[str, ...], model: str, out: Path | None) -> None:
    """Rate, quality and speed of CLIPS at several efforts."""
    plan = [(c, q, e) for c in clips for q in qps for e in efforts]
    with cli.scratch() as folder:
        rows = [measure(clip, nvcodec.EncodeOptions(
                    model=model, qp=qp, effort=effort, effort_nets=nets, audio=False, force=True),
                    folder)
                for clip, qp, effort in tqdm(plan, unit="file")]
    described = machine.describe()
    if out:
        report.write(out, json.dumps({"machine": described, "rows": rows}, indent=1) + "\n")
    notes = [f"{machine.one_line(described)}.", f"The search looks through {' and '.join(nets)}."]
    click.echo(make_table(rows, notes).markdown())


if __name__ == "__main__":
    cli.main(command)
