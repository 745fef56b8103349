"""Token coders: exactness, damage, cost, and agreement with a plain reading of FORMAT.md."""

import io

import numpy as np
import pytest
from bitstream_samples import QUICK, make_file, make_header, make_tokens
from hypothesis import given
from hypothesis import strategies as st
from test_bitstream_entropy import reference_decode

from bitstream import (
    CODER_LEARNED,
    CODER_RAW,
    CODER_TABLE,
    BadTable,
    BadTokens,
    Counts,
    Reader,
    StaticTable,
    UnknownCoder,
    WrongTable,
    check_table,
    count_contexts,
    decode_tokens,
    encode_tokens,
    open_payload,
    seal_payload,
)
from bitstream.contexts import CONTEXTS, PASSES, code_frames, code_tokens, qp_bucket
from bitstream.table import PROBABILITY_MIN, Statistics


def train(seeds, bits=18, shape=(5, 12, 20), qp=30, noise=0.1):
    counts = Counts(bits)
    for seed in seeds:
        count_contexts(make_tokens(shape, seed, bits, noise), qp, counts)
    return StaticTable.from_counts("test", counts)


TABLE = train(range(3))


@QUICK
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 7)),
    seed=st.integers(0, 2**31),
    noise=st.sampled_from([0.0, 0.1, 0.5]),
    coder=st.sampled_from([CODER_RAW, CODER_TABLE]),
    qp=st.integers(0, 63),
)
def test_round_trip(shape, seed, noise, coder, qp):
    tokens = make_tokens(shape, seed, noise=noise)
    payload = encode_tokens(tokens, coder, TABLE, qp)
    decoded = decode_tokens(payload, shape, coder, TABLE, qp)
    assert decoded.dtype == np.uint32
    np.testing.assert_array_equal(decoded, tokens)


@pytest.mark.parametrize("bits", [1, 7, 24])
def test_other_token_widths(bits):
    table = train([0], bits)
    tokens = make_tokens((3, 5, 6), 9, bits)
    for coder in (CODER_RAW, CODER_TABLE):
        payload = encode_tokens(tokens, coder, table, 5, bits)
        np.testing.assert_array_equal(
            decode_tokens(payload, tokens.shape, coder, table, 5, bits), tokens
        )


def test_payloads_do_not_depend_on_memory_layout():
    tokens = make_tokens((3, 6, 8))
    other = np.asfortranarray(tokens.astype(np.int64))
    for coder in (CODER_RAW, CODER_TABLE):
        assert encode_tokens(other, coder, TABLE) == encode_tokens(tokens, coder, TABLE)


