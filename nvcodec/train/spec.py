"""What a training run is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunSpec:
    """One training run. `minutes` counts across resumed sittings; so does `steps`."""

    out: Path
    data: tuple[Path, ...]
    model: str = "s"
    recipe: str = "codec"
    minutes: float = 60.0
    steps: int | None = None
    batch: int = 8
    frames: tuple[int, ...] = (5, 9, 17)
    size: int = 96
    lr: float | None = None
    seed: int = 0
    device: str = "auto"
    cache: Path | None = None
    lpips_weights: Path | None = None
    init: Path | None = None
    freeze_encoder: bool = False
    save_minutes: float = 5.0
    eval_minutes: float = 15.0
    compile: bool = False
