"""A short run of what `python -m tests.fuzz` does for hours."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

import bitstream
from tests.attacks.make_attacks import TABLE
from tests.fuzz.engine import (
    CORPUS,
    measured,
    mutate,
    read_all_ways,
    resealed,
    seeds,
    table_decoders,
)

SEEDS = seeds()
DECODERS = table_decoders()


def test_every_stored_input_is_survived() -> None:
    for data in SEEDS:
        read_all_ways(data, DECODERS)
    for data in SEEDS[:3]:
        assert read_all_ways(data, DECODERS).outcome == ("read",) * 5
    assert resealed(SEEDS[0]) == SEEDS[0]
    assert 0 < sum(file.stat().st_size for file in CORPUS.glob("*.mvt")) < 300_000


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_changed_streams_are_survived(seed: int) -> None:
    rng = random.Random(seed)
    measured(mutate(rng.choice(SEEDS), rng.choice(SEEDS), rng), DECODERS)


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=400))
def test_any_bytes_are_survived(data: bytes) -> None:
    read_all_ways(data, DECODERS)
    read_all_ways(SEEDS[0][:10] + data, DECODERS)


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=300), frames=st.integers(1, 4), rows=st.integers(1, 9),
       columns=st.integers(1, 9), qp=st.integers(0, 63))
def test_any_token_payload_is_refused_or_its_own(body: bytes, frames: int, rows: int, columns: int,
                                                 qp: int) -> None:
    for coder in (bitstream.CODER_RAW, bitstream.CODER_TABLE):
        try:
            tokens = bitstream.decode_tokens(body, (frames, rows, columns), coder, TABLE, qp)
        except bitstream.BadTokens:
            continue
        assert bitstream.encode_tokens(tokens, coder, TABLE, qp) == body


def test_a_crc_made_right_leaves_the_tokens_own() -> None:
    """Damage that no chunk's CRC shows is found by the tokens' CRC."""
    data = bytearray(SEEDS[1])
    data[data.index(b"SEGM") + 8 + 16 + 10] ^= 4
    outcome = read_all_ways(resealed(bytes(data)), DECODERS).outcome
    assert outcome[0].startswith("BadTokens") and outcome[2].startswith("BadTokens")
