"""Batches for training, made ahead of time."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import torch

from nvcodec.cores import cpu_count
from nvcodec.train.batch import Batch, fill_batch
from nvcodec.train.crops import ClipShape
from nvcodec.train.data import ClipPool
from nvcodec.train.recipes import Recipe
from nvcodec.train.spec import RunSpec

#: Threads that cut batches at most, each for another step.
CUTTERS = 8


class Feed:
    """The batch of each step, by (seed, step) alone: resumed runs see what they would have seen.

    Args:
        keeps: whether the network keeps pictures.
        device: where batches are wanted.
        rank: of this process, which sees other clips than the others.
    """

    def __init__(self, pool: ClipPool, spec: RunSpec, recipe: Recipe, keeps: bool,
                 device: torch.device, rank: int = 0) -> None:
        self.pool, self.spec, self.recipe, self.keeps = pool, spec, recipe, keeps
        self.device, self.rank = device, rank
        self._count = max(1, min(CUTTERS, cpu_count() // 2))
        self._cutters = ThreadPoolExecutor(self._count)
        self._ahead: dict[int, Future[Batch]] = {}

    def batch(self, step: int) -> Batch:
        """On the device; those of the next steps are cut meanwhile, where the CPU does that."""
        if self.pool.device.type != "cpu":
            return self.cut(step).moved(self.device)
        self._ahead = {n: self._ahead.get(n) or self._cutters.submit(self.cut, n)
                       for n in range(step, step + self._count + 1)}
        return self._ahead.pop(step).result().moved(self.device)

    def cut(self, step: int) -> Batch:
        """Clips of one of the spec's lengths, or stills as often as the recipe says.

        Kernels over time learn nothing from clips shorter than their reach: lengths must be mixed.
        """
        draw = torch.Generator().manual_seed(self.spec.seed * 1_000_003 + step)
        still = float(torch.rand((), generator=draw)) < self.recipe.stills
        length = 1 if still else self.spec.frames[step % len(self.spec.frames)]
        shape = replace(batch_shape(self.spec, length), panned=self.recipe.panned)
        batch = fill_batch(self.pool.batch(step, shape, self.rank), self.recipe, self.keeps, draw)
        return batch.pinned() if self.device.type == "cuda" else batch


def batch_shape(spec: RunSpec, length: int) -> ClipShape:
    """About as many frames a step for every length; `batch` clips of the shortest."""
    if length == 1:
        return ClipShape(2 * spec.batch, 1, spec.size)
    return ClipShape(max(1, round(spec.batch * (spec.frames[0] + 1) / (length + 1))), length,
                     spec.size)
