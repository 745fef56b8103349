"""FORMAT.md's hex blocks against the code."""

import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

import bitstream
from bitstream import (
    AudioPackets,
    AudioStream,
    Background,
    BitDecoder,
    BitEncoder,
    Header,
    Meta,
    Packet,
    Plane,
    Reader,
    Segment,
    StreamReader,
    Writer,
    background_of,
    decode_tokens,
    encode_tokens,
    pack_tokens,
    plane_sizes,
)
from bitstream.audio import parse_audio
from bitstream.background import MAX_LEVEL, MAX_STEP
from bitstream.caps import CHUNK_CAPS
from bitstream.contexts import CONTEXTS
from bitstream.fields import pack_svarint, pack_varint
from bitstream.index import TAIL_SIZE

PAGE = (Path(bitstream.__file__).parent / "FORMAT.md").read_text("utf-8")
BLOCKS = {
    name: bytes.fromhex(re.sub(r"#.*", "", body))
    for name, body in re.findall(r"```hex (\S+)\n(.*?)```", PAGE, re.DOTALL)
}
TOKENS = np.array([[[1, 2]], [[2**18 - 1, 0]]], np.uint32)


def test_every_block_is_used_here():
    assert set(BLOCKS) == {
        "varint-300",
        "svarint-minus-3",
        "file",
        "segment",
        "head-spacing",
        "head-density",
        "head-backgrounds",
        "segment-spaced",
        "segment-dense",
        "segment-background",
        "background",
        "audio-stream",
        "audio-packets",
        "packed",
        "range-coded",
    }


def test_varints():
    assert BLOCKS["varint-300"] == pack_varint(300)
    assert BLOCKS["svarint-minus-3"] == pack_svarint(-3)


def test_whole_file():
    header = Header(
        width=10,
        height=6,
        padded_width=16,
        padded_height=8,
        fps_num=30000,
        fps_den=1001,
        time_base_num=1001,
        time_base_den=30000,
        model="tiny",
        model_sha256=bytes(range(32)),
        primaries=1,
        transfer=1,
        matrix=1,
        keyint=5,
    )
    segment = Segment((0, 1, 2), encode_tokens(TOKENS, 0), qp=20, last_duration=1)
    sink = io.BytesIO()
    with Writer(sink, header) as writer:
        writer.write_meta({"title": "two"})
        writer.write_segment(segment)
    assert sink.getvalue() == BLOCKS["file"]
    reader = Reader(io.BytesIO(BLOCKS["file"]))
    assert reader.header == header
    shape = header.token_shape(3)
    tokens = decode_tokens(reader.read_segment(0).payload, shape, 0)
    np.testing.assert_array_equal(tokens, TOKENS)
    items = list(StreamReader(io.BytesIO(BLOCKS["file"])))
    assert items == [Meta({"title": "two"}), segment]


def test_segment():
    segment = Segment((-1, 99, 250), b"", qp=63, last_duration=40)
    assert segment.pack() == BLOCKS["segment"]


def test_spacing():
    segment = Segment((0, 3, 6, 9), b"", qp=48, last_duration=3, spacing=2)
    assert segment.pack() == BLOCKS["segment-spaced"]
    whole = Reader(io.BytesIO(BLOCKS["file"])).header
    header = replace(whole, spacing=2)
    assert header.pack() == whole.pack() + BLOCKS["head-spacing"]


def test_density():
    segment = Segment((0, 3, 6, 9), b"", qp=8, last_duration=3, spacing=0.5)
    assert segment.pack() == BLOCKS["segment-dense"]
    whole = Reader(io.BytesIO(BLOCKS["file"])).header
    header = replace(whole, spacing=2, density=2)
    assert header.pack() == whole.pack() + BLOCKS["head-density"]
    assert header.token_shape(4, 0.5) == header.token_shape(7)


def one_block():
    """The background of the page's example."""
    luma, blue, red = (Plane(np.zeros(size, bool), np.zeros((*size, 8, 8), np.int16))
                       for size in plane_sizes(16, 16))
    luma.told[0, 0] = True
    luma.levels[0, 0, 0, :2] = 20, -1
    return Background(1, 16, (luma, blue, red))


def test_background():
    packed = BLOCKS["background"]
    segment = Segment((0, 3, 6, 9), b"", qp=20, last_duration=3, background=packed)
    assert segment.pack() == BLOCKS["segment-background"]
    whole = Reader(io.BytesIO(BLOCKS["file"])).header
    header = replace(whole, backgrounds=1)
    assert header.pack() == whole.pack() + BLOCKS["head-backgrounds"]
    told = one_block()
    assert told.pack() == packed
    found = background_of(segment, header)
    assert (found.turn, found.step, found.step_size) == (1, 16, 4)
    for plane, expected in zip(found.planes, told.planes, strict=True):
        np.testing.assert_array_equal(plane.told, expected.told)
        np.testing.assert_array_equal(plane.levels, expected.levels)


def test_audio():
    config = AudioStream(0, "aac", 1, 48000, 48000, 2, "stereo", "eng", b"\x11\x90")
    batch = AudioPackets(
        0, (Packet(b"\xaa\xbb", 1024, None, 1024), Packet(b"\xcc", -1, -2, 0, False))
    )
    assert parse_audio(BLOCKS["audio-stream"]) == config
    assert parse_audio(BLOCKS["audio-packets"]) == batch
    assert (config.pack(), batch.pack()) == (BLOCKS["audio-stream"], BLOCKS["audio-packets"])


def test_packed_tokens():
    assert pack_tokens(np.array([1, 2**17, 2**18 - 1], np.uint32)) == BLOCKS["packed"]


def test_range_coded_bits():
    bits = np.array([1, 0, 1, 1, 0, 0, 0, 1] * 6, np.uint8)
    p1 = np.array([40000, 1000, 65504, 32768, 32, 20000, 30000, 1] * 6)
    encoder = BitEncoder()
    encoder.push(bits, p1)
    assert encoder.finish() == BLOCKS["range-coded"]
    np.testing.assert_array_equal(BitDecoder(BLOCKS["range-coded"]).pull(p1), bits)


def test_numbers_named_on_the_page():
    assert f"{CONTEXTS} contexts" in PAGE
    assert f"last {TAIL_SIZE} bytes" in PAGE
    assert f"versions 1 to {bitstream.VERSION}" in PAGE
    assert f"-{MAX_LEVEL}..{MAX_LEVEL}" in PAGE and f"magnitude is above {MAX_LEVEL}" in PAGE
    assert f"bits 0-5 = step, 0..{MAX_STEP};" in PAGE
    assert CHUNK_CAPS == {
        b"HEAD": 1 << 10,
        b"META": 64 << 10,
        b"AUDI": 16 << 20,
        b"INDX": 16 << 20,
        b"ENDS": 64,
        b"SEGM": 64 << 20,
    }
