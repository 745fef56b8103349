"""What the figures were measured on and with: no host name, no paths."""

from __future__ import annotations

import platform
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nvcodec.cores import cpu_count

PACKAGES = ("torch", "av", "lpips", "pytorch-msssim", "numpy", "imageio-ffmpeg")


@lru_cache(maxsize=1)
def describe() -> dict[str, Any]:
    """Processor, cores, memory, system and package versions."""
    return {"processor": _processor(), "cores": cpu_count(), "memory_gib": _memory(),
            "gpu": _gpu(), "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            "packages": {name: _version(name) for name in PACKAGES}}


def one_line(machine: dict[str, Any]) -> str:
    """For a report's head."""
    gpu = f", {machine['gpu']}" if machine["gpu"] else ""
    packages = ", ".join(f"{k} {v}" for k, v in machine["packages"].items() if v)
    return (f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB{gpu}, "
            f"{machine['system']}, Python {machine['python']}, {packages}")


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory() -> float | None:
    try:
        first = Path("/proc/meminfo").read_text().split()
        return round(int(first[1]) / 2**20, 1)
    except (OSError, ValueError, IndexError):
        return None


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
