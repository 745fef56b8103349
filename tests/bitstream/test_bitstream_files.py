"""Whole files: writing to anything, reading by index, reading as a stream."""

import io
import os
import struct
import threading
import zlib
from dataclasses import replace

import numpy as np
import pytest
from bitstream_samples import (
    META,
    QUICK,
    Pipe,
    make_audio,
    make_file,
    make_header,
    make_segments,
    make_tokens,
)
from hypothesis import given
from hypothesis import strategies as st

from bitstream import (
    BACKGROUNDS,
    CODER_RAW,
    AudioPackets,
    BadAudio,
    BadIndex,
    BadMeta,
    BadSegment,
    CapExceeded,
    Meta,
    Reader,
    Segment,
    StreamReader,
    UnknownChunk,
    UnsupportedVersion,
    Writer,
    decode_tokens,
    encode_tokens,
    read_header,
    scan,
)
from bitstream.chunks import pack_chunk

FILE = make_file()


class OnlyWrite:
    """A sink that has write() alone and takes at most step bytes."""

    def __init__(self, step=None):
        self.data = bytearray()
        self._step = step

    def write(self, data):
        taken = data[: self._step] if self._step else data
        self.data += taken
        return len(taken) if self._step else None


def write_all(sink):
    header = make_header()
    with Writer(sink, header) as writer:
        writer.write_meta(META)
        config, *batches = make_audio()
        writer.write_audio(config)
        for number, segment in enumerate(make_segments(header)):
            writer.write_segment(segment)
            if number < len(batches):
                writer.write_audio(batches[number])
    return writer


@pytest.mark.parametrize("step", [None, 1, 5])
def test_sinks_need_only_write(step):
    sink = OnlyWrite(step)
    writer = write_all(sink)
    assert bytes(sink.data) == FILE
    assert writer.close().file_bytes == writer.bytes_written == len(FILE)


def test_reader_gives_back_what_was_written(tmp_path):
    path = tmp_path / "a.mvt"
    path.write_bytes(FILE)
    segments = make_segments(make_header())
    with Reader(path) as reader:
        assert reader.header == make_header()
        assert not reader.rebuilt
        assert not reader.problems
        assert reader.meta == META
        assert list(reader.iter_segments()) == segments
        assert list(reader.audio()) == list(make_audio())
        assert reader.frames == 27
        sound = sum(entry.size + 12 for entry in reader.index.audio)
        assert reader.bpp == 8 * (len(FILE) - sound) / (27 * 30 * 14)
        assert reader.file_bytes == len(FILE)


def test_reader_finds_segments_by_time():
    reader = Reader(io.BytesIO(FILE))
    found = [reader.find(pts) for pts in (-9, 0, 26999, 27000, 54000, 10**9)]
    assert found == [0, 0, 0, 1, 2, 2]
    shape = reader.header.token_shape(9)
    tokens = decode_tokens(reader.read_segment(1).payload, shape, CODER_RAW)
    np.testing.assert_array_equal(tokens, make_tokens(shape, 1))


def test_reader_reads_only_what_it_needs():
    header = make_header()
    shape = header.token_shape(9)
    sink = io.BytesIO()
    with Writer(sink, header) as writer:
        for number in range(200):
            payload = encode_tokens(make_tokens(shape, number), CODER_RAW)
            writer.write_segment(Segment(tuple(range(number * 9, number * 9 + 9)), payload, 0, 1))
    reader = Reader(io.BytesIO(sink.getvalue()))
    opened = reader.bytes_read
    reader.read_segment(100)
    assert opened < 0.2 * reader.file_bytes
    assert reader.bytes_read - opened < 100


def test_reader_starts_where_the_stream_stands():
    stream = io.BytesIO(b"prefix" + FILE)
    stream.seek(6)
    assert list(Reader(stream).iter_segments()) == make_segments(make_header())


def test_reader_refuses_pipes():
    with pytest.raises(ValueError, match="StreamReader"):
        Reader(Pipe(FILE))


@pytest.mark.parametrize("wrap", [io.BytesIO, Pipe])
def test_stream_reader_gives_items_in_file_order(wrap):
    stream = StreamReader(wrap(FILE))
    items = list(stream)
    config, first, second = make_audio()
    one, two, three = make_segments(make_header())
    assert items == [Meta(META), config, one, first, two, second, three]
    assert stream.totals.frames == 27
    assert stream.index == Reader(io.BytesIO(FILE)).index


