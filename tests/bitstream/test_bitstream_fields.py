import pytest
from bitstream_samples import QUICK
from hypothesis import given
from hypothesis import strategies as st

from bitstream.errors import BadSegment
from bitstream.fields import Cursor, pack_str8, pack_svarint, pack_varint


def cursor(data):
    return Cursor(data, BadSegment, "SEGM", 100)


@QUICK
@given(st.integers(0, 2**64 - 1))
def test_varint_round_trip(value):
    packed = pack_varint(value)
    field = cursor(packed)
    assert field.varint() == value
    field.finish()
    assert len(packed) == max(1, -(-value.bit_length() // 7))


@QUICK
@given(st.integers(-(2**63), 2**63 - 1))
def test_svarint_round_trip(value):
    assert cursor(pack_svarint(value)).svarint() == value


@pytest.mark.parametrize(
    "data",
    [b"", b"\x80", b"\x80\x00", b"\xff" * 9 + b"\x02", b"\xff" * 10 + b"\x01"],
    ids=["empty", "open", "not-minimal", "above-64-bits", "eleven-bytes"],
)
def test_bad_varints_are_refused(data):
    with pytest.raises(BadSegment) as caught:
        cursor(data).varint()
    assert caught.value.offset == 100


def test_values_out_of_range_are_refused_when_packed():
    for pack, value in ((pack_varint, -1), (pack_varint, 2**64), (pack_svarint, 2**63)):
        with pytest.raises(ValueError):
            pack(value)
    with pytest.raises(ValueError):
        pack_str8("x" * 256)


@QUICK
@given(st.text(st.characters(exclude_categories=("C", "Z")), max_size=20))
def test_str8_round_trip(text):
    assert cursor(pack_str8(text)).str8(80) == text


@pytest.mark.parametrize("data", [b"\x02\xff\xff", b"\x01\n", b"\x05abcde", b"\x03ab"])
def test_bad_strings_are_refused(data):
    with pytest.raises(BadSegment):
        cursor(data).str8(4)


def test_overruns_name_chunk_and_offset():
    field = cursor(b"\x01\x02\x03")
    field.u16()
    with pytest.raises(BadSegment, match="SEGM: needs 4 bytes where 1 remain") as caught:
        field.u32()
    assert str(caught.value).endswith("(at byte 102)")
    with pytest.raises(BadSegment, match="1 bytes follow"):
        field.finish()


def test_fixed_width_integers():
    data = bytes(range(1, 24))
    field = cursor(data)
    values = field.u8(), field.u16(), field.u32(), field.u64(), field.i64()
    assert values == (
        1,
        0x0302,
        0x07060504,
        0x0F0E0D0C0B0A0908,
        0x1716151413121110,
    )
