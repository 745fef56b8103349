"""Starting weights: released ones, or 2D kernels inflated into the last slice of 3D ones."""

from __future__ import annotations

import logging
import re
from collections.abc import Container, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from nvcodec.errors import InputError
from nvcodec.models.prior import Prior
from nvcodec.models.prior_file import thawed
from nvcodec.models.registry import ModelError
from nvcodec.train.checkpoint import load_checkpoint, saved_prior
from nvcodec.train.finer import go_on_from

_log = logging.getLogger(__name__)


def load_initial(objective: nn.Module, path: Path) -> None:
    """Load a .safetensors release or a training checkpoint (its averages) as starting weights.

    A kernel that is shorter in time is placed in the temporally last slice of the longer one
    (paper, section 3.2), so that stills come out as before. Residual blocks that the saved network
    lacks begin as the identity, and a memory that it lacks begins by saying nothing, so that a
    larger network goes on from it. The prior comes from the
    checkpoint, or from the release's file beside the weights; where there is none the objective's
    stays as it is, with a warning. Other differences are errors (InputError).
    """
    tokenizer: nn.Module = objective.tokenizer  # type: ignore[assignment]
    prior: Prior = objective.prior  # type: ignore[assignment]
    saved, found = _read(path)
    _load_prior(prior, found, path)
    target = tokenizer.state_dict()
    added = set(target) - set(saved)
    if odd := sorted((set(saved) - set(target)) | {k for k in added if not _ADDABLE.search(k)}):
        raise InputError(f"{path} is of another architecture: {odd[0]} differs",
                         "start from weights of the same --model")
    for name in added:
        if _last_convolution(name, target):
            target[name].zero_()
    tokenizer.load_state_dict({k: v if k in added else inflate(saved[k].float(), v.shape)
                               for k, v in target.items()})


def saved_weights(path: Path) -> dict[str, Tensor]:
    """Tokenizer weights of a .safetensors release or of a training checkpoint (its averages)."""
    return _read(path)[0]


def _read(path: Path) -> tuple[dict[str, Tensor], Mapping[str, Tensor] | Path]:
    """Weights, and the prior that goes with them: a checkpoint's own, or where a release has it."""
    from safetensors.torch import load_file

    if path.suffix == ".safetensors":
        return load_file(path), path.with_name(f"{path.stem}.prior.safetensors")
    state = load_checkpoint(path)
    return state["ema"]["shadow"], saved_prior(state)


def _load_prior(prior: Prior, saved: Mapping[str, Tensor] | Path, path: Path) -> None:
    if not (saved.exists() if isinstance(saved, Path) else saved):
        _log.warning("%s holds no prior, so that a fresh one starts; --recipe codec, not tune, "
                     "gives it time to learn before bits have a price", path)
        return
    try:
        go_on_from(prior, thawed(saved).state_dict() if isinstance(saved, Path) else saved)
    except ModelError as error:
        raise InputError(f"{saved} is not a usable prior",
                         "reinstall it, or move it away") from error
    except RuntimeError as error:
        raise InputError(f"{path} is of another architecture: its prior differs",
                         "start from weights of the same --model") from error


#: A parameter of a residual block of an encoder or decoder stage, or of a memory.
_ADDABLE = re.compile(r"\b(stages\.\d+\.\d+|memory)\.")


def _last_convolution(name: str, names: Container[str]) -> bool:
    """Whether `name` belongs to a residual block's last convolution; zero makes it the identity."""
    found = re.fullmatch(r"(.*\.convs\.)(\d+)\.(weight|bias)", name)
    return found is not None and f"{found[1]}{int(found[2]) + 1}.weight" not in names


def inflate(weight: Tensor, shape: torch.Size) -> Tensor:
    """[o, i, k, h, w] -> [o, I, K, h, w] with I >= i, K >= k: zeros elsewhere.

    The old slices are the last in time and the first of the inputs.
    """
    if weight.shape == shape:
        return weight
    if len(shape) != 5 or weight.shape[0] != shape[0] or weight.shape[3:] != shape[3:] or (
            weight.shape[1] > shape[1] or weight.shape[2] > shape[2]):
        raise InputError(f"cannot inflate a kernel {tuple(weight.shape)} to {tuple(shape)}",
                         "start from weights of the same --model")
    out = weight.new_zeros(shape)
    out[:, :weight.shape[1], shape[2] - weight.shape[2]:] = weight
    return out
