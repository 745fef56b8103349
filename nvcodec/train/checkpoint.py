"""Training checkpoints: everything a run needs to go on exactly where it stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nvcodec.video.atomic import atomic_output


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write beside the target and rename, so that a kill leaves the old checkpoint whole."""
    with atomic_output(path, force=True) as partial:
        torch.save(state, partial)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Load onto the CPU; tensors and plain values only, never arbitrary pickles."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def saved_prior(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The float prior that a checkpoint's objective learned beside the tokenizer; may be empty."""
    return {k.removeprefix("prior."): v for k, v in state["objective"].items()
            if k.startswith("prior.")}


class Average:
    """Exponential moving average of a model's parameters (EMA), slower as training goes on."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self.shadow = {k: v.detach().float().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards the model; early steps forget the random start quickly."""
        self.steps += 1
        keep = min(self.decay, (1 + self.steps) / (10 + self.steps))
        current = model.state_dict()
        torch._foreach_lerp_(list(self.shadow.values()),
                             [current[key].detach().float() for key in self.shadow], 1 - keep)

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"steps": self.steps, "shadow": self.shadow}

    def restore(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.steps = int(state["steps"])
        for key, value in state["shadow"].items():
            self.shadow[key].copy_(value)


def append_log(path: Path, row: dict[str, Any]) -> None:
    """Add one JSON line."""
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")
