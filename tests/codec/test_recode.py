"""Coders beside each other on one file's tokens, and signs chosen by their cost."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from nvcodec.codec.encode import encode
from nvcodec.codec.inspect import verify
from nvcodec.codec.options import EncodeOptions
from nvcodec.codec.pictures import SegmentDecoder
from nvcodec.codec.recode import coder_sizes, read_grids

PART = {"model": "tiny", "keyint": 17, "duration": 1.0, "audio": False, "force": True}


def tokens_of(path: Path) -> np.ndarray:
    return np.concatenate([grid for grid, _ in read_grids(path)])


@pytest.mark.usefixtures("tiny")
def test_every_coder_holds_the_same_tokens(carphone: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.mvt"
    grids, sizes = {}, {}
    for coder in ("none", "table", "learned"):
        encode(carphone, target, EncodeOptions(coder=coder, **PART))
        grids[coder], sizes[coder] = tokens_of(target), coder_sizes(target)
        assert verify(target)["ok"]
    assert np.array_equal(grids["none"], grids["table"])
    assert np.array_equal(grids["none"], grids["learned"])
    assert sizes["none"]["bytes"] == sizes["table"]["bytes"] == sizes["learned"]["bytes"]
    found = sizes["none"]["bytes"]
    assert found["none"] > max(found["table"], found["learned"])
    assert sizes["none"]["tokens"] == grids["none"].size
    assert sizes["none"]["pixels"] == 30 * 176 * 144


def test_rdo_saves_bytes_and_can_be_turned_off(
        tiny_release: Path, carphone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(tiny_release, tmp_path / "release")
    index = json.loads((folder / "index.json").read_text())
    index["tiny"]["rdo"] = 0.2
    (folder / "index.json").write_text(json.dumps(index))
    monkeypatch.setenv("NVCODEC_MODELS", str(folder))
    sizes = {}
    for rdo in (True, False):
        report = encode(carphone, tmp_path / f"{rdo}.mvt", EncodeOptions(
            rdo=rdo, verify=True, **PART))
        sizes[rdo] = report.file_bytes
    assert sizes[True] < sizes[False]


@pytest.mark.usefixtures("tiny")
def test_a_prior_that_is_not_here_is_named(carphone: Path, tmp_path: Path,
                                           tiny_release: Path,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    from nvcodec.errors import UnsupportedFileError
    from nvcodec.models.registry import ModelError

    target = tmp_path / "a.mvt"
    encode(carphone, target, EncodeOptions(**PART))
    folder = shutil.copytree(tiny_release, tmp_path / "release")
    index = json.loads((folder / "index.json").read_text())
    index["tiny"] = {k: v for k, v in index["tiny"].items() if not k.startswith("prior")}
    (folder / "index.json").write_text(json.dumps(index))
    monkeypatch.setenv("NVCODEC_MODELS", str(folder))
    with pytest.raises(UnsupportedFileError, match=r"needs learned prior 'tiny' with SHA-256"):
        verify(target)
    from bitstream import Reader

    with Reader(target) as reader, pytest.raises(ModelError, match="learned prior"):
        SegmentDecoder(reader.header)