def test_header_is_read_without_the_body():
    assert read_header(Pipe(FILE)) == make_header()
    assert read_header(io.BytesIO(FILE[:200])) == make_header()


def test_a_real_pipe():
    source, sink = os.pipe()

    def feed():
        with os.fdopen(sink, "wb", buffering=0) as raw:
            write_all(raw)

    thread = threading.Thread(target=feed)
    thread.start()
    with os.fdopen(source, "rb") as stream:
        items = [item for item in StreamReader(stream) if isinstance(item, Segment)]
    thread.join()
    assert items == make_segments(make_header())


@QUICK
@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=5),
    st.integers(0, 2**31),
    st.integers(0, 63),
    st.booleans(),
)
def test_any_file_round_trips(counts, seed, qp, sound):
    rng = np.random.default_rng(seed)
    header = make_header(vfr=True)
    sink, pts, segments = io.BytesIO(), int(rng.integers(-(2**40), 2**40)), []
    with Writer(sink, header) as writer:
        if sound:
            writer.write_audio(make_audio()[0])
        for count in counts:
            times = pts + np.cumsum(rng.integers(1, 5000, count))
            pts = int(times[-1])
            payload = encode_tokens(make_tokens(header.token_shape(count), seed), CODER_RAW)
            segments.append(Segment(tuple(map(int, times)), payload, qp, int(rng.integers(0, 99))))
            writer.write_segment(segments[-1])
            if sound:
                writer.write_audio(make_audio()[1])
    data = sink.getvalue()
    assert list(Reader(io.BytesIO(data)).iter_segments()) == segments
    assert [item for item in StreamReader(Pipe(data)) if isinstance(item, Segment)] == segments
    assert all(status.error is None for status in scan(io.BytesIO(data)))


def test_writer_refuses_misuse():
    header = make_header()
    segment = make_segments(header, 1)[0]
    writer = Writer(io.BytesIO(), header)
    with pytest.raises(BadIndex, match="no segment"):
        writer.close()
    writer.write_meta({})
    with pytest.raises(BadMeta, match="holds one"):
        writer.write_meta({})
    with pytest.raises(BadAudio, match="before its configuration"):
        writer.write_audio(make_audio()[1])
    writer.write_segment(segment)
    with pytest.raises(BadIndex, match="time order"):
        writer.write_segment(segment)
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.write_segment(Segment((10**6,), b""))


def test_writer_refuses_segments_above_the_token_cap():
    header = make_header(width=16384, height=16384, padded_width=16384, padded_height=16384)
    with pytest.raises(CapExceeded, match="shorter keyint"):
        Writer(io.BytesIO(), header).write_segment(Segment(tuple(range(32)), b""))


def test_writer_leaves_no_end_after_an_exception():
    sink = io.BytesIO()
    with pytest.raises(RuntimeError), Writer(sink, make_header()) as writer:
        writer.write_segment(make_segments(make_header(), 1)[0])
        raise RuntimeError
    assert b"ENDS" not in sink.getvalue()


def framed(tag, payload):
    body = tag + struct.pack("<I", len(payload)) + payload
    return body + struct.pack("<I", zlib.crc32(body))


def rewrite_with(tag):
    """A whole, consistent file with an unknown chunk between two segments."""
    sink = OnlyWrite()
    header = make_header()
    writer = Writer(sink, header)
    first, second = make_segments(header, 2)
    writer.write_segment(first)
    extra = framed(tag, b"unknown")
    sink.data += extra
    writer.bytes_written += len(extra)
    writer.write_segment(second)
    writer.close()
    return bytes(sink.data), [first, second]


def test_unknown_optional_chunks_are_passed_over():
    data, segments = rewrite_with(b"xtra")
    reader = Reader(io.BytesIO(data))
    assert not reader.rebuilt
    assert list(reader.iter_segments()) == segments
    assert list(StreamReader(Pipe(data))) == segments
    assert [status.tag for status in scan(io.BytesIO(data))].count(b"xtra") == 1


@pytest.mark.parametrize("open_it", [lambda s: Reader(s), lambda s: list(StreamReader(s))])
def test_unknown_critical_chunks_refuse_the_file(open_it):
    data, _ = rewrite_with(b"XTRA")
    with pytest.raises(UnknownChunk, match="XTRA"):
        open_it(io.BytesIO(data))


