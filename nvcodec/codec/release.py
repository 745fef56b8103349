"""Training run -> release folder: weights, table, prior, index with provenance."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from nvcodec.codec.prior_stage import crop_ranges, release_tokenizer
from nvcodec.codec.sent import PRIOR, TABLE
from nvcodec.errors import InputError, UsageError
from nvcodec.models import registry
from nvcodec.models.config import CONFIGS
from nvcodec.train.checkpoint import load_checkpoint
from nvcodec.train.data import ClipPool

#: What a release tells of its run; paths and devices are nobody's business.
RUN_FACTS = {"recipe", "batch", "frames", "size", "lr", "seed"}


def release(checkpoint: Path, out: Path, name: str, data: Sequence[Path], default_qp: int = 32,
            rdo: float = 0.0, provenance: dict[str, Any] | None = None,
            cache: Path | None = None) -> Path:
    """Write `name`'s averaged weights (fp16), prior, table and the folder's index, and return it.

    Table and prior are those of `--stage prior`. `rdo` is the strength of rate-distortion
    optimized signs (`registry.Release`). `data` names the training folders, whose clips, decoded in
    `cache`, give the ranges of the 8-bit form; `provenance` adds to what the index
    tells of data and training, or replaces it. Further models of an index that is already in `out`
    are kept.
    """
    if not checkpoint.exists():
        raise InputError(f"{checkpoint}: no such checkpoint", "train first")
    state = load_checkpoint(checkpoint)
    config = CONFIGS[state["spec"]["model"]]
    weights = {k: v.to(torch.float16).contiguous() for k, v in state["ema"]["shadow"].items()}
    if not all(bool(v.isfinite().all()) for v in weights.values()):
        raise UsageError(f"{checkpoint}: its averages do not fit 16 bits", "lower the lr")
    out.mkdir(parents=True, exist_ok=True)
    data_bytes = save(weights, metadata={"config": config.name})
    (out / f"{name}.safetensors").write_bytes(data_bytes)
    entry: dict[str, Any] = {
        "sizes": asdict(config), "weights": f"{name}.safetensors",
        "sha256": hashlib.sha256(data_bytes).hexdigest(), "default_qp": default_qp,
        "rdo": rdo,
        "provenance": {
            "data": [folder.name for folder in data], "steps": state["step"],
            "hours": round(state["seconds"] / 3600, 2),
            "run": {k: v for k, v in state["spec"].items() if k in RUN_FACTS and v != "None"},
            **(provenance or {})},
    }
    run = checkpoint.parent
    if not (run / TABLE).exists():
        raise InputError(f"{run}: no table and prior there", "run --stage prior first")
    _remember(entry, "table", out / f"{name}.table", (run / TABLE).read_bytes())
    _remember(entry, "prior", out / f"{name}.prior.safetensors", (run / PRIOR).read_bytes())
    pool = ClipPool(data, cache or run / "cache", int(state["spec"].get("seed", 0)))
    ranges = crop_ranges(state, release_tokenizer(state), pool)
    entry["ranges"] = {n: [round(v, 4) for v in both] for n, both in ranges.items()}
    return _write_index(out, name, entry)


def _remember(entry: dict[str, Any], key: str, path: Path, data: bytes) -> None:
    """Write a file of the release and enter it with its hash."""
    path.write_bytes(data)
    entry |= {key: path.name, f"{key}_sha256": hashlib.sha256(data).hexdigest()}


def _write_index(out: Path, name: str, entry: dict[str, Any]) -> Path:
    path = out / registry.INDEX
    index = json.loads(path.read_text()) if path.exists() else {}
    index[name] = entry
    path.write_text(json.dumps(index, indent=1) + "\n")
    return path
