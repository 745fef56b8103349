"""What damage costs to the eye: `python -m benchmarks.damage CLIP...`.

Each clip is looped and coded, and of a share of its segments, drawn by chance, one byte is changed.
What `decode --conceal` makes of the file is held against the decode of the whole file. Frames of
whole segments come out the same, which is checked; means over the video count them as LPIPS 0.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
from tqdm import tqdm

import nvcodec
from benchmarks import cli, machine, report
from benchmarks.ffmpeg import find_ffmpeg
from benchmarks.looped import make_looped
from benchmarks.process import Runner
from benchmarks.table import Table, number
from nvcodec.codec.compare import frames_of
from nvcodec.errors import NvcodecError
from nvcodec.quality import Meter


def damage(coded: Path, target: Path, share: float, rng: np.random.Generator) -> int:
    """Write `coded` with a byte changed in `share` (0..1) of its segments; returns how many."""
    segments = nvcodec.inspect(coded, segments=True)["segment_list"]
    count = max(1, round(share * len(segments)))
    data = bytearray(coded.read_bytes())
    for k in rng.choice(len(segments), count, replace=False):
        data[segments[k]["offset"] + segments[k]["bytes"] // 2] ^= 0x55
    target.write_bytes(data)
    return count


def measure(coded: Path, share: float, rng: np.random.Generator, meter: Meter
            ) -> dict[str, Any]:
    """One draw: what a viewer of the damaged file sees, against its lossless .mkv decode."""
    broken, shown = coded.with_name("broken.mvt"), coded.with_name("shown.mkv")
    lost = damage(coded, broken, share, rng)
    done = nvcodec.decode(broken, shown, nvcodec.DecodeOptions(conceal=True, force=True))
    concealed = {k for gap in done.gaps for k in range(gap.first, gap.first + gap.frames)}
    rows = []
    undamaged = coded.with_suffix(".mkv")
    for k, (whole, seen) in enumerate(zip(frames_of(undamaged), frames_of(shown), strict=True)):
        if k in concealed:
            rows.append(meter.add(whole, seen))
        elif not np.array_equal(whole, seen):
            raise NvcodecError(f"frame {k} of {coded.name} differs, which was not damaged",
                               "this is a fault of nvcodec: please report it")
    psnr, _, lpips = (None if np.isnan(x) else float(x) for x in np.mean(rows, axis=0))
    return {"share": share, "segments": lost, "frames": done.frames, "concealed": len(rows),
            "psnr_concealed": psnr, "lpips_concealed": lpips,
            "lpips": None if lpips is None else lpips * len(rows) / done.frames}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("clips", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--shares", default="0.01,0.05,0.1", show_default=True, help="Of all segments.")
@click.option("--seconds", default=60.0, show_default=True, help="Length to loop clips to.")
@click.option("--keyint", default=17, show_default=True, help="Frames of a segment.")
@click.option("--size", nargs=2, type=click.IntRange(2), help="Scale to width and height.")
@click.option("--seed", default=0, show_default=True)
@click.option("--model", default="s", show_default=True, help="nvcodec's release.")
@click.option("--lpips-weights", type=click.Path(exists=True, path_type=Path),
              help="AlexNet features, or a folder with them.")
@click.option("--ffmpeg", help="Another ffmpeg than imageio-ffmpeg's.")
@click.option("-o", "--output", "out", type=click.Path(path_type=Path), help="JSON file to write.")
def command(clips: tuple[Path, ...], shares: str, seconds: float, keyint: int,
            size: tuple[int, int] | None, seed: int, model: str, lpips_weights: Path | None,
            ffmpeg: str | None, out: Path | None) -> None:
    """LPIPS of concealed against undamaged decodes of CLIPS."""
    wanted, tool = cli.numbers("--shares", shares), find_ffmpeg(ffmpeg)
    meter = Meter(weights=lpips_weights)
    rng, rows = np.random.default_rng(seed), []
    for clip in tqdm(clips, unit="clip"):
        with cli.scratch() as folder, cli.stopping(Runner()) as runner:
            video = make_looped(runner, tool, clip, folder / "long.mp4", seconds, None, size)
            coded = folder / f"{clip.stem}.mvt"
            options = nvcodec.EncodeOptions(keyint=keyint, model=model)
            nvcodec.encode(video, coded, options)
            nvcodec.decode(coded, coded.with_suffix(".mkv"))
            rows += [{"clip": clip.stem, **measure(coded, s, rng, meter)} for s in wanted]
    document = {"machine": machine.describe(), "keyint": keyint, "seed": seed, "rows": rows}
    if out:
        report.write(out, json.dumps(document, indent=1) + "\n")
    cells = [[r["clip"], f"{r['share']:.0%}", str(r["segments"]), str(r["concealed"]),
              str(r["frames"]), number(r["psnr_concealed"], 2), number(r["lpips_concealed"], 3),
              number(r["lpips"], 4)] for r in rows]
    click.echo(Table("Concealed against undamaged", [
        "clip", "damaged", "segments", "frames concealed", "of", "PSNR, concealed",
        "LPIPS, concealed", "LPIPS, all frames"], cells,
        [f"Segments of {keyint} frames, seed {seed}. {machine.one_line(machine.describe())}."]
    ).markdown())


if __name__ == "__main__":
    cli.main(command)
