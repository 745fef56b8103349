"""Backgrounds: exactness, damage, caps, and agreement with a plain reading of FORMAT.md."""

import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from bitstream_samples import QUICK
from hypothesis import example, given, settings
from hypothesis import strategies as st
from plain_background import PlainCoder, plain_levels, plain_maps, plain_told
from test_bitstream_entropy import reference_decode

import bitstream.background
import bitstream.coefficients
from bitstream import (
    MAX_LEVEL,
    MAX_STEP,
    MAX_TURNS,
    Background,
    BadSegment,
    BadTokens,
    BitstreamError,
    Plane,
    plane_sizes,
)

SIZES = st.integers(1, 50)
#: How many of them there are.
SHARES = st.sampled_from([0.0, 0.02, 0.3, 0.8, 1.0])


def make_background(width, height, seed=0, told=0.5, some=0.2, largest=9, turn=1, step=17, fade=80):
    """Coefficients of all magnitudes up to the largest, in some of the blocks that are told of."""
    rng, planes = np.random.default_rng(seed), []
    for size in plane_sizes(width, height):
        blocks = rng.random(size) < told
        levels = np.floor((largest + 1) ** rng.random((*size, 8, 8))) * rng.choice((-1, 1), (8, 8))
        levels[rng.random(levels.shape) >= some] = 0
        levels[~blocks] = 0
        planes.append(Plane(blocks, levels.astype(np.int16)))
    return Background(turn, step, tuple(planes), fade=fade)


def with_levels(width, height, *levels, fade=80):
    """A background of which the first block is told, with these coefficients first in its rows."""
    made = make_background(width, height, told=0, fade=fade)
    made.planes[0].told[0, 0] = True
    made.planes[0].levels[0, 0].flat[: len(levels)] = levels
    return made


def assert_same(found, expected):
    assert (found.turn, found.step, found.fade) == (expected.turn, expected.step, expected.fade)
    for plane, truth in zip(found.planes, expected.planes, strict=True):
        assert plane.told.dtype == bool and plane.levels.dtype == np.int16
        np.testing.assert_array_equal(plane.told, truth.told)
        np.testing.assert_array_equal(plane.levels, truth.levels)


@settings(QUICK, max_examples=25)
@given(
    width=SIZES,
    height=SIZES,
    seed=st.integers(0, 2**31),
    told=SHARES,
    some=SHARES,
    largest=st.sampled_from([1, 2, 14, 15, 16, 17, 300, MAX_LEVEL]),
    turn=st.integers(0, MAX_TURNS - 1),
    step=st.integers(0, MAX_STEP),
    fade=st.sampled_from([0, 1, 80, 255]),
)
@example(50, 50, 0, 1.0, 1.0, MAX_LEVEL, 0, 0, 0)
@example(50, 50, 0, 1.0, 1.0, MAX_LEVEL, 0, 0, 1)
@example(1, 1, 0, 1.0, 1.0, MAX_LEVEL, 0, 0, 1)
def test_round_trip(width, height, seed, told, some, largest, turn, step, fade):
    made = make_background(width, height, seed, told, some, largest, turn, step, fade)
    packed = made.pack()
    assert packed == made.pack()
    assert_same(Background.parse(packed, width, height), made)


@QUICK
@given(st.lists(st.integers(-MAX_LEVEL, MAX_LEVEL), max_size=64), st.sampled_from([0, 80]))
@example([MAX_LEVEL, -MAX_LEVEL] * 32, 80)
@example([13, 14, 15, 16, 17, 18, -14, -15, -16, -17, 14 + 2**11, 13 + 2**11, MAX_LEVEL - 1], 80)
def test_any_levels_come_back(levels, fade):
    made = with_levels(20, 9, *levels, fade=fade)
    assert_same(Background.parse(made.pack(), 20, 9), made)


@pytest.mark.parametrize("fade", [0, 80])
@pytest.mark.parametrize(
    ("width", "height", "told", "some", "largest"),
    [(40, 50, 0.5, 0.2, 3), (33, 17, 0.9, 0.6, 60), (16, 16, 1.0, 1.0, MAX_LEVEL),
     (50, 30, 0.7, 0.05, MAX_LEVEL), (9, 40, 0.0, 0.0, 1)],
)
def test_bits_are_those_of_the_format_page(width, height, told, some, largest, fade):
    made = make_background(width, height, 5, told, some, largest, fade=fade)
    coder, (luma, blue, red) = PlainCoder(), made.planes
    plain_told(coder, luma.told, None)
    plain_levels(coder, luma, fade)
    coder.forget()
    for plane in (blue, red):
        plain_told(coder, plane.told, luma.told)
        plain_levels(coder, plane, fade)
    assert reference_decode(made.pack()[3:], coder.probabilities) == coder.bits


