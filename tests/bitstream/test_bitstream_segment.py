from dataclasses import replace

import pytest
from bitstream_samples import QUICK, make_header
from hypothesis import given
from hypothesis import strategies as st

from bitstream import BACKGROUNDS, BadSegment, CapExceeded, Segment
from bitstream.fields import pack_varint

HEADER = make_header()
SPACED = make_header(spacing=4, density=2)
COVERED = make_header(spacing=4, density=2, backgrounds=BACKGROUNDS)


@QUICK
@given(
    first=st.integers(-(2**61), 2**61),
    steps=st.lists(st.integers(1, 2**40), max_size=40),
    qp=st.integers(0, 63),
    last=st.integers(0, 2**50),
    payload=st.binary(max_size=50),
    spacing=st.sampled_from([1, 2, 4, 0.5]),
    background=st.binary(max_size=300),
)
def test_round_trip_of_any_times(first, steps, qp, last, payload, spacing, background):
    pts = [first]
    for step in steps:
        pts.append(pts[-1] + step)
    segment = Segment(tuple(pts), payload, qp, last, spacing, background)
    assert Segment.parse(segment.pack(), COVERED) == segment
    bare = replace(segment, background=b"")
    assert Segment.parse(bare.pack(), SPACED) == bare
    assert segment.end_pts == pts[-1] + last
    assert segment.frame_count == len(pts)


@QUICK
@given(count=st.integers(1, 300), step=st.integers(1, 2**30))
def test_equal_steps_are_stored_once(count, step):
    segment = Segment(tuple(range(5, 5 + count * step, step)), b"", 0, step)
    packed = segment.pack()
    assert len(packed) <= 14 + 2 * len(pack_varint(step))
    assert Segment.parse(packed, HEADER) == segment


@pytest.mark.parametrize(
    "fields",
    [
        {"pts": ()},
        {"pts": (0, 0)},
        {"pts": (3, 2)},
        {"pts": (0,), "qp": 64},
        {"pts": (0,), "qp": -1},
        {"pts": (0,), "last_duration": -1},
        {"pts": (0,), "spacing": 3},
        {"pts": (2**62,), "last_duration": 1},
        {"pts": (-(2**62) - 1,)},
        {"pts": tuple(range(65537))},
    ],
)
def test_values_out_of_range_are_refused(fields):
    with pytest.raises(BadSegment, match="SEGM"):
        Segment(payload=b"", **fields)


def patched(at, value, pts=(0, 3, 6)):
    data = bytearray(Segment(pts, b"tok", 1, 3).pack())
    data[at : at + len(value)] = value
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", BadSegment),
        (patched(8, b"\0\0\0\0"), BadSegment),
        (patched(8, b"\1\0\1\0"), CapExceeded),
        (patched(12, b"\x40"), BadSegment),
        (patched(13, b"\x02"), BadSegment),
        (patched(15, b"\x00"), BadSegment),
        (patched(0, b"\xff" * 7 + b"\x7f"), BadSegment),
        (patched(15, b"\x03\x03", pts=(0, 3, 7)), BadSegment),
        (patched(15, b"\x00", pts=(0, 3, 7)), BadSegment),
    ],
    ids=[
        "empty",
        "no-frames",
        "many-frames",
        "qp",
        "flags",
        "no-step",
        "time-overflow",
        "equal-steps-listed",
        "zero-step-listed",
    ],
)
def test_damaged_fields_are_refused(data, error):
    with pytest.raises(error, match="SEGM") as caught:
        Segment.parse(data, HEADER, 40)
    assert caught.value.offset is not None


def test_tokens_above_the_cap_are_refused():
    wide = make_header(width=16384, height=16384, padded_width=16384, padded_height=16384)
    data = Segment(tuple(range(32)), b"", 0).pack()
    with pytest.raises(CapExceeded, match="tokens"):
        Segment.parse(data, wide)


def test_a_spacing_that_the_header_rules_out_is_refused():
    packed = Segment((0, 3, 6), b"tok", 1, 3, spacing=4).pack()
    assert Segment.parse(packed, SPACED).spacing == 4
    for header in (HEADER, make_header(spacing=2)):
        with pytest.raises(BadSegment, match="unknown flags 0x04"):
            Segment.parse(packed, header)
    packed = packed[:13] + b"\6" + packed[14:]
    assert Segment.parse(packed, SPACED).spacing == 0.5
    with pytest.raises(BadSegment, match="unknown flags 0x06"):
        Segment.parse(packed, make_header(spacing=4))
    with pytest.raises(BadSegment, match="unknown flags 0x10"):
        Segment.parse(packed[:13] + b"\20" + packed[14:], COVERED)


def test_a_background_that_the_header_rules_out_is_refused():
    segment = Segment((0, 3, 6), b"tok", 1, 3, 0.5, b"still")
    packed = segment.pack()
    assert packed[13:] == b"\x0e\3\3\5stilltok"
    assert Segment.parse(packed, COVERED) == segment
    with pytest.raises(BadSegment, match="unknown flags 0x0e"):
        Segment.parse(packed, SPACED)


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        (b"", "ends inside a varint"),
        (b"\0tok", "a background of no bytes"),
        (b"\5stil", "needs 5 bytes where 4 remain"),
        (b"\xff\xff\xff\xff\x7fstill", "needs 34359738367 bytes where 5 remain"),
        (b"\x85\0still", "not minimal"),
    ],
)
def test_damaged_sizes_of_backgrounds_are_refused(rest, message):
    packed = Segment((0, 3, 6), b"", 1, 3, background=b"x").pack()[:-2] + rest
    with pytest.raises(BadSegment, match=message):
        Segment.parse(packed, COVERED)
