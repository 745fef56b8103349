"""Stored streams decode to the tokens they were made from, whatever version reads them."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_golden import HERE, PRIORS, formula_table, learned_coder, make_grid, told

from bitstream import (
    CODER_LEARNED,
    Reader,
    Segment,
    StaticTable,
    StreamReader,
    background_of,
    check_table,
    decode_tokens,
)

SPACINGS = {1: [1] * 4, 2: [2, 4, 1, 2], 3: [0.5, 0.5, 2, 1], 4: [1, 0.5, 2, 1],
            5: [1, 0.5, 2, 1], 6: [1, 0.5, 2, 1]}
CODERS = {name: learned_coder(name) for name in PRIORS}
GOLDEN = json.loads((HERE / "golden.json").read_text())


def table_of(header):
    if header.prior == "golden8":
        return StaticTable.load(HERE / "v1_table8.table")
    return formula_table() if header.prior else None


def learned_of(header):
    return CODERS["learned8" if header.prior == "golden8" else header.prior]


def decoder_of(header):
    if header.coder == CODER_LEARNED:
        return learned_of(header).decode
    table = table_of(header)
    check_table(header, table)
    return lambda payload, shape, qp: decode_tokens(
        payload, shape, header.coder, table, qp, header.token_bits)


def digest_of(header, segments):
    digest, decode = hashlib.sha256(), decoder_of(header)
    for segment in segments:
        shape = header.token_shape(segment.frame_count, segment.spacing)
        tokens = decode(segment.payload, shape, segment.qp)
        digest.update(tokens.astype("<u4").tobytes())
    return digest.hexdigest()


def test_learned_ones_decode_in_float32_too(monkeypatch):
    """Whatever arithmetic is the fastest here."""
    for name in ("v1_learned8", "v1_fine8", "v1_long8"):
        with Reader(HERE / f"{name}.mvt") as reader:
            segments, header = list(reader.iter_segments()), reader.header
        prior = learned_of(header).prior
        monkeypatch.setitem(vars(prior), "contexts", prior.network)
        assert digest_of(header, segments) == GOLDEN[f"{name}.mvt"]["tokens_sha256"]


@pytest.mark.parametrize("name", GOLDEN)
def test_stored_streams_decode(name):
    path: Path = HERE / name
    data = path.read_bytes()
    assert hashlib.sha256(data).hexdigest() == GOLDEN[name]["file_sha256"]
    with Reader(path) as reader:
        assert not reader.rebuilt
        assert reader.meta == {"title": "golden"}
        assert [entry.frame_count for entry in reader.segments] == [1, 17, 6, 17]
        assert [entry.first_pts for entry in reader.segments] == [0, 1001, 18018, 24026]
        assert reader.read_segment(2).pts[:4] == (18018, 19020, 20022, 21021)
        assert len(list(reader.audio())) == 5
        assert data[8] == data[9] == int(name[1]) == reader.header.version
        assert [e.spacing for e in reader.segments] == SPACINGS[reader.header.version]
        assert digest_of(reader.header, reader.iter_segments()) == GOLDEN[name]["tokens_sha256"]
    with path.open("rb") as file:
        stream = StreamReader(file)
        segments = [item for item in stream if isinstance(item, Segment)]
    assert digest_of(stream.header, segments) == GOLDEN[name]["tokens_sha256"]


@pytest.mark.parametrize("version", [4, 5, 6])
def test_stored_backgrounds_decode(version):
    name = f"v{version}_learned8.mvt"
    with Reader(HERE / name) as reader:
        found = [background_of(segment, reader.header) for segment in reader.iter_segments()]
    assert [b and (b.turn, b.step) for b in found] == [(0, 1), (8, 10), None, (2, 28)]
    assert all(b is None or all(plane.levels.any() for plane in b.planes) for b in found)
    assert all(b is None or (b.fade > 0) == (version > 4) for b in found)
    assert [b and b.moves is not None for b in found] == [version > 5, version > 5, None,
                                                          version > 5]
    digest = hashlib.sha256(b"".join(map(told, found))).hexdigest()
    assert digest == GOLDEN[name]["backgrounds_sha256"]


def test_every_stream_is_listed():
    assert {path.name for path in HERE.glob("*.mvt")} == set(GOLDEN)


@settings(max_examples=25, deadline=None)
@given(shape=st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)),
       seed=st.integers(0, 99), qp=st.integers(0, 63), name=st.sampled_from(list(PRIORS)))
def test_every_prior_codes_any_grid(shape, seed, qp, name):
    coder, grid = CODERS[name], make_grid(shape, seed, 8)
    assert np.array_equal(coder.decode(coder.encode(grid, qp), shape, qp), grid)