class PlainModel:
    """The context model of FORMAT.md, one bit at a time, as the page words it."""

    def __init__(self, tokens, passes=PASSES):
        self.passes = passes
        self.bits = ((tokens[..., None] >> np.arange(18)) & 1).astype(int)
        self.frames, self.height, self.width = tokens.shape

    def number(self, y, x):
        return next(n for n, (row, column, step) in enumerate(self.passes)
                    if (y - row) % step == 0 and (x - column) % step == 0)

    def sign(self, t, y, x, i):
        if not (t >= 0 and 0 <= y < self.height and 0 <= x < self.width):
            return 0
        return 2 * int(self.bits[t, y, x, i]) - 1

    def vote(self, voter, here, i):
        differing = sum(self.sign(*voter, j) != self.sign(*here, j) for j in range(i))
        return self.sign(*voter, i) * max(0, 4 - differing) ** 2

    def is_moved(self, t, y, x):
        if t < 1 or not (0 <= y < self.height and 0 <= x < self.width):
            return False
        return any(self.bits[t, y, x] != self.bits[t - 1, y, x])

    def context(self, t, y, x, i):
        here = (t, y, x)
        order = self.number(y, x)
        around = [(y + a, x + b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b]
        early = {(v, u) for v, u in around if self.number(v, u) < order}
        current = sum(self.vote((t, v, u), here, i) for v, u in early)
        if t == 0:
            a = self.sign(t, y, x, i - 2) + 1 if i > 1 else 1
            b = self.sign(t, y, x, i - 1) + 1 if i > 0 else 1
            edges = (-40, -24, -14, -8, -4, -1, 1, 4, 8, 14, 24, 40)
            return 9 * sum(e <= current for e in edges) + 3 * b + a
        previous = sum(self.vote((t - 1, v, u), here, i) for v, u in around)
        if t > 1:
            previous += self.vote((t - 2, y, x), here, i)
        drift = sum(self.sign(*here, j) != self.sign(t - 1, y, x, j) for j in range(i))
        moved = sum(self.is_moved(t if p in early else t - 1, *p) for p in [*around, (y, x)])
        stir = 3 if moved == 0 else 2 if moved <= 2 else 1
        if t == 1 and not early:
            stir = 0
        if stir == 3:
            current = previous = 0
        votes = 7 * sum(e <= current for e in (-16, -8, -4, -1, 1, 4, 8, 16))
        votes += sum(e <= previous for e in (-20, -7, -1, 1, 7, 20))
        drift = sum(e <= drift for e in (1, 3, 6))
        return 117 + (votes * 4 + drift) * 8 + 2 * stir + int(self.bits[t - 1, y, x, i])


@pytest.mark.parametrize("noise", [0.0, 0.08, 0.4])
def test_contexts_and_probabilities_are_those_of_the_format_page(noise):
    tokens = make_tokens((4, 5, 6), 3, noise=noise)
    plain = PlainModel(tokens)
    qp = 40
    start = TABLE.p1[qp // 16].astype(int)
    seen = np.zeros((18, CONTEXTS), int)
    ones = np.zeros((18, CONTEXTS), int)
    probabilities, expected = [], []
    for t in range(4):
        for row, column, _ in PASSES:
            places = [(y, x) for y in range(row, 5, 2) for x in range(column, 6, 2)]
            for i in range(18):
                contexts = [plain.context(t, y, x, i) for y, x in places]
                coded = [int(plain.bits[t, y, x, i]) for y, x in places]
                for c in contexts:
                    k = (TABLE.strength * start[i, c] + 65536 * ones[i, c]) // (
                        TABLE.strength + seen[i, c]
                    )
                    probabilities.append(int(min(max(k, 32), 65504)))
                for c, bit in zip(contexts, coded, strict=True):
                    seen[i, c] += 1
                    ones[i, c] += bit
                expected += coded
    _, body = open_payload(encode_tokens(tokens, CODER_TABLE, TABLE, qp))
    assert reference_decode(body, probabilities) == expected


def test_contexts_in_more_passes_are_those_of_the_format_page():
    """A learned prior's ten: the order changes, and with it what is known."""
    passes = [(0, 0, 4), (2, 2, 4), (0, 2, 4), (2, 0, 4), (1, 1, 4), (3, 3, 4), (1, 3, 4),
              (3, 1, 4), (0, 1, 2), (1, 0, 2)]
    tokens = make_tokens((3, 6, 7), 3, noise=0.08)
    plain, seen = PlainModel(tokens, passes), np.zeros(tokens.shape, int)

    def visit(bit, place, contexts):
        grid = np.stack(np.meshgrid(*(np.arange(n)[s] for n, s in
                                      zip(tokens.shape[1:], place[1:], strict=True)),
                                    indexing="ij"), -1).reshape(-1, 2)
        expected = [plain.context(place[0], int(y), int(x), bit) for y, x in grid]
        assert expected == contexts.tolist()
        seen[place] += 1
        return plain.bits[place][..., bit].reshape(-1).astype(np.uint8)

    assert np.array_equal(code_tokens(tokens.shape, 18, visit, passes), tokens)
    assert (seen == 18).all()


def bits_per_token(tokens, table, qp=30):
    return 8 * len(encode_tokens(tokens, CODER_TABLE, table, qp)) / tokens.size


def test_the_table_coder_saves_on_what_it_was_trained_for():
    tokens = make_tokens((5, 24, 32), 77)
    trained = bits_per_token(tokens, TABLE)
    untrained = bits_per_token(tokens, StaticTable.from_counts("flat", Counts()))
    other = bits_per_token(tokens, train(range(3), noise=0.02))
    assert trained < 12
    assert trained < untrained < 15.5
    assert trained < other < 1.25 * trained


def test_noise_costs_hardly_more_than_raw():
    tokens = np.random.default_rng(0).integers(0, 1 << 18, (5, 24, 32), dtype=np.uint32)
    assert bits_per_token(tokens, TABLE) < 21


def test_what_does_not_move_costs_next_to_nothing():
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 1 << 18, (1, 45, 80), dtype=np.uint32)
    table = train(range(3), noise=0.01)
    sizes = [
        8 * len(encode_tokens(frame.repeat(count, 0), CODER_TABLE, table, 30))
        for count in (1, 2, 3, 9)
    ]
    assert (sizes[1] - sizes[0]) / frame.size < 2
    assert (sizes[3] - sizes[2]) / (6 * frame.size) < 0.03


def test_damaged_payloads_never_give_other_tokens():
    tokens = make_tokens((3, 3, 4), 1)
    for coder in (CODER_RAW, CODER_TABLE):
        payload = encode_tokens(tokens, coder, TABLE, 9)
        for place in range(len(payload)):
            damaged = bytearray(payload)
            damaged[place] ^= 1 << place % 8
            with pytest.raises(BadTokens):
                decode_tokens(bytes(damaged), tokens.shape, coder, TABLE, 9)
        for size in range(len(payload)):
            with pytest.raises(BadTokens):
                decode_tokens(payload[:size], tokens.shape, coder, TABLE, 9)
        with pytest.raises(BadTokens):
            decode_tokens(payload + bytes(16), tokens.shape, coder, TABLE, 9)


@QUICK
@given(st.binary(max_size=80))
def test_any_bytes_are_refused_or_sealed(payload):
    with pytest.raises(BadTokens):
        decode_tokens(payload, (2, 3, 4), CODER_TABLE, TABLE)


