from __future__ import annotations

import io

import pytest
from bitstream_samples import META, make_audio, make_header, make_tokens

from bitstream import CODER_RAW, AudioPackets, Packet, Segment, Writer, encode_tokens


def write(writer: Writer, first: int, count: int) -> None:
    for i in range(first, first + count):
        tokens = make_tokens((3, 2, 4), i)
        pts = tuple(range(9000 * i, 9000 * i + 900, 100))
        writer.write_segment(Segment(pts, encode_tokens(tokens, CODER_RAW), 5, 100))
        writer.write_audio(AudioPackets(0, (Packet(b"abc" * i, 1024 * i, None, 1024),)))


@pytest.mark.parametrize("before", [0, 3])
def test_a_rehearsal_tells_the_size_to_the_byte_and_changes_nothing(before: int) -> None:
    plain, rehearsed = io.BytesIO(), io.BytesIO()
    for sink in (plain, rehearsed):
        writer = Writer(sink, make_header())
        writer.write_meta(META)
        writer.write_audio(make_audio()[0])
        write(writer, 0, before)
        if sink is rehearsed:
            twin = writer.rehearse()
            write(twin, before, 4)
            totals = twin.close()
            assert sink.tell() == writer.bytes_written < twin.bytes_written
            write(writer.rehearse(), before, 1)
        write(writer, before, 4)
        assert writer.close().file_bytes == len(sink.getvalue())
    assert rehearsed.getvalue() == plain.getvalue()
    assert totals.file_bytes == len(plain.getvalue())
    assert (totals.segments, totals.frames) == (before + 4, 9 * (before + 4))
