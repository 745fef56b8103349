"""`python -m benchmarks.coders CLIPS...`: what each token coder makes of the same tokens.

Every clip is encoded at each qp with raw tokens; the other coders then code those very tokens, so
that all stand for the same reconstruction. The last column is another reconstruction: a second
encode, in which the learned prior chose the signs that hardly matter. Bits per pixel count token
payloads alone.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

import nvcodec
from benchmarks import cli, machine
from nvcodec.codec.options import EncodeOptions
from nvcodec.codec.recode import coder_sizes

#: The coder that can choose signs by their cost.
LEARNED = "learned"


def measure(clip: Path, qp: int, model: str, duration: float | None,
            folder: Path) -> dict[str, Any]:
    """A row: bits per token and per pixel of one clip at one qp under every coder."""
    target = folder / "clip.mvt"
    options = EncodeOptions(model=model, qp=qp, coder="none", audio=False, force=True,
                            duration=duration)
    nvcodec.encode(clip, target, options)
    facts = coder_sizes(target)
    sizes = dict(facts["bytes"])
    if LEARNED in sizes:
        nvcodec.encode(clip, target, replace(options, coder=LEARNED))
        sizes[f"{LEARNED} + RDO"] = coder_sizes(target)["bytes"][LEARNED]
    row: dict[str, Any] = {"clip": clip.stem, "qp": qp, "tokens": facts["tokens"]}
    for name, size in sizes.items():
        row[f"{name}_bits_per_token"] = 8 * size / facts["tokens"]
        row[f"{name}_bpp"] = 8 * size / facts["pixels"]
    return row


def mean_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over clips, a row for each qp."""
    out = []
    for qp in sorted({r["qp"] for r in rows}):
        mine = [r for r in rows if r["qp"] == qp]
        keys = [k for k in mine[0] if k not in ("clip", "qp")]
        out.append({"clip": "mean", "qp": qp,
                    **{k: sum(r[k] for r in mine) / len(mine) for k in keys}})
    return out


def markdown(rows: list[dict[str, Any]]) -> str:
    """Bits per token and (in brackets) per pixel by coder, with the saving against raw tokens."""
    names = [k.removesuffix("_bits_per_token") for k in rows[0] if k.endswith("_bits_per_token")]
    lines = ["| clip | qp | " + " | ".join(f"{n}, bits/token (bpp)" for n in names) + " | "
             + " | ".join(f"{n} below raw" for n in names[1:]) + " |",
             "|---|---|" + "---|" * (2 * len(names) - 1)]
    for r in rows:
        bits = [r[f"{n}_bits_per_token"] for n in names]
        cells = [f"{b:.2f} ({r[f'{n}_bpp']:.4f})" for n, b in zip(names, bits, strict=True)]
        cells += [f"{1 - b / bits[0]:.1%}" for b in bits[1:]]
        lines.append(f"| {r['clip']} | {r['qp']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


@click.command()
@click.argument("clips", nargs=-1, required=True,
                type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--qp", multiple=True, type=click.IntRange(0, 63), default=(0, 21, 42, 63),
              show_default=True, help="Can be repeated.")
@click.option("--model", default="s", show_default=True)
@click.option("--duration", type=float, help="Seconds of each clip; all where left out.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path),
              help="JSON file for the rows.")
def command(clips: tuple[Path, ...], qp: tuple[int, ...], model: str, duration: float | None,
            output: Path | None) -> None:
    """Bits per token of CLIPS under every token coder of the model."""
    plan = [(clip, q) for clip in clips for q in qp]
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(clip, q, model, duration, Path(folder))
                for clip, q in tqdm(plan, unit="point")]
    rows += mean_rows(rows)
    if output:
        document = {"machine": machine.describe(), "model": model, "rows": rows}
        output.write_text(json.dumps(document, indent=1) + "\n")
    click.echo(markdown(rows))


if __name__ == "__main__":
    cli.main(command)
