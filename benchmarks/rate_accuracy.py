"""Whether files land on what was wished for: `python -m benchmarks.rate_accuracy CLIP...`.

Each clip is coded once for each wish, as it is (no scaling). A wish outside the reach that the
encode reported does not count as missed: then the file has to be at the near end of that reach.
A wished LPIPS is compared with that of all frames of the file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

import nvcodec
from benchmarks import cli, machine, report
from benchmarks.table import NONE, Table, number

TOLERANCE = 0.02
WISHES = (0.01, 0.02, 0.04, 0.08)


def measure(clip: Path, wish: dict[str, float], folder: Path, settings: dict[str, Any]
            ) -> dict[str, Any]:
    """Code a clip for one wish ({"bpp": 0.04}, {"size": 90000}, {"lpips": 0.15}); what came out."""
    target = folder / "rate.mvt"
    options = nvcodec.EncodeOptions(**wish, force=True, **settings)  # type: ignore[arg-type]
    result = nvcodec.encode(clip, target, options)
    (unit, wished), = wish.items()
    got = _got(unit, result, clip, target)
    return {"clip": clip.stem, "unit": unit, "wished": wished, "got": got,
            "miss": got / wished - 1, "verdict": _verdict(result, unit, wished, got),
            "bpp": result.bpp, "reach": result.reach, "frames": result.frames,
            "segments": result.segments, "qp": [min(result.qp), max(result.qp)],
            "passes": result.passes, "seconds": result.seconds}


def _got(unit: str, result: nvcodec.EncodeReport, clip: Path, target: Path) -> float:
    if unit == "lpips":
        return float(nvcodec.compare(clip, target)["lpips"])
    return result.file_bytes if unit == "size" else result.bpp


def _verdict(result: nvcodec.EncodeReport, unit: str, wished: float, got: float) -> str:
    miss = got / wished - 1
    if abs(miss) <= TOLERANCE and (unit != "size" or miss <= 0):
        return "yes"
    if result.reach is None:
        return "no"
    near = result.reach[1] if miss < 0 else result.reach[0]
    reached = got if unit == "lpips" else result.bpp
    return "nearest" if abs(reached / near - 1) <= TOLERANCE else "no"


def make_table(rows: Sequence[dict[str, Any]], notes: list[str]) -> Table:
    """A row for each clip and wish."""
    cells = []
    for r in rows:
        digits = 0 if r["unit"] == "size" else 5
        reach = NONE if r["reach"] is None else f"{r['reach'][0]:.5f} to {r['reach'][1]:.5f}"
        low, high = r["qp"]
        cells.append([r["clip"], f"{r['unit']} {r['wished']:g}", number(r["got"], digits),
                      f"{r['miss']:+.2%}", r["verdict"], reach, str(r["segments"]),
                      f"{low}" if low == high else f"{low}-{high}", number(r["passes"], 1),
                      number(r["seconds"], 1)])
    return Table("Wished and real", ["clip", "wished", "real", "off by", "within 2%",
                 "reach, where the wish is outside", "segments", "qp", "passes", "seconds"],
                 cells, notes)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("clips", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--bpp", multiple=True, type=float, help="Wished bits per pixel; can be repeated.  "
              f"[default: {', '.join(map(str, WISHES))}]")
@click.option("--size", multiple=True, type=int, help="Wished bytes; can be repeated.")
@click.option("--lpips", multiple=True, type=float,
              help="Wished LPIPS, of whole clips; can be repeated.")
@click.option("--model", default="s", show_default=True, help="nvcodec's release.")
@click.option("--device", default="auto", show_default=True, help="Where nvcodec runs.")
@click.option("--keyint", type=click.IntRange(1), default=nvcodec.EncodeOptions.keyint,
              show_default=True,
              help="Most frames in a segment; fewer give more segments.")
@click.option("--duration", type=float, help="Seconds of each clip; all where left out.")
@click.option("-o", "--output", "out", type=click.Path(path_type=Path), help="JSON file to write.")
def command(clips: tuple[Path, ...], bpp: tuple[float, ...], size: tuple[int, ...],
            lpips: tuple[float, ...], model: str, device: str, keyint: int,
            duration: float | None, out: Path | None) -> None:
    """Code CLIPS for several rates or qualities and tell how near they came."""
    if lpips and duration:
        raise nvcodec.UsageError("LPIPS is that of whole clips", "leave out --duration")
    wishes: list[dict[str, float]] = [{"size": n} for n in size]
    wishes += [{"lpips": v} for v in lpips]
    wishes += [{"bpp": b} for b in bpp or (() if wishes else WISHES)]
    settings = {"model": model, "device": device, "keyint": keyint, "duration": duration}
    jobs = [(clip, wish) for clip in clips for wish in wishes]
    rows: list[dict[str, Any]] = []
    with cli.scratch() as folder, tqdm(jobs, unit="file", dynamic_ncols=True) as bar:
        for clip, wish in bar:
            bar.set_postfix_str(clip.stem)
            rows.append(measure(clip, wish, folder, settings))
            if out:  # what is measured so far is not lost
                report.write(out, json.dumps({"settings": settings, "machine": machine.describe(),
                                              "rows": rows}, indent=1) + "\n")
    good = sum(r["verdict"] != "no" for r in rows)
    notes = [f"{good} of {len(rows)} files within 2% of the wish, or at the end of the reach that "
             "is nearest to it. Passes: frames through the network over the clip's frames.",
             f"{machine.one_line(machine.describe())}."]
    click.echo(make_table(rows, notes).markdown())


def main() -> None:
    """Entry point."""
    cli.main(command)


if __name__ == "__main__":
    main()
