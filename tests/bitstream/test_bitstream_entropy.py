import numpy as np
import pytest
from bitstream_samples import QUICK
from hypothesis import given
from hypothesis import strategies as st

from bitstream import BadTokens, BitDecoder, BitEncoder
from bitstream.bitpack import join_bits, pack_tokens, packed_size, split_bits, unpack_tokens


def reference_decode(payload, probabilities):
    """The decoder of FORMAT.md in plain integers, to show that the page says all there is."""
    words = [*np.frombuffer(payload, "<u4").tolist(), 0, 0]
    mask = 2**64 - 1
    low, span, point, used = 0, mask, words[0] << 32 | words[1], 2
    bits = []
    for k in probabilities:
        cut = ((65536 - k) * (2**24 - 2) >> 16) + 1
        scale = span >> 24
        place = ((point - low) & mask) // scale
        assert place < 2**24
        bit = int(place >= cut)
        low = (low + scale * (cut if bit else 0)) & mask
        span = scale * (2**24 - cut if bit else cut)
        if span < 2**32:
            word = words[used] if used < len(words) else 0
            used += 1
            low, span = low << 32 & mask, span << 32
            point = (point << 32 | word) & mask
        bits.append(bit)
    return bits


def encode(bits, p1, cuts=()):
    encoder = BitEncoder()
    for part, chance in zip(np.split(bits, cuts), np.split(p1, cuts), strict=True):
        encoder.push(part, chance)
    return encoder.finish()


@QUICK
@given(st.integers(0, 3000), st.integers(0, 2**32 - 1), st.sampled_from([1, 1000, 32768]))
def test_round_trip_and_agreement_with_the_format_page(count, seed, least):
    rng = np.random.default_rng(seed)
    p1 = rng.integers(least, 65536 - least + 1, count)
    bits = (rng.random(count) < p1 / 65536).astype(np.uint8)
    payload = encode(bits, p1, [count // 3, count // 2])
    assert payload == encode(bits, p1.astype(np.uint16))
    decoder = BitDecoder(payload)
    np.testing.assert_array_equal(decoder.pull(p1[: count // 2]), bits[: count // 2])
    np.testing.assert_array_equal(decoder.pull(p1[count // 2 :]), bits[count // 2 :])
    decoder.finish()
    assert reference_decode(payload, p1.tolist()) == bits.tolist()


def test_unlikely_bits_survive_and_likely_bits_are_cheap():
    p1 = np.full(20000, 65535)
    assert len(encode(np.ones(20000, np.uint8), p1)) <= 4
    worst = encode(np.zeros(500, np.uint8), p1[:500])
    np.testing.assert_array_equal(BitDecoder(worst).pull(p1[:500]), 0)
    assert len(worst) <= 500 * 2 + 8


def test_probabilities_and_bits_are_checked():
    one = np.ones(1, np.uint8)
    for p1 in ([0], [65536], [-1], [[5]], [0.5]):
        with pytest.raises(ValueError):
            BitEncoder().push(one.reshape(np.shape(p1)), np.array(p1))
    for bits in ([2], [1, 1]):
        with pytest.raises(ValueError):
            BitEncoder().push(np.array(bits, np.uint8), np.array([5]))


@QUICK
@given(st.binary(max_size=60))
def test_any_payload_decodes_or_is_refused(payload):
    p1 = np.tile([30000, 100, 65000], 200)
    try:
        decoder = BitDecoder(payload)
        bits = decoder.pull(p1)
        assert bits.shape == p1.shape
        decoder.finish()
    except BadTokens:
        pass


def test_cut_and_extra_words_are_refused():
    rng = np.random.default_rng(0)
    p1 = np.full(400, 32768)
    payload = encode(rng.integers(0, 2, 400).astype(np.uint8), p1)
    with pytest.raises(BadTokens, match="inside a word"):
        BitDecoder(payload[:-1])
    decoder = BitDecoder(payload + bytes(12))
    decoder.pull(p1)
    with pytest.raises(BadTokens, match="left over"):
        decoder.finish()
    refused = BitDecoder(b"\xff" * 40)
    with pytest.raises(BadTokens, match="damaged"):
        refused.pull(np.full(400, 20000))


@QUICK
@given(st.integers(0, 200), st.integers(1, 24), st.integers(0, 99))
def test_packed_tokens_round_trip(count, bits, seed):
    tokens = np.random.default_rng(seed).integers(0, 1 << bits, count, dtype=np.uint32)
    payload = pack_tokens(tokens, bits)
    assert len(payload) == packed_size(count, bits)
    np.testing.assert_array_equal(unpack_tokens(payload, count, bits), tokens)
    number = sum(token << (bits * k) for k, token in enumerate(tokens.tolist()))
    assert int.from_bytes(payload, "little") == number


def test_many_packed_tokens_round_trip():
    tokens = np.random.default_rng(1).integers(0, 1 << 18, 150001, dtype=np.uint32)
    payload = pack_tokens(tokens.reshape(-1, 1))
    np.testing.assert_array_equal(unpack_tokens(payload, tokens.size), tokens)


def test_packed_tokens_are_checked():
    with pytest.raises(ValueError, match="token bits"):
        pack_tokens(np.array([1 << 18], np.uint32))
    payload = pack_tokens(np.array([1, 2, 3], np.uint32))
    for damaged in (payload[:-1], payload + b"\0", payload[:-1] + b"\xff"):
        with pytest.raises(BadTokens):
            unpack_tokens(damaged, 3)


def test_bits_split_and_join():
    tokens = np.array([[5, 1 << 17]], np.uint32)
    bits = split_bits(tokens, 18)
    assert bits.shape == (18, 1, 2)
    assert bits[:, 0, 0].tolist() == [1, 0, 1] + [0] * 15
    np.testing.assert_array_equal(join_bits(bits), tokens)
