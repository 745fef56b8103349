"""Damage: every cut and every flipped bit is seen or harmless, and costs no more than it must."""

import io
import struct
import time
import tracemalloc
import zlib

import pytest
from bitstream_samples import META, QUICK, Pipe, make_audio, make_file, make_header, make_segments
from hypothesis import given
from hypothesis import strategies as st

from bitstream import (
    BadIndex,
    BadTokens,
    BitstreamError,
    CapExceeded,
    ChunkCrcError,
    CorruptError,
    Reader,
    Segment,
    StreamReader,
    TrailingData,
    Truncated,
    UnsupportedError,
    decode_tokens,
    scan,
)
from bitstream.index import Index, Totals

FILE = make_file()
SEGMENTS = make_segments(make_header())
STATUSES = list(scan(io.BytesIO(FILE)))
OFFSETS = [status.offset for status in STATUSES if status.tag == b"SEGM"]
ENDS = [status.offset + status.size for status in STATUSES if status.tag == b"SEGM"]


def read_all(data, recover=False):
    """Everything a reader gives, tokens included."""
    reader = Reader(io.BytesIO(data), recover)
    segments = list(reader.iter_segments())
    for segment in segments:
        shape = reader.header.token_shape(segment.frame_count)
        decode_tokens(segment.payload, shape, reader.header.coder)
    return segments, list(reader.audio()), reader.meta


WHOLE = read_all(FILE)


@pytest.mark.parametrize("read", [read_all, lambda data: list(StreamReader(Pipe(data, 99)))])
def test_every_cut_is_truncated(read):
    for size in range(len(FILE)):
        with pytest.raises(Truncated):
            read(FILE[:size])


@pytest.mark.parametrize("wrap", [io.BytesIO, lambda data: Pipe(data, 99)])
def test_recovery_gives_the_whole_segments_of_every_cut(wrap):
    for size in range(OFFSETS[0], len(FILE)):
        whole = sum(end <= size for end in ENDS)
        stream = StreamReader(wrap(FILE[:size]), recover=True)
        found = [item for item in stream if isinstance(item, Segment)]
        assert found == SEGMENTS[:whole]
        assert any(isinstance(problem, Truncated) for problem in stream.problems)


def test_reader_recovers_cut_files():
    for size in range(OFFSETS[0], len(FILE)):
        whole = sum(end <= size for end in ENDS)
        if whole:
            reader = Reader(io.BytesIO(FILE[:size]), recover=True)
            assert list(reader.iter_segments()) == SEGMENTS[:whole]
            assert reader.problems
        else:
            with pytest.raises(BadIndex, match="no whole segment"):
                Reader(io.BytesIO(FILE[:size]), recover=True)


def flips(data):
    for place in range(len(data)):
        damaged = bytearray(data)
        for bit in (0, 3, 7):
            damaged[place] ^= 1 << bit
            yield place, bytes(damaged)
            damaged[place] ^= 1 << bit


def test_every_flip_is_seen_or_harmless():
    harmless = 0
    for _, damaged in flips(FILE):
        try:
            assert read_all(damaged) == WHOLE
            harmless += 1
        except BitstreamError:
            pass
    index = next(status for status in STATUSES if status.tag == b"INDX")
    assert harmless <= 3 * index.size + 3


def test_every_flip_is_seen_or_harmless_in_a_stream():
    whole = list(StreamReader(Pipe(FILE, 99)))
    seen = 0
    for _, damaged in flips(FILE):
        try:
            assert list(StreamReader(Pipe(damaged, 99))) == whole
        except BitstreamError:
            seen += 1
    assert seen >= 3 * len(FILE) - 4


def test_a_flip_costs_at_most_its_segment():
    for place, damaged in flips(FILE):
        if place < OFFSETS[0]:
            continue
        reader = Reader(io.BytesIO(damaged), recover=True)
        found = []
        for number in range(len(reader.segments)):
            try:
                found.append(reader.read_segment(number))
            except CorruptError as error:
                assert error.offset is not None
        lost = [k for k in range(3) if OFFSETS[k] <= place < ENDS[k]]
        assert found == [segment for k, segment in enumerate(SEGMENTS) if k not in lost]


def test_scan_names_the_damage_and_goes_on():
    for place, damaged in flips(FILE):
        if place < OFFSETS[0]:
            continue
        statuses = list(scan(io.BytesIO(damaged)))
        wrong = [status for status in statuses if status.error is not None]
        assert wrong
        assert wrong[0].offset <= place < wrong[0].offset + max(wrong[0].size, 1)
        kept = [status.item for status in statuses if isinstance(status.item, Segment)]
        lost = [k for k in range(3) if OFFSETS[k] <= place < ENDS[k]]
        assert kept == [segment for k, segment in enumerate(SEGMENTS) if k not in lost]


def test_a_lost_stretch_is_passed_over():
    for start in range(OFFSETS[1], ENDS[1], 5):
        damaged = FILE[:start] + bytes(9) + FILE[start + 2 :]
        reader = Reader(io.BytesIO(damaged), recover=True)
        assert list(reader.iter_segments()) == [SEGMENTS[0], SEGMENTS[2]]
        assert reader.rebuilt
        assert reader.problems


def test_a_damaged_index_is_rebuilt():
    index = next(status for status in STATUSES if status.tag == b"INDX")
    damaged = bytearray(FILE)
    damaged[index.offset + 10] ^= 1
    reader = Reader(io.BytesIO(damaged))
    assert reader.rebuilt
    assert not reader.problems
    assert read_all(bytes(damaged)) == WHOLE


