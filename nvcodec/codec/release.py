"""Training checkpoint -> release folder: weights, probability table, index with provenance."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

import bitstream
from nvcodec.codec.encode import piece_frames
from nvcodec.codec.events import Listener, Progress, ignore
from nvcodec.errors import InputError, UsageError
from nvcodec.models import registry
from nvcodec.models.config import CONFIGS
from nvcodec.models.tokenizer import EncoderStream, Tokenizer
from nvcodec.segments import pad_piece, pieces
from nvcodec.train.checkpoint import load_checkpoint
from nvcodec.train.data import ClipPool, Frames

#: qp values that the table's statistics are taken at; every bucket of the table is hit.
TABLE_QP = (4, 12, 20, 28, 36, 44, 52, 60)

#: What a release tells of its run; paths and devices are nobody's business.
RUN_FACTS = {"recipe", "batch", "frames", "size", "lr", "seed"}


def release(checkpoint: Path, out: Path, name: str, data: Sequence[Path], cache: Path,
            clips: int = 64, default_qp: int = 32, provenance: dict[str, Any] | None = None,
            listen: Listener = ignore) -> Path:
    """Write `name`'s averaged weights (fp16), its table and the folder's index; returns the index.

    `provenance` adds to what the index tells of data and training, or replaces it. The table counts
    tokens of up to `clips` training videos below `data`. Further models of an
    index that is already in `out` are kept.
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
        "config": config.name, "weights": f"{name}.safetensors",
        "sha256": hashlib.sha256(data_bytes).hexdigest(), "default_qp": default_qp,
        "provenance": {
            "data": [folder.name for folder in data], "steps": state["step"],
            "hours": round(state["seconds"] / 3600, 2),
            "run": {k: v for k, v in state["spec"].items() if k in RUN_FACTS and v != "None"},
            **(provenance or {})},
    }
    _write_index(out, name, entry)
    model = registry.load(_entry(out, name), torch.device("cpu"))
    table = fit_table(model, name, ClipPool(data, cache, 0).videos, clips, listen)
    table.save(out / f"{name}.table")
    entry |= {"table": f"{name}.table", "table_sha256": table.sha256.hex()}
    return _write_index(out, name, entry)


def fit_table(model: Tokenizer, name: str, videos: Sequence[Frames], clips: int,
              listen: Listener = ignore) -> bitstream.StaticTable:
    """Static per-bit probabilities from the tokens of training videos, uint8 [T, H, W, 3] each."""
    counts = bitstream.Counts(model.config.token_bits)
    chosen = videos[::max(1, len(videos) // clips)][:clips]
    if not chosen:
        raise InputError("no training video to fit the table on", "name a folder with videos")
    for i, video in enumerate(chosen):
        for qp in (TABLE_QP[i % len(TABLE_QP)], TABLE_QP[(i + 4) % len(TABLE_QP)]):
            bitstream.count_contexts(tokens_of(model, video, qp), qp, counts)
        listen(Progress(i + 1, len(chosen), None, "table"))
    return bitstream.StaticTable.from_counts(name, counts)


def tokens_of(model: Tokenizer, video: Frames, qp: int) -> np.ndarray[Any, np.dtype[np.uint32]]:
    """Tokens uint32 [T', H', W'] of a whole video as one segment."""
    stream = EncoderStream(model, qp)
    step = piece_frames(video.shape[2], video.shape[1])
    out = []
    for piece in pieces(video, len(video), step):
        frames = pad_piece(piece.frames, piece.first, model.config.time_stride)
        out.append(stream.push(torch.from_numpy(np.stack(frames))).numpy().astype(np.uint32))
    return np.concatenate(out)


def _entry(out: Path, name: str) -> registry.Release:
    return next(r for r in registry.read_index(out) if r.id == name)


def _write_index(out: Path, name: str, entry: dict[str, Any]) -> Path:
    path = out / registry.INDEX
    index = json.loads(path.read_text()) if path.exists() else {}
    index[name] = entry
    path.write_text(json.dumps(index, indent=1) + "\n")
    return path
