import pytest
from bitstream_samples import QUICK, make_audio
from hypothesis import given
from hypothesis import strategies as st

from bitstream import AudioPackets, AudioStream, BadAudio, BadMeta, CapExceeded, Packet
from bitstream.audio import check_audio_order, parse_audio
from bitstream.fields import pack_varint
from bitstream.meta import pack_meta, parse_meta

STAMP = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))
PACKET = st.builds(
    Packet, st.binary(max_size=30), STAMP, STAMP, st.integers(0, 2**63 - 1), st.booleans()
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@QUICK
@given(st.integers(0, 31), st.lists(PACKET, min_size=1, max_size=12))
def test_packets_round_trip(index, packets):
    batch = AudioPackets(index, tuple(packets))
    assert parse_audio(batch.pack()) == batch


def test_stream_round_trip_and_first_pts():
    config, first, second = make_audio()
    assert [parse_audio(record.pack()) for record in (config, first, second)] == [
        config,
        first,
        second,
    ]
    assert second.first_pts == 2048
    assert AudioPackets(0, (Packet(b"", None, -5),)).first_pts == -5
    assert AudioPackets(0, (Packet(b"", None, None),)).first_pts == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"index": 32},
        {"codec": ""},
        {"codec": "x" * 33},
        {"time_base_den": 0},
        {"sample_rate": 0},
        {"channels": 0},
        {"layout": "\n"},
        {"language": "x" * 17},
        {"extradata": bytes(2**20 + 1)},
    ],
)
def test_streams_out_of_range_are_refused(changes):
    values = {
        "index": 0,
        "codec": "aac",
        "time_base_num": 1,
        "time_base_den": 48000,
        "sample_rate": 48000,
        "channels": 2,
    }
    with pytest.raises(BadAudio, match="AUDI"):
        AudioStream(**(values | changes))


def test_batches_out_of_range_are_refused():
    for index, packets in (
        (32, (Packet(b"", 0, 0),)),
        (0, ()),
        (0, (Packet(b"", 0, 0),) * 4097),
        (0, (Packet(b"", 2**63, 0),)),
        (0, (Packet(b"", 0, 0, -1),)),
    ):
        with pytest.raises(BadAudio, match="AUDI"):
            AudioPackets(index, packets)
    with pytest.raises(BadAudio, match="at most"):
        AudioPackets(0, (Packet(bytes(16 << 20), 0, 0),)).pack()


CONFIG = make_audio()[0].pack()


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", BadAudio),
        (b"\x02\x00", BadAudio),
        (b"\x01\x00\x00", BadAudio),
        (b"\x01\x00\x01\x08\x00\x00", BadAudio),
        (b"\x01\x00\x01\x00\x00\x05ab", BadAudio),
        (b"\x01\x20\x01\x00\x00\x00", BadAudio),
        (b"\x01\x00\x01\x00\x00\x00\x00", BadAudio),
        (b"\x01\x00" + pack_varint(4097), CapExceeded),
        (CONFIG[:-3] + pack_varint(2**20 + 1), CapExceeded),
        (CONFIG[:-1], BadAudio),
        (CONFIG + b"x", BadAudio),
    ],
)
def test_damaged_records_are_refused(data, error):
    with pytest.raises(error, match="AUDI"):
        parse_audio(data, 50)


def test_a_stream_is_configured_once_and_first():
    config, batch, _ = make_audio()
    seen = set()
    with pytest.raises(BadAudio, match="before its configuration"):
        check_audio_order(batch, seen)
    check_audio_order(config, seen)
    check_audio_order(batch, seen)
    with pytest.raises(BadAudio, match="twice"):
        check_audio_order(config, seen)


@QUICK
@given(st.dictionaries(st.text(max_size=6), JSON, max_size=5))
def test_meta_round_trip(meta):
    assert parse_meta(pack_meta(meta)) == meta


def test_meta_that_is_no_small_json_object_is_refused():
    for meta in ([], {"a": float("nan")}, {"a": b""}, {"a": "x" * 65536}):
        with pytest.raises(BadMeta, match="META"):
            pack_meta(meta)
    deep = b'{"a":' + b"[" * 60000 + b"]" * 60000 + b"}"
    for payload in (b"", b"[]", b"{", b"\xff", b'{"a":NaN}', b'{"a":' + b"9" * 9999 + b"}", deep):
        with pytest.raises(BadMeta, match="META"):
            parse_meta(payload, 7)
