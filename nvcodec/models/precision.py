"""In which precision a release's tokenizer runs."""

from __future__ import annotations

import torch

from nvcodec.models import int8, registry
from nvcodec.models.registry import ModelError, Release
from nvcodec.models.tokenizer import Tokenizer


def resolve(precision: str, release: Release, device: torch.device) -> str:
    """"float32" or "int8" for one of `config.PRECISIONS`.

    "auto" takes 8 bits where the release knows its ranges and a CPU multiplies them faster.
    Raises ModelError where "int8" was asked for and cannot be had.
    """
    if precision == "float32":
        return precision
    if release.ranges and int8.is_fast(device):
        return "int8"
    if precision == "int8":
        why = (f"model {release.id!r} has no 8-bit ranges" if not release.ranges else
               f"{device.type} has no fast 8-bit arithmetic, or not with this torch")
        raise ModelError(f"{why}; use --precision float32")
    return "float32"


def load(release: Release, device: torch.device, precision: str = "auto") -> Tokenizer:
    """The release's tokenizer on `device`, for inference alone where that is in 8 bits.

    Raises ModelError where the weights do not have the index's hash, or as `resolve`.
    """
    resolved = resolve(precision, release, device)
    model = registry.load(release, device)
    return int8.convert(model, release.ranges) if resolved == "int8" else model
