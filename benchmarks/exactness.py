"""`python -m benchmarks.exactness`: tokens coded here must decode elsewhere, token for token.

    python -m benchmarks.exactness make FILE.mvt... -o DIR       # random grids, and the files' own
    python -m benchmarks.exactness check DIR --threads 1         # in another environment or machine

`check` decodes every payload with the learned prior that it finds there, compares all tokens, and
codes them again: the bytes must be the same too.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from benchmarks import cli
from nvcodec.codec.coders import coder_of
from nvcodec.codec.recode import read_grids
from nvcodec.models import registry

Grid = np.ndarray[Any, np.dtype[np.uint32]]


def random_grids(count: int, seed: int = 0) -> list[tuple[Grid, int]]:
    """Grids of all small shapes, with tokens at random or partly repeated, each with a qp."""
    draw = np.random.default_rng(seed)
    out = []
    for i in range(count):
        shape = tuple(int(n) for n in draw.integers(1, (6, 24, 24)))
        grid = draw.integers(0, 2**18, shape, dtype=np.uint32)
        keep = draw.random()
        for t in range(1, shape[0]):
            grid[t] = np.where(draw.random(shape[1:]) < keep, grid[t - 1], grid[t])
        out.append((grid, i % 64))
    return out


@click.group()
def group() -> None:
    """Tokens coded here must decode elsewhere."""


@group.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", "out", required=True, type=click.Path(path_type=Path))
@click.option("--count", default=200, show_default=True, help="Random grids.")
@click.option("--model", default="s", show_default=True)
def make(files: tuple[Path, ...], out: Path, count: int, model: str) -> None:
    """Code random grids, and the tokens of `.mvt` FILES, with the learned prior."""
    coder = coder_of(registry.find(model), "learned")
    grids = random_grids(count) + [g for file in files for g in read_grids(file)]
    arrays: dict[str, Any] = {"qp": np.array([qp for _, qp in grids])}
    for i, (grid, qp) in enumerate(grids):
        arrays[f"t{i}"] = grid
        arrays[f"p{i}"] = np.frombuffer(coder.encode(grid, qp), np.uint8)
    out.mkdir(parents=True, exist_ok=True)
    np.savez(out / "coded.npz", allow_pickle=False, **arrays)
    click.echo(json.dumps({"model": model, "grids": len(grids), "torch": torch.__version__,
                           "threads": torch.get_num_threads()}))


@group.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
@click.option("--model", default="s", show_default=True)
def check(folder: Path, threads: int, model: str) -> None:
    """Decode what `make` coded; exit code 1 where a token or a byte differs."""
    torch.set_num_threads(threads)
    coder = coder_of(registry.find(model), "learned")
    tokens = wrong = recoded = 0
    with np.load(folder / "coded.npz") as saved:
        count = len(saved["qp"])
        for i, qp in enumerate(int(q) for q in saved["qp"]):
            grid, payload = saved[f"t{i}"], saved[f"p{i}"].tobytes()
            back = coder.decode(payload, grid.shape, qp)
            tokens += grid.size
            wrong += int((back != grid).sum())
            recoded += coder.encode(back, qp) != payload
    click.echo(json.dumps({"grids": count, "tokens": tokens, "wrong_tokens": wrong,
                           "payloads_that_differ": recoded, "torch": torch.__version__,
                           "threads": threads, "python": sys.version.split()[0]}))
    sys.exit(1 if wrong or recoded else 0)


if __name__ == "__main__":
    cli.main(group)
