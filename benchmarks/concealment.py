"""What to show for a lost segment: `python -m benchmarks.concealment CLIP...`.

Each clip is coded, and each of its inner segments is taken for lost in turn. Its frames are then
filled in from the decoded pictures around it in several ways, and measured against the source.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

import nvcodec
from benchmarks import cli, machine
from benchmarks.table import Table
from nvcodec.codec.compare import frames_of
from nvcodec.quality import Meter

RGB = NDArray[np.uint8]


def between(before: RGB, after: RGB, share: float) -> RGB:
    """A picture `share` (0..1) of the way from one to the other."""
    mixed: RGB = (before * (1 - share) + after * share).round().astype(np.uint8)
    return mixed


#: Name -> (picture before, picture after, share of the way) -> picture shown.
WAYS: dict[str, Callable[[RGB, RGB, float], RGB]] = {
    "hold the last": lambda before, _after, _share: before,
    "hold the nearer": lambda before, after, share: before if share < 0.5 else after,
    "fade into the next": between,
}


def measure(clip: Path, keyint: int, seconds: float, meters: dict[str, Meter],
            folder: Path) -> int:
    """Add one clip's lost frames to the meters; returns how many there are."""
    coded = folder / f"{clip.stem}.mvt"
    options = nvcodec.EncodeOptions(keyint=keyint, duration=seconds, audio=False)
    nvcodec.encode(clip, coded, options)
    decoded = list(frames_of(coded))
    source = [frame for frame, _ in zip(frames_of(clip), decoded, strict=False)]
    lost = 0
    for start in range(keyint, len(decoded) - keyint, keyint):
        before, after = decoded[start - 1], decoded[start + keyint]
        for k in range(keyint):
            for name, way in WAYS.items():
                meters[name].add(source[start + k], way(before, after, (k + 1) / (keyint + 1)))
            meters["not lost"].add(source[start + k], decoded[start + k])
        lost += keyint
    return lost


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("clips", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--keyint", default=17, show_default=True, help="Frames of a segment.")
@click.option("--seconds", default=2.0, show_default=True, help="Of each clip.")
@click.option("--lpips-weights", type=click.Path(exists=True, path_type=Path),
              help="AlexNet features, or a folder with them.")
def command(clips: tuple[Path, ...], keyint: int, seconds: float,
            lpips_weights: Path | None) -> None:
    """Quality of filled in frames over all inner segments of CLIPS."""
    with cli.scratch() as folder:
        meters = {name: Meter(weights=lpips_weights) for name in ("not lost", *WAYS)}
        lost = sum(measure(clip, keyint, seconds, meters, folder)
                   for clip in tqdm(clips, unit="clip"))
    rows = []
    for name, meter in meters.items():
        q = meter.result()
        rows.append([name, f"{q.psnr:.2f}", f"{q.msssim:.3f}" if q.msssim is not None else "",
                     f"{q.lpips:.3f}" if q.lpips is not None else ""])
    names = ", ".join(clip.stem for clip in clips)
    table = Table("Frames of lost segments", ["shown", "PSNR", "MS-SSIM", "LPIPS"], rows,
                  [f"{lost} frames in segments of {keyint}, of {names}.",
                   f"{machine.one_line(machine.describe())}."])
    click.echo(table.markdown())


if __name__ == "__main__":
    cli.main(command)
