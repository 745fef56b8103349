"""One nvcodec job in a process of its own, so that its time and memory are a whole process's.

    python -m benchmarks.codecs.worker encode master.mkv out.mvt --qp 32 --model s
    python -m benchmarks.codecs.worker decode out.mvt back.mkv --repeat 3

Prints one JSON object: `seconds` of each repetition without start-up (as nvcodec reports them),
`call_seconds` of each whole call, `frames`. From the second repetition on the process is warm.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import click

import nvcodec
from nvcodec.cli.run import run_command
from nvcodec.heap import keep_freed_memory


@click.group()
def group() -> None:
    """Code or decode one file."""


@group.command()
@click.argument("source", type=Path)
@click.argument("target", type=Path)
@click.option("--qp", type=int, help="-16 best .. 63 smallest; default: the model's own.")
@click.option("--model", default="s")
@click.option("--keyint", type=int, default=97)
@click.option("--rdo/--no-rdo", default=True)
@click.option("--fast", is_flag=True)
@click.option("--effort", type=int, default=0)
@click.option("--spacing", type=int)
@click.option("--background/--no-background", default=True)
@click.option("--device", default="auto")
@click.option("--precision", default="auto")
@click.option("--repeat", type=int, default=1)
def encode(source: Path, target: Path, qp: int | None, model: str, keyint: int, rdo: bool,
           fast: bool, effort: int, spacing: int | None, background: bool, device: str,
           precision: str, repeat: int) -> None:
    """Code a video."""
    options = nvcodec.EncodeOptions(model=model, qp=qp, keyint=keyint, rdo=rdo, fast=fast,
                                    effort=effort, spacing=spacing, background=background,
                                    audio=False, device=device, precision=precision, force=True)
    _repeat(repeat, lambda: nvcodec.encode(source, target, options))


@group.command()
@click.argument("source", type=Path)
@click.argument("target", type=Path)
@click.option("--device", default="auto")
@click.option("--precision", default="auto")
@click.option("--repeat", type=int, default=1)
def decode(source: Path, target: Path, device: str, precision: str, repeat: int) -> None:
    """Decode a `.mvt` file."""
    options = nvcodec.DecodeOptions(audio=False, device=device, precision=precision,
                                    force=True)
    _repeat(repeat, lambda: nvcodec.decode(source, target, options))


def _repeat(count: int, job) -> None:  # type: ignore[no-untyped-def]
    seconds, calls, frames = [], [], 0
    for _ in range(count):
        start = time.perf_counter()
        report = job()
        calls.append(time.perf_counter() - start)
        seconds.append(report.seconds)
        frames = report.frames
    click.echo(json.dumps({"seconds": seconds, "call_seconds": calls, "frames": frames}))


if __name__ == "__main__":
    keep_freed_memory()  # as the command does
    sys.exit(run_command(group, None, "nvcodec"))
