"""Which device computes, and in which precision."""

from __future__ import annotations

import torch

from nvcodec.models.registry import ModelError


def pick_device(name: str = "auto") -> torch.device:
    """"auto" is the first CUDA device where there is one, else the CPU.

    Raises ModelError for a device that is not here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"device {name!r} is not here; use --device auto or cpu") from error
    return torch.device(name)


def fast_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware; emulation is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
        return bool(probe and probe())
    return False


def has_avx2(device: torch.device) -> bool:
    """Whether it is a CPU for which torch has operators on 8-bit integers that are fast."""
    probe = getattr(torch.cpu, "_is_avx2_supported", None)
    return device.type == "cpu" and bool(probe and probe())
