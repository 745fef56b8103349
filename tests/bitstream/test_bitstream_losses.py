"""What is known of lost segments: their frames and times, by whatever witness is left."""

import io

import pytest
from bitstream_samples import make_file, make_header, make_segments

from bitstream import LostSegment, Reader, Segment, StreamReader, lost_between, lost_entry, scan

FILE = make_file()
HEADER = make_header()
SEGMENTS = make_segments(HEADER)
PLACES = [s for s in scan(io.BytesIO(FILE)) if s.tag == b"SEGM"]


def spoiled(*places):
    data = bytearray(FILE)
    for place in places:
        data[place] ^= 0x10
    return bytes(data)


def problem_of(data, number):
    with pytest.raises(Exception, match="damaged") as caught:
        Reader(io.BytesIO(data)).read_segment(number)
    return caught.value


@pytest.mark.parametrize("number", range(3))
def test_a_damaged_payload_keeps_exact_times(number):
    """The second segment's frames are unevenly spaced, so that nothing but the chunk knows."""
    data = spoiled(PLACES[number].offset + PLACES[number].size - 9)
    reader = Reader(io.BytesIO(data))
    lost = lost_entry(reader.segments[number], problem_of(data, number), HEADER)
    assert (lost.pts, lost.end_pts) == (SEGMENTS[number].pts, SEGMENTS[number].end_pts)


def test_damaged_times_are_spread_between_those_of_the_index():
    data = spoiled(PLACES[1].offset + 10)  # inside the first pts
    lost = lost_entry(Reader(io.BytesIO(data)).segments[1], problem_of(data, 1), HEADER)
    assert lost.pts == tuple(27000 + 3000 * k for k in range(9)) and lost.end_pts == 54000


@pytest.mark.parametrize("at", [10, -9], ids=["times", "payload"])
def test_a_pipe_finds_what_is_between(at):
    start = PLACES[1].offset + at % PLACES[1].size
    reader = StreamReader(io.BytesIO(spoiled(start)), recover=True)
    whole = [item for item in reader if isinstance(item, Segment)]
    assert whole == [SEGMENTS[0], SEGMENTS[2]]
    (lost,) = lost_between(27000, 54000, None, reader.problems, HEADER)
    assert lost.frame_count == 9 and lost.pts[0] == 27000
    assert (lost.pts == SEGMENTS[1].pts) == (at == -9)
    # The end is told by INDX, which a pipe brings last.
    assert reader.listed is not None
    (last,) = lost_between(27000, None, reader.listed, reader.problems, HEADER)[1:]
    assert last.first_pts == 54000


def test_a_lost_beginning_is_counted_back_to_zero():
    problems = [problem_of(spoiled(PLACES[0].offset + 10), 0)]
    (lost,) = lost_between(None, 27000, None, problems, HEADER)
    assert lost.pts == SEGMENTS[0].pts and lost.end_pts == 27000


def test_nothing_is_made_up():
    problems = [problem_of(spoiled(PLACES[0].offset + 10), 0)]
    assert lost_between(0, 9000, None, [], HEADER) == []  # a gap in time without damage
    assert lost_between(27000, None, None, problems, HEADER) == []  # an end of unknown length
    assert lost_between(0, 1 << 61, None, problems, HEADER) == []  # times that lie
    assert lost_between(27000, 27000, None, problems, HEADER) == []
    assert isinstance(lost_between(0, 3000, None, problems, HEADER)[0], LostSegment)