def test_other_settings_are_noticed():
    tokens = make_tokens((3, 8, 8), 1)
    payload = encode_tokens(tokens, CODER_TABLE, TABLE, 9)
    with pytest.raises(BadTokens):
        decode_tokens(payload, tokens.shape, CODER_TABLE, train([50], noise=0.3), 9)
    with pytest.raises(BadTokens):
        decode_tokens(payload, (3, 8, 7), CODER_TABLE, TABLE, 9)


def test_a_short_payload_is_refused_before_decoding():
    with pytest.raises(BadTokens, match="too short"):
        decode_tokens(bytes(12), (1, 2048, 2048), CODER_TABLE, TABLE)


def test_coders_and_tables_are_checked():
    tokens = make_tokens((1, 2, 2))
    for call in (
        lambda coder, table: encode_tokens(tokens, coder, table),
        lambda coder, table: decode_tokens(bytes(8), (1, 2, 2), coder, table),
    ):
        with pytest.raises(UnknownCoder):
            call(CODER_LEARNED, TABLE)
        with pytest.raises(WrongTable):
            call(CODER_TABLE, None)
        with pytest.raises(WrongTable):
            call(CODER_TABLE, train([0], bits=7))
    for wrong in (tokens[0], tokens[:0], tokens | np.uint32(1 << 18)):
        with pytest.raises(ValueError):
            encode_tokens(wrong, CODER_RAW)
    with pytest.raises(ValueError):
        Statistics(TABLE, 64)


def test_a_file_names_its_table():
    header = make_header(coder=CODER_TABLE, prior=TABLE.id, prior_sha256=TABLE.sha256)
    reader = Reader(io.BytesIO(make_file(header, table=TABLE)))
    check_table(reader.header, TABLE)
    check_table(make_header(), None)
    for segment in reader.iter_segments():
        shape = reader.header.token_shape(segment.frame_count)
        decode_tokens(segment.payload, shape, CODER_TABLE, TABLE, segment.qp)
    for table in (None, train([9])):
        with pytest.raises(WrongTable, match="'test'"):
            check_table(reader.header, table)


def test_sealed_payloads_open():
    tokens = make_tokens((1, 2, 2))
    crc, body = open_payload(seal_payload(tokens, b"body"))
    assert body == b"body"
    assert seal_payload(tokens, b"")[:4] == crc.to_bytes(4, "little")
    with pytest.raises(BadTokens):
        open_payload(b"123")


def test_tables_round_trip_through_files(tmp_path):
    path = tmp_path / "a.table"
    TABLE.save(path)
    loaded = StaticTable.load(path)
    np.testing.assert_array_equal(loaded.p1, TABLE.p1)
    assert (loaded.id, loaded.strength, loaded.sha256) == (TABLE.id, 24, TABLE.sha256)
    assert path.stat().st_size < 320_000


def test_damaged_tables_are_refused(tmp_path):
    data = TABLE.pack()
    for place in (0, 8, 9, 10, 12, 13, 100, len(data) - 1):
        damaged = bytearray(data)
        damaged[place] ^= 0x40
        with pytest.raises(BadTable):
            StaticTable.parse(bytes(damaged))
    for size in (0, 4, 11, len(data) - 1):
        with pytest.raises(BadTable):
            StaticTable.parse(data[:size])
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(BadTable, match="above"):
        StaticTable.load(path)


def test_tables_out_of_range_are_refused():
    good = TABLE.p1
    for name, p1, strength in (
        ("", good, 24),
        ("x" * 33, good, 24),
        ("t", good[:3], 24),
        ("t", good[:, :0], 24),
        ("t", np.zeros_like(good), 24),
        ("t", good, 0),
    ):
        with pytest.raises(BadTable):
            StaticTable(name, p1, strength)


def test_rare_contexts_lean_on_coarser_ones():
    counts = Counts()
    count_contexts(make_tokens((5, 12, 20), 0), 0, counts)
    table = StaticTable.from_counts("t", counts)
    assert counts.values.sum() == 5 * 12 * 20 * 18
    np.testing.assert_allclose(table.p1[3].astype(int), table.p1[1].astype(int), atol=1)
    assert table.p1.min() >= PROBABILITY_MIN
    assert len(np.unique(table.p1[3])) > 100
    assert [qp_bucket(qp) for qp in (0, 15, 16, 32, 63)] == [0, 0, 1, 2, 3]


def test_every_place_is_coded_once():
    shape = (2, 5, 3)
    seen = np.zeros((18, *shape), int)

    def visit(bit, place, contexts):
        assert contexts.min() >= 0
        assert contexts.max() < CONTEXTS
        seen[(bit, *place)] += 1
        return np.zeros(contexts.size, np.uint8)

    assert not code_tokens(shape, 18, visit).any()
    assert (seen == 1).all()
    seen = np.zeros((18, *shape), int)
    frames = code_frames(shape[1:], 18, visit)
    assert not next(frames).any()
    assert (seen[:, 0] == 1).all() and not seen[:, 1].any()  # no further than was asked for
