"""Released weights: which there are, where they lie, what their hashes are. Free of torch.

A release folder holds `index.json` and the files it names. The package carries one; further ones
are named in the environment variable NVCODEC_MODELS (separated as in PATH) and come first.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nvcodec.models.config import CONFIGS, ModelConfig, from_json

if TYPE_CHECKING:
    import torch

    from nvcodec.models.tokenizer import Tokenizer

PACKAGED = Path(__file__).parent / "weights"
INDEX = "index.json"
DEFAULT_MODEL = "s"


class ModelError(Exception):
    """A model that was asked for is not here, or its files are not what the index says."""


@dataclass(frozen=True)
class Release:
    """One set of trained weights.

    Attributes:
        id: name for `--model` and for file headers.
        config: sizes of the network.
        weights: safetensors file with its SHA-256 (hex).
        table: static probability table with its SHA-256 (hex), or None.
        prior: integer prior with its SHA-256 (hex), or None.
        rdo: |z| that a nat is worth in rate-distortion optimization, before the share that each
            qp takes of it; 0 is none.
        default_qp: quality step that looks good, used when none is asked for.
        ranges: lowest and highest input of each convolution that has an 8-bit form
            (`nvcodec.models.int8`), by its name in the tokenizer; empty means float32 only.
        provenance: data, steps, recipe and figures, as in the model card.
    """

    id: str
    config: ModelConfig
    weights: Path
    sha256: str
    table: Path | None = None
    table_sha256: str = ""
    prior: Path | None = None
    prior_sha256: str = ""
    rdo: float = 0.0
    default_qp: int = 32
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)


def releases() -> list[Release]:
    """All releases, those of NVCODEC_MODELS first.

    Raises ModelError where an index cannot be read.
    """
    return [release for folder in _folders() for release in read_index(folder)]


def find(name: str) -> Release:
    """The first release called `name`; ModelError with the names there are."""
    known = releases()
    for release in known:
        if release.id == name:
            return release
    names = ", ".join(sorted({r.id for r in known})) or "none"
    raise ModelError(f"no weights for model {name!r}; released are: {names}")


def find_by_hash(name: str, sha256: bytes) -> Release:
    """The release whose weights have this SHA-256; ModelError that says what is wanted."""
    for release in releases():
        if release.sha256 == sha256.hex():
            return release
    raise ModelError(
        f"the file needs model {name!r} with weights {sha256.hex()[:16]}..., which are not here; "
        "put their release folder into NVCODEC_MODELS or install the nvcodec version that wrote it")


def fingerprint(release: Release) -> str:
    """SHA-256 (hex) over all of a release that shapes the files made with it."""
    facts = [release.config.name, release.sha256, release.table_sha256, release.prior_sha256,
             release.rdo, release.default_qp, release.ranges]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def load(release: Release, device: torch.device) -> Tokenizer:
    """The release's tokenizer in evaluation mode on `device`, in float32.

    Raises ModelError where the weights do not have the index's hash.
    """
    import torch
    from safetensors.torch import load as parse

    from nvcodec.models.tokenizer import Tokenizer

    data = whole_bytes(release.weights, release.sha256)
    with torch.device("meta"):
        model = Tokenizer(release.config)
    weights = {k: v.to(device, torch.float32) for k, v in parse(data).items()}
    model.load_state_dict(weights, assign=True)
    return model.eval().requires_grad_(False)


def whole_bytes(path: Path, sha256: str) -> bytes:
    """A release file's content; ModelError where it has not the index's hash (hex)."""
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ModelError(f"{path} is damaged: its hash is not the index's; reinstall it")
    return data


def _folders() -> Iterator[Path]:
    extra = os.environ.get("NVCODEC_MODELS", "")
    yield from (Path(p) for p in extra.split(os.pathsep) if p)
    yield PACKAGED


def _config(entry: dict[str, Any]) -> ModelConfig:
    """Sizes of an entry's network: its own, or of the configuration that earlier releases name,
    which tell of their loop alone."""
    if "sizes" in entry:
        return from_json(entry["sizes"])
    return replace(CONFIGS[entry["config"]], memory=bool(entry.get("memory", False)),
                   keeps=bool(entry.get("keeps", False)), moves=bool(entry.get("moves", False)))


def read_index(folder: Path) -> Iterator[Release]:
    """The releases of one folder; ModelError where its index cannot be read."""
    path = folder / INDEX
    if not path.exists() and folder == PACKAGED:
        return
    try:
        entries = json.loads(path.read_text())
        for name, entry in entries.items():
            table, prior = entry.get("table"), entry.get("prior")
            yield Release(
                id=name, config=_config(entry), weights=folder / entry["weights"],
                sha256=entry["sha256"], table=folder / table if table else None,
                table_sha256=entry.get("table_sha256", ""),
                prior=folder / prior if prior else None,
                prior_sha256=entry.get("prior_sha256", ""),
                rdo=float(entry.get("rdo", 0)), default_qp=int(entry.get("default_qp", 32)),
                ranges={n: (float(low), float(high))
                        for n, (low, high) in entry.get("ranges", {}).items()},
                provenance=entry.get("provenance", {}))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} is not a release index ({error}); "
                         "mend NVCODEC_MODELS or reinstall nvcodec") from error