def test_bits_of_maps_are_those_of_the_format_page():
    made = make_background(50, 70, 6, 0.8, 0.0)
    told, rng = made.planes[0].told, np.random.default_rng(2)
    still = rng.random(told.shape) < 0.6
    maps = np.stack([told & (still ^ (rng.random(told.shape) < 0.1)) for _ in range(6)])
    coder, packed = PlainCoder(), replace(made, shown=maps).pack()
    for number, plane in enumerate(made.planes):
        if number < 2:
            coder.forget()
        plain_told(coder, plane.told, told if number else None)
        plain_levels(coder, plane, made.fade)
    plain_maps(coder, told, maps)
    assert packed[2] == made.step + 128
    assert reference_decode(packed[3:], coder.probabilities) == coder.bits
    np.testing.assert_array_equal(Background.parse(packed, 50, 70, 6).shown, maps)


def test_planes_have_blocks_for_the_whole_picture():
    assert plane_sizes(16, 32) == ((4, 2), (2, 1), (2, 1))
    assert plane_sizes(17, 1) == ((2, 4), (1, 2), (1, 2))
    assert plane_sizes(1920, 1080) == ((136, 240), (68, 120), (68, 120))


def test_steps_are_eighths_of_octaves():
    made = make_background(1, 1)
    sizes = [Background(0, step, made.planes).step_size for step in (0, 8, 12, MAX_STEP)]
    assert sizes == pytest.approx([1, 2, 2**1.5, 234.75], rel=1e-4)


def test_what_is_the_same_everywhere_costs_little():
    """Next to nothing but a bit for each sign."""
    made = make_background(640, 360, told=1, some=0)
    for plane in made.planes:
        plane.levels[:, :, :2, 0] = 2, -1
    signs = 2 * sum(plane.told.size for plane in made.planes)
    assert signs < 8 * len(made.pack()) < 2 * signs


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"turn": -1}, "turn -1"), ({"turn": MAX_TURNS}, "turn 16"), ({"step": -1}, "step -1"),
     ({"step": MAX_STEP + 1}, "step 64"), ({"fade": -1}, "fade -1"), ({"fade": 256}, "fade 256")],
)
def test_fields_out_of_range_are_not_packed(changes, message):
    with pytest.raises(ValueError, match=message):
        make_background(20, 9, **changes).pack()


@pytest.mark.parametrize("value", [MAX_LEVEL + 1, -MAX_LEVEL - 1, 2**15 - 1, -(2**15)])
def test_levels_out_of_range_are_not_packed(value):
    with pytest.raises(ValueError, match="a coefficient is above 4080 steps"):
        with_levels(20, 9, 1, value).pack()


GOOD = make_background(30, 14, told=0.9, some=0.3)
PACKED = GOOD.pack()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is cut short"),
        (PACKED[:2], "is cut short"),
        (PACKED[:-1], "impossible fields"),
        (PACKED + b"\0\0", "impossible fields"),
        (b"\x10" + PACKED[1:], "impossible fields"),
        (PACKED[:2] + b"\xff" + PACKED[3:], "left over|damaged|impossible"),
        (PACKED + bytes(8), "bytes left over"),
        (PACKED[:3] + b"\xff" * 64, "payload is damaged"),
    ],
    ids=["empty", "fields", "cut-word", "odd-length", "turn", "flags", "extra",
         "garbage"],
)
def test_damaged_backgrounds_are_refused(data, message):
    assert_same(Background.parse(PACKED, 30, 14), GOOD)
    with pytest.raises((BadSegment, BadTokens), match=message) as caught:
        Background.parse(data, 30, 14)
    assert str(caught.value).endswith("get another copy of the file")


