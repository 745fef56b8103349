"""Sizes that the design fixes: parameters, multiply-accumulates, strides."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from nvcodec.models.config import CONFIGS, ModelConfig, from_json
from nvcodec.models.cost import macs_per_pixel, parameters
from nvcodec.models.registry import ModelError, read_index


def test_limits() -> None:
    assert parameters(CONFIGS["tiny"]) < 300_000
    assert macs_per_pixel(CONFIGS["s"])[1] <= 32_000  # docs/speed.md tells why no longer 22,000
    assert 5 < macs_per_pixel(CONFIGS["b"])[1] / macs_per_pixel(CONFIGS["s"])[1] < 14
    assert parameters(CONFIGS["s"]) * 2 < 20e6  # bytes in half precision


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_strides(config: ModelConfig) -> None:
    assert (config.time_stride, config.spatial_stride, config.token_bits) == (4, 8, 18)
    assert [config.latent_frames(n) for n in (1, 2, 5, 6, 17)] == [1, 2, 2, 3, 5]
    assert config.latent_size(360, 641) == (45, 81)


def test_counting_is_right_on_a_layer() -> None:
    """A 1x1 model would be opaque; the stem of `tiny` is 3 * 16 -> 16 channels, 3x3, at 1/16."""
    import torch

    from nvcodec.models.conv import CausalConv3d
    from nvcodec.models.cost import _count

    with torch.device("meta"):
        conv = CausalConv3d(48, 16, (1, 3, 3))
        assert _count(conv, lambda: conv(torch.empty(1, 2, 4, 4, 48))) == 2 * 16 * 48 * 16 * 9


def test_bad_configurations_are_refused() -> None:
    from dataclasses import replace

    with pytest.raises(ValueError, match="decoder_blocks needs 4"):
        replace(CONFIGS["s"], decoder_blocks=(1, 2))
    with pytest.raises(ValueError, match="head_channels"):
        replace(CONFIGS["s"], head_channels=())


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_sizes_survive_an_index(config: ModelConfig) -> None:
    assert from_json(json.loads(json.dumps(asdict(config)))) == config


def _indexed(folder: Path, entry: dict[str, object]) -> ModelConfig:
    entry |= {"weights": "s.safetensors", "sha256": "00"}
    (folder / "index.json").write_text(json.dumps({"s": entry}))
    return next(read_index(folder)).config


def test_a_release_keeps_its_own_sizes(tmp_path: Path) -> None:
    """Files name weights by hash: those of another version are of other sizes, and must load."""
    sizes = asdict(CONFIGS["s"]) | {"decoder_blocks": (1, 2, 3, 4)}
    assert _indexed(tmp_path, {"sizes": sizes}).decoder_blocks == (1, 2, 3, 4)


def test_earlier_releases_hold_no_sizes(tmp_path: Path) -> None:
    found = _indexed(tmp_path, {"config": "s", "memory": True})
    assert (found.encoder_blocks, found.decoder_blocks) == (
        CONFIGS["s"].encoder_blocks, CONFIGS["s"].decoder_blocks)
    assert (found.memory, found.moves) == (True, False)


def test_sizes_of_another_kind_of_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a release index"):
        _indexed(tmp_path, {"sizes": {"name": "s", "transformer_layers": 12}})