def test_bytes_after_the_end_are_refused():
    for extra in (b"\0", b"x" * 100, FILE):
        with pytest.raises(TrailingData):
            Reader(io.BytesIO(FILE + extra))
        with pytest.raises(TrailingData):
            list(StreamReader(Pipe(FILE + extra)))
        assert list(Reader(io.BytesIO(FILE + extra), recover=True).iter_segments()) == SEGMENTS


def framed(tag, payload, size=None):
    body = tag + struct.pack("<I", len(payload) if size is None else size) + payload
    return body + struct.pack("<I", zlib.crc32(body))


def with_tail(index, totals):
    """The body of FILE under another INDX and ENDS, both with right CRCs."""
    place = next(status.offset for status in STATUSES if status.tag == b"INDX")
    chunk = framed(b"INDX", index.pack())
    base = Totals(place, 27, 3, index.audio_bytes, place + len(chunk) + 48)
    fields = {**base.__dict__, **totals}
    return FILE[:place] + chunk + framed(b"ENDS", Totals(**fields).pack())


@pytest.mark.parametrize(
    "totals",
    [
        {"frames": 26},
        {"segments": 2},
        {"audio_bytes": 0},
        {"file_bytes": 1},
        {"index_offset": 10},
        {"index_offset": 2**64 - 1},
    ],
)
def test_totals_that_lie_are_refused(totals):
    data = with_tail(Reader(io.BytesIO(FILE)).index, totals)
    for read in (Reader, lambda stream: list(StreamReader(stream))):
        with pytest.raises(BadIndex):
            read(io.BytesIO(data))
    assert Reader(io.BytesIO(data), recover=True).frames == 27


def changed_indexes():
    index = Reader(io.BytesIO(FILE)).index
    one, two, three = index.segments
    bad_qp = type(two)(two.offset, two.size, two.first_pts, two.end_pts, two.frame_count, 63)
    yield Index((one, three), index.audio, index.meta_offset)
    yield Index((one, bad_qp, three), index.audio, index.meta_offset)
    yield Index(index.segments, index.audio[:2], index.meta_offset)
    yield Index(index.segments, index.audio, 0)
    yield Index(index.segments, index.audio, one.offset)
    yield Index((), index.audio, index.meta_offset)


@pytest.mark.parametrize("index", list(changed_indexes()))
def test_an_index_that_lies_is_refused(index):
    changes = {"frames": index.frames, "segments": len(index.segments)}
    data = with_tail(index, changes)
    with pytest.raises(BadIndex):
        read_all(data)
    with pytest.raises(BadIndex):
        list(StreamReader(Pipe(data)))


@pytest.mark.parametrize("recover", [False, True])
@QUICK
@given(
    edits=st.lists(
        st.tuples(st.integers(0, len(FILE)), st.integers(0, 40), st.binary(max_size=40)),
        min_size=1,
        max_size=4,
    )
)
def test_any_edit_is_survived(edits, recover):
    data = FILE
    for start, length, replacement in edits:
        data = data[:start] + replacement + data[start + length :]
    for read in (
        lambda: read_all(data, recover),
        lambda: list(StreamReader(Pipe(data, 999), recover)),
        lambda: list(StreamReader(io.BytesIO(data), recover)),
        lambda: list(scan(io.BytesIO(data))),
    ):
        try:
            read()
        except BitstreamError as error:
            assert "\n" not in str(error)


HOSTILE = {
    "sizes-in-a-short-file": FILE[: OFFSETS[0]] + b"SEGM" + struct.pack("<I", 60 << 20) + b"x",
    "sizes-above-the-cap": FILE[: OFFSETS[0]] + b"SEGM" + struct.pack("<I", 2**32 - 1),
    "meta": FILE[: OFFSETS[0]] + b"META" + struct.pack("<I", 65537),
    "unknown": FILE[: OFFSETS[0]] + b"xxxx" + struct.pack("<I", 2**31),
    "tags-everywhere": FILE[: OFFSETS[0]] + b"SEGM\x00\xff\x00\x00" * 20000,
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_sizes_take_neither_memory_nor_time(data):
    start = time.process_time()
    tracemalloc.start()
    for wrap in (io.BytesIO, lambda raw: Pipe(raw, 1 << 20)):
        for recover in (False, True):
            with pytest.raises((Truncated, CapExceeded, ChunkCrcError)):
                for _ in StreamReader(wrap(data), recover):
                    pass
                raise Truncated("nothing raised while recovering")
    for recover in (False, True):
        with pytest.raises(CorruptError):
            Reader(io.BytesIO(data), recover)
    list(scan(io.BytesIO(data)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 << 20
    assert time.process_time() - start < 4


def test_short_payloads_cannot_ask_for_long_decoding():
    with pytest.raises(BadTokens):
        decode_tokens(bytes(8), (4, 2048, 2048), 0)
    with pytest.raises(CapExceeded):
        decode_tokens(bytes(8), (5, 2048, 2048), 0)


def test_errors_are_one_line_with_exit_kind_and_offset():
    for _, damaged in list(flips(FILE))[::7]:
        try:
            read_all(damaged)
        except BitstreamError as error:
            assert "\n" not in str(error)
            assert isinstance(error, (CorruptError, UnsupportedError))
            assert error.offset is not None


def test_samples_have_what_the_tests_need():
    assert (SEGMENTS, list(make_audio()), META) == WHOLE
    assert len(OFFSETS) == 3