@pytest.mark.parametrize("value", [MAX_LEVEL + 1, MAX_LEVEL + 14, MAX_LEVEL + 15, 2**15 - 1])
@pytest.mark.parametrize("places", [1, 64])
def test_absurd_coefficients_are_refused(monkeypatch, value, places):
    with monkeypatch.context() as patched:
        patched.setattr(bitstream.background, "MAX_LEVEL", 2**15 - 1)
        patched.setattr(bitstream.coefficients, "MAX_LEVEL", 2**15 - 1)
        packed = with_levels(20, 9, *[0] * (places - 1), -value).pack()
        if value < 2**13:
            assert_same(Background.parse(packed, 20, 9), with_levels(20, 9, *[0] * (places - 1),
                                                                     -value))
    with pytest.raises(BadSegment, match="impossible coefficients"):
        Background.parse(packed, 20, 9)


@pytest.mark.parametrize("fade", [0, 1])
@pytest.mark.parametrize("count", [40, 100, 1000, 5000])
def test_a_coefficient_that_never_ends_is_refused(count, fade):
    """All bits 1: the number of a magnitude's bits goes up until somebody stops it."""
    told = [32768] * 4
    some, more, on = (1310, 6553, 16384) if fade else (65536 * 3 // 100, 16384, 32768)
    encoder = bitstream.BitEncoder()
    p1 = np.array([*told, some, more, *[on] * 13, *[32768] * (count - 13)])
    encoder.push(np.array([1, 0, 0, 0] + [1] * (2 + count), np.uint8), p1)
    with pytest.raises(BadSegment, match="impossible coefficients"):
        Background.parse(bytes([0, fade, 0]) + encoder.finish(), 16, 16)


def refused(data, width, height):
    """Most bytes held while a background is refused as too short."""
    tracemalloc.start()
    with pytest.raises(BadSegment, match="is too short"):
        Background.parse(data, width, height)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_a_large_picture_takes_no_memory_where_a_payload_is_short():
    assert refused(PACKED, 16384, 16384) < 1 << 20
    assert refused(b"\0\0\0", 2048, 2048) < 1 << 20
    assert not Background.parse(b"\0\0\0", 1024, 1024).planes[0].told.any()


def test_blocks_that_are_told_of_take_no_memory_where_a_payload_is_short():
    """Where all are told of, a bit that says so costs next to nothing; 64 more for each have to be
    there before memory is taken for them, and what comes after the end is no end of bits."""
    coder, luma = PlainCoder(), np.ones(plane_sizes(1600, 1600)[0], bool)
    plain_told(coder, luma, None)
    encoder = bitstream.BitEncoder()
    encoder.push(np.array(coder.bits, np.uint8), np.array(coder.probabilities))
    payload = encoder.finish()
    assert luma.size < 11400 * len(payload) < 64 * luma.size
    assert refused(b"\0\0\0" + payload, 1600, 1600) < 128 * luma.size
    whole = make_background(320, 320, told=1, some=0)
    assert_same(Background.parse(whole.pack(), 320, 320), whole)


def survived(data, width, height):
    """Whether damaged bytes were taken for a background; nothing but its errors may come."""
    begin = time.process_time()
    try:
        found = Background.parse(data, width, height)
    except BitstreamError as error:
        assert "\n" not in str(error)
        found = None
    assert time.process_time() - begin < 5
    for plane, size in zip(found.planes if found else (), plane_sizes(width, height), strict=False):
        assert plane.told.shape == size and plane.levels.shape == (*size, 8, 8)
        assert np.abs(plane.levels.astype(int)).max() <= MAX_LEVEL
        assert not plane.levels[~plane.told].any()
    return found is not None


def test_any_damaged_byte_is_survived():
    small = make_background(16, 16, 3, told=0.7, some=0.05, largest=20).pack()
    assert 30 < len(small) < 60
    taken = [survived(small[:at] + bytes([small[at] ^ (1, 255)[at % 2]]) + small[at + 1 :], 16, 16)
             for at in range(len(small))]
    assert any(taken) and not all(taken)
    for end in range(3, len(small), 4):
        survived(small[:end], 16, 16)


@QUICK
@given(data=st.binary(max_size=200), words=st.integers(0, 30), width=SIZES, height=SIZES,
       seed=st.integers(0, 2**31))
def test_any_bytes_are_survived(data, words, width, height, seed):
    survived(data, width, height)
    survived(b"\1\0\2" + np.random.default_rng(seed).bytes(4 * words), width, height)
