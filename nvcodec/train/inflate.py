"""Starting weights: released ones, or 2D kernels inflated into the last slice of 3D ones."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from nvcodec.errors import InputError


def load_initial(objective: nn.Module, path: Path) -> None:
    """Load a .safetensors release or a training checkpoint (its averages) as starting weights.

    A kernel that is shorter in time is placed in the temporally last slice of the longer one
    (paper, section 3.2), so that stills come out as before. Other shape differences are errors.
    """
    from safetensors.torch import load_file

    tokenizer: nn.Module = objective.tokenizer  # type: ignore[assignment]
    if path.suffix == ".safetensors":
        saved = load_file(path)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)
        saved = state["ema"]["shadow"]
        rate = {k[6:]: v for k, v in state["objective"].items() if k.startswith("prior.")}
        objective.prior.load_state_dict(rate)  # type: ignore[union-attr]
    target = tokenizer.state_dict()
    if missing := sorted(set(target) ^ set(saved)):
        raise InputError(f"{path} is of another architecture: {missing[0]} differs",
                         "start from weights of the same --model")
    tokenizer.load_state_dict({k: inflate(saved[k].float(), v.shape) for k, v in target.items()})


def inflate(weight: Tensor, shape: torch.Size) -> Tensor:
    """[o, i, k, h, w] -> [o, i, K, h, w] with K >= k: zeros, then the old slices last."""
    if weight.shape == shape:
        return weight
    if len(shape) != 5 or weight.shape[:2] != shape[:2] or weight.shape[3:] != shape[3:]:
        raise InputError(f"cannot inflate a kernel {tuple(weight.shape)} to {tuple(shape)}",
                         "start from weights of the same --model")
    out = weight.new_zeros(shape)
    out[:, :, shape[2] - weight.shape[2]:] = weight
    return out
