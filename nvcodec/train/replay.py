"""Steps recorded as CUDA graphs.

A step of `s` starts some two thousand small kernels for each latent frame, and starting them takes
the CPU longer than a fast GPU takes to run them. Recorded, they are started all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor, nn

from nvcodec.train.batch import Batch

#: Leaves gradients in the parameters and returns figures; without questions to the GPU.
Pass: TypeAlias = Callable[[Batch], dict[str, Tensor]]


@dataclass(frozen=True)
class _Recording:
    graph: torch.cuda.CUDAGraph
    batch: Batch
    gradients: list[Tensor | None]
    figures: dict[str, Tensor]


class Replay:
    """Does what `run` does, recorded once for each shape of batch.

    Figures and gradients are overwritten by the next batch of that shape. Scalars of a batch are
    tensors, or they would stay as they were when it was recorded.
    """

    def __init__(self, run: Pass, parameters: Iterable[nn.Parameter]) -> None:
        self.run, self.parameters = run, list(parameters)
        self._known: dict[tuple[torch.Size, ...], _Recording] = {}
        self._memory = torch.cuda.graph_pool_handle()  # no two recordings run at a time

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Replay `run` on a batch [on the GPU]."""
        shapes = tuple(v.shape for v in batch.tensors().values())
        if shapes not in self._known:
            self._known[shapes] = self._record(batch)
        known = self._known[shapes]
        for name, value in known.batch.tensors().items():
            value.copy_(getattr(batch, name))
        known.graph.replay()
        for parameter, gradient in zip(self.parameters, known.gradients, strict=True):
            parameter.grad = gradient
        return known.figures

    def _record(self, batch: Batch) -> _Recording:
        own = replace(batch, **{k: v.clone() for k, v in batch.tensors().items()})
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):  # libraries set themselves up; that cannot be recorded
            self._clear()
            self.run(own)
        torch.cuda.current_stream().wait_stream(beside)
        self._clear()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._memory):
            figures = self.run(own)
        return _Recording(graph, own, [p.grad for p in self.parameters], figures)

    def _clear(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None
