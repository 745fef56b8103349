"""The integer prior as a safetensors file: int8 weights, int32 biases, the probability table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nvcodec.models.prior import Prior
from nvcodec.models.quant import FINEST, LOGIT_BITS, LOGIT_LEVELS, LOGITS
from nvcodec.models.registry import ModelError

#: Probabilities lie within these bounds, as in the table coder.
P1_MIN, P1_MAX = 32, 65504
HINT_MAX = LOGITS[1]
#: Table probabilities are told apart by their upper 12 of 16 bits.
HINT_LEVELS = 4096


def probability_table() -> Tensor:
    """P(bit = 1) * 65536 for each logit level, int32 [1024].

    Computed once, when a prior is written, and stored with it: exp differs between machines.
    """
    half, scale = LOGIT_LEVELS // 2, 2.0**LOGIT_BITS
    values = [65536 / (1 + math.exp(-(k - half + 0.5) / scale)) for k in range(LOGIT_LEVELS)]
    return torch.tensor([min(P1_MAX, max(P1_MIN, round(v))) for v in values], dtype=torch.int32)


def hint_table() -> Tensor:
    """64 times the logit of the table probabilities in 16 k .. 16 k + 15, int16 [4096]."""
    odds = [(k + 0.5) / (HINT_LEVELS - k - 0.5) for k in range(HINT_LEVELS)]
    levels = [round(math.log(v) * 2**LOGIT_BITS) for v in odds]
    return torch.tensor([min(HINT_MAX, max(-HINT_MAX, v)) for v in levels], dtype=torch.int16)


def prior_bytes(prior: Prior, table_sha256: str) -> bytes:
    """The file's content, with the SHA-256 of the table that its hints come from.

    Raises ValueError where the weights break the bound on accumulators.
    """
    from safetensors.torch import save

    prior.check()
    tensors = {"p1": probability_table(), "hints": hint_table()}
    for name, layer in prior.layers().items():
        tensors |= {f"{name}.{k}": v.contiguous() for k, v in layer.integers().items()}
    sizes = {k: str(v) for k, v in _sizes(prior).items()}
    return save(tensors, metadata={**sizes, "table_sha256": table_sha256})


def _sizes(prior: Prior) -> dict[str, int]:
    """Arguments that make another like it, less those with which files began, as they do not have
    them."""
    sizes = {k: getattr(prior, k) for k in ("bits", "narrow", "width", "units")}
    since = {"around": 0, "frames": 2, "finest": FINEST}
    return sizes | {k: getattr(prior, k) for k, v in since.items() if getattr(prior, k) != v}


@dataclass(frozen=True)
class PriorFile:
    """A frozen prior with its tables.

    Attributes:
        network: the integer network.
        p1: int32 [1024], P(bit = 1) * 65536 of each logit level.
        hints: int16 [4096], 64 times the logit of a table probability k / 65536, at k >> 4.
        table_sha256: hash (hex) of the table whose probabilities are the hints.
    """

    network: Prior
    p1: Tensor
    hints: Tensor
    table_sha256: str


def load_prior(path: Path, device: torch.device) -> PriorFile:
    """A frozen prior on `device`, its tables on the CPU.

    Raises ModelError where the file is not a prior, or could compute inexactly (naming the layer).
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "pt") as file:
            facts = dict(file.metadata() or {})
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
        table_sha256 = facts.pop("table_sha256")
        prior = Prior(**{k: int(v) for k, v in facts.items()})
        for name, layer in prior.layers().items():
            layer.load_integers(tensors[f"{name}.weight"], tensors[f"{name}.bias"])
        p1 = _checked(tensors["p1"], (LOGIT_LEVELS,), torch.int32, P1_MIN, P1_MAX)
        hints = _checked(tensors["hints"], (HINT_LEVELS,), torch.int16, -HINT_MAX, HINT_MAX)
        prior.check()
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} is not a usable prior ({error}); reinstall it") from error
    prior = prior.to(device).eval().requires_grad_(False)
    return PriorFile(prior, p1, hints, table_sha256)


def thawed(path: Path) -> Prior:
    """A prior to be trained on, from a file; ModelError as `load_prior`."""
    frozen = load_prior(path, torch.device("cpu")).network
    prior = Prior(**_sizes(frozen))
    theirs = frozen.layers()
    for name, mine in prior.layers().items():
        mine.start_from(theirs[name])
    return prior


def _checked(table: Tensor, shape: tuple[int, ...], dtype: torch.dtype, low: int,
             high: int) -> Tensor:
    if table.shape != shape or table.dtype != dtype:
        raise ValueError("a table of it has another shape")
    if int(table.min()) < low or int(table.max()) > high:
        raise ValueError(f"an entry of its tables is outside {low}..{high}")
    return table
