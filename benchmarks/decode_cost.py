"""What decoding costs: `python -m benchmarks.decode_cost FILE.mvt...`.

Processor time for each frame, all threads together: entropy decoding (the prior and its tables)
and the decoder network. The two run side by side in `nvcodec decode`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import torch

import nvcodec
from benchmarks import cli, machine, report
from benchmarks.table import Table, number


@contextmanager
def spent(seconds: list[float]) -> Iterator[None]:
    """Append the processor time of a block."""
    start = time.process_time()
    yield
    seconds.append(time.process_time() - start)


def measure(path: Path, repeats: int) -> dict[str, Any]:
    """Milliseconds of one file's two parts; of `repeats` runs the quickest."""
    entropy: list[float] = []
    whole: list[float] = []
    with nvcodec.open(path, device="cpu") as video:
        for _ in range(repeats + 1):  # the first time warms up
            with spent(entropy):
                frames = sum(len(grid.pts) for grid in video.tokens())
            with spent(whole):
                for _ in video.frames():
                    pass
    a, b = (1000 * min(v[1:]) / frames for v in (entropy, whole))
    return {"file": path.name, "frames": frames, "entropy_ms": a, "network_ms": b - a,
            "share": a / (b - a)}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--repeats", type=click.IntRange(1), default=3, show_default=True,
              help="Runs, after one that warms up; the quickest counts.")
@click.option("--threads", type=click.IntRange(1), help="Of torch.  [default: its own]")
@click.option("-o", "--output", "out", type=click.Path(path_type=Path), help="JSON file to write.")
def command(files: tuple[Path, ...], repeats: int, threads: int | None, out: Path | None) -> None:
    """Processor time of entropy decoding and of the network, for each frame of FILES."""
    torch.set_num_threads(threads or torch.get_num_threads())
    rows = [measure(file, repeats) for file in files]
    described = {**machine.describe(), "threads": torch.get_num_threads()}
    if out:
        report.write(out, json.dumps({"machine": described, "rows": rows}, indent=1) + "\n")
    cells = [[r["file"], str(r["frames"]), number(r["entropy_ms"], 1), number(r["network_ms"], 1),
              f"{r['share']:.0%}"] for r in rows]
    table = Table("Processor time of decoding, ms a frame",
                  ["file", "frames", "entropy decoding", "network", "first over second"], cells,
                  [f"{described['threads']} threads. {machine.one_line(described)}."])
    click.echo(table.markdown())


if __name__ == "__main__":
    cli.main(command)
