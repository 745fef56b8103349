"""A step is a function of its batch and the weights, so that a GPU can replay it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nvcodec.train.batch import Batch
from nvcodec.train.loop import Trainer
from nvcodec.train.signs import Choose
from nvcodec.train.spec import RunSpec
from nvcodec.video.stills import write_png


@pytest.fixture
def spec(blurred_distance: None, tmp_path: Path) -> RunSpec:
    (data := tmp_path / "data").mkdir()
    noise = np.random.default_rng(1).integers(0, 256, (80, 80, 3), np.uint8)
    for i in range(2):
        write_png(data / f"{i}.png", noise // (i + 1))
    return RunSpec(out=tmp_path / "run", data=(data,), model="tiny", recipe="tune", steps=9,
                   batch=2, frames=(5, 9), size=64, device="cpu")


class Costs:
    """Signs by cost, of which a GPU needs no more."""

    reach = 0.6

    def strengths(self) -> torch.Tensor:
        return torch.linspace(0.3, 0.5, 64)

    def __call__(self, size: tuple[int, int], qp: int) -> Choose:
        raise AssertionError("for CPUs")


def gradients(trainer: Trainer, batch: Batch) -> list[torch.Tensor]:
    trainer._gradients(batch)
    return [p.grad.clone() for p in trainer.objective.parameters() if p.grad is not None]


def alike(a: list[torch.Tensor], b: list[torch.Tensor], most: float = 0.0) -> bool:
    return all(float((x - y).abs().max()) <= most * float(y.abs().max())
               for x, y in zip(a, b, strict=True))


def test_nothing_else_is_random(spec: RunSpec) -> None:
    trainer = Trainer(spec)
    batch = trainer.feed.cut(1).at(trainer.recipe, 1, 0.5)
    first = gradients(trainer, batch)
    torch.manual_seed(5)
    torch.rand(3)
    assert alike(gradients(trainer, batch), first)
    for name, other in (("ramp", 0.3), ("entropy", 2.0)):
        changed = replace(batch, **{name: torch.tensor(other)})
        assert not alike(gradients(trainer, changed), first)
    others = {"looked": (batch.looked + 1) % batch.pixels.shape[1], "qp": 63 - batch.qp}
    for name, indices in others.items():
        assert not alike(gradients(trainer, replace(batch, **{name: indices})), first)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="replays are a GPU's")
@pytest.mark.parametrize("signs", [None, Costs()])
def test_a_replay_is_the_step_itself(spec: RunSpec, signs: Costs | None) -> None:
    trainer = Trainer(replace(spec, device="cuda"), signs)
    assert trainer.replay is not None
    for step in (0, 1, 2, 3):  # two shapes, each recorded once and replayed once
        batch = trainer.feed.batch(step).at(trainer.recipe, step, 0.5)
        plain = gradients(trainer, batch)
        trainer.replay(batch)
        again = [p.grad for p in trainer.objective.parameters() if p.grad is not None]
        assert alike(again, plain, 0.05)  # sums in another order, in bfloat16