def test_later_compatible_versions_are_read():
    header = make_header()
    payload = header.pack() + b"\1\1\0"  # spacing, density and no backgrounds
    sink = io.BytesIO()
    sink.write(FILE[:8] + b"\x07\x01" + framed(b"HEAD", payload + b"new"))
    assert read_header(io.BytesIO(sink.getvalue())) == header
    with pytest.raises(UnsupportedVersion, match="update nvcodec"):
        read_header(io.BytesIO(FILE[:8] + b"\x07\x07"))


def test_pack_chunk_refuses_payloads_above_the_cap():
    with pytest.raises(CapExceeded, match="65537"):
        pack_chunk(b"META", bytes(65537))


def test_packets_can_be_found_by_time():
    index = Reader(io.BytesIO(FILE)).index
    assert [(entry.is_packets, entry.first_pts) for entry in index.audio] == [
        (False, 0),
        (True, 0),
        (True, 2048),
    ]
    assert isinstance(Reader(io.BytesIO(FILE)).read_audio(index.audio[1]), AudioPackets)


def test_files_say_which_frames_are_coded():
    header = make_header(spacing=4, density=2)
    sink, pts, spacings = io.BytesIO(), 0, [1, 4, 0.5, 2]
    with Writer(sink, header) as writer:
        for spacing in spacings:
            writer.write_segment(
                Segment(tuple(range(pts, pts + 27, 3)), b"tok", 63, 3, spacing))
            pts += 27
    data = sink.getvalue()
    assert data[8:10] == b"\x03\x03"
    reader = Reader(io.BytesIO(data))
    assert reader.header == header and not reader.rebuilt
    assert [(e.qp, e.spacing) for e in reader.segments] == [(63, s) for s in spacings]
    assert [s.spacing for s in reader.iter_segments()] == spacings
    assert [s.spacing for s in StreamReader(Pipe(data)) if isinstance(s, Segment)] == spacings


def test_a_writer_refuses_a_spacing_that_its_header_rules_out():
    with Writer(io.BytesIO(), make_header(spacing=2)) as writer:
        writer.write_segment(Segment((0, 3), b"", 0, 3, 2))
        for spacing in (4, 0.5):
            with pytest.raises(BadSegment, match=f"is {spacing}, which HEAD does not allow"):
                writer.write_segment(Segment((6, 9), b"", 0, 3, spacing))


def test_files_hold_backgrounds_where_their_header_has_some():
    header, pts = make_header(backgrounds=BACKGROUNDS), tuple(range(9))
    segments = [Segment(tuple(9 * n + t for t in pts), b"tok", 9, 1, background=b"still" * n)
                for n in range(3)]
    sink = io.BytesIO()
    with Writer(sink, header) as writer:
        for segment in segments:
            writer.write_segment(segment)
    data = sink.getvalue()
    assert data[8:10] == b"\x06\x06"
    reader = Reader(io.BytesIO(data))
    assert reader.header == header and not reader.rebuilt
    assert list(reader.iter_segments()) == segments == list(StreamReader(Pipe(data)))
    with Writer(io.BytesIO(), make_header(spacing=4, density=2)) as writer:
        writer.write_segment(segments[0])
        with pytest.raises(BadSegment, match="a background, which HEAD does not allow"):
            writer.write_segment(segments[1])
        writer.write_segment(replace(segments[1], background=b""))


def test_an_index_that_tells_another_spacing_is_refused():
    header = make_header(spacing=4)
    sink = io.BytesIO()
    with Writer(sink, header) as writer:
        writer.write_segment(Segment((0, 3), b"", 5, 3, 2))
    data = bytearray(sink.getvalue())
    at = data.rindex(b"INDX")
    size = int.from_bytes(data[at + 4:at + 8], "little")
    place = data.index(bytes([5 | 1 << 6]), at + 8, at + 8 + size)
    end = at + 8 + size

    def with_spacing(code):
        data[place] = 5 | code << 6
        data[end:end + 4] = zlib.crc32(data[at:end]).to_bytes(4, "little")
        return io.BytesIO(data)

    for code in (0, 2, 3):
        with pytest.raises(BadIndex, match="does not match"):
            Reader(with_spacing(code)).read_segment(0)
