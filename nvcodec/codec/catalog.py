"""The list behind `nvcodec models`."""

from __future__ import annotations

from typing import Any

from nvcodec.codec.plain import plain_errors
from nvcodec.models import registry
from nvcodec.models.config import CONFIGS, ModelConfig
from nvcodec.models.cost import macs_per_pixel, parameters


def catalog() -> list[dict[str, Any]]:
    """A row for each release, then one for each configuration without weights."""
    with plain_errors("models"):
        released = registry.releases()
    rows = [_row(r.id, r.config, r) for r in released]
    have = {r.config.name for r in released}
    return rows + [_row(name, c, None) for name, c in CONFIGS.items() if name not in have]


def _row(model: str, c: ModelConfig, release: registry.Release | None) -> dict[str, Any]:
    encoder, decoder = macs_per_pixel(c)
    return {
        "model": model, "config": c.name, "memory": c.memory, "keeps": c.keeps, "moves": c.moves,
        "parameters": parameters(c),
        "encoder_kmac_per_pixel": round(encoder / 1e3, 2),
        "decoder_kmac_per_pixel": round(decoder / 1e3, 2), "token_bits": c.token_bits,
        "stride": f"{c.time_stride}x{c.spatial_stride}x{c.spatial_stride}",
        "weights_sha256": release.sha256 if release else "",
        "default_qp": release.default_qp if release else None,
        "provenance": release.provenance if release else {},
    }
