"""Run by test_ddp.py under torchrun: a short run, then a digest of each process's weights."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from nvcodec.train import losses
from nvcodec.train.loop import Trainer
from nvcodec.train.spec import RunSpec


class StandIn(torch.nn.Module):
    """In place of LPIPS, whose backbone weights are not here."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a - b).abs().mean((1, 2, 3), keepdim=True)


def main(data: str, cache: str, out: str, recipe: str) -> None:
    """Two steps; the weights' sum goes to OUT/rank.txt."""
    losses.load_lpips = lambda net, weights: StandIn()  # type: ignore[assignment,misc]
    torch.set_num_threads(1)
    trainer = Trainer(RunSpec(out=Path(out), data=(Path(data),), cache=Path(cache), model="tiny",
                              recipe=recipe, steps=2, batch=1, frames=(5,), size=32, device="cpu"))
    while trainer.progress < 1:
        trainer.train_step()
    total = sum(float(p.detach().double().abs().sum()) for p in trainer.objective.parameters())
    (Path(out) / f"{trainer.rank}.txt").write_text(f"{trainer.step} {total!r} {trainer.seconds!r}")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
