"""Where a damaged `.mvt` file is damaged: what of it can be read, and what is lost. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import bitstream
from nvcodec.codec.events import Gap
from nvcodec.codec.plain import time_base_of

Found = bitstream.Segment | bitstream.LostSegment


@dataclass(frozen=True)
class Slot:
    """A segment's place in a file that can seek, whether it is whole or not.

    Attributes:
        first_pts, end_pts, frame_count: as far as they are known.
        offset: where it begins, or its damage.
        read: gives the segment, or what is lost in its place.
    """

    first_pts: int
    end_pts: int
    frame_count: int
    offset: int
    read: Callable[[], Found]


def slots_of(reader: bitstream.Reader) -> list[Slot]:
    """Every segment of a file, those too that only its index or a gap in time tells of."""
    slots: list[Slot] = []
    end: int | None = None
    since = 0
    for number, entry in enumerate(reader.segments):
        for lost in _missing(reader, end, entry.first_pts, since, entry.offset):
            slots.append(_lost_slot(lost))
        slots.append(Slot(entry.first_pts, entry.end_pts, entry.frame_count, entry.offset,
                          partial(_read, reader, number)))
        end, since = entry.end_pts, entry.offset
    return slots + [_lost_slot(lost) for lost in
                    _missing(reader, end, None, since, reader.file_bytes)]


def origin_of(reader: bitstream.Reader) -> int:
    """The first tick of a file's video, of a lost beginning too where that is known."""
    return slots_of(reader)[0].first_pts


def _missing(reader: bitstream.Reader, end: int | None, after: int | None, since: int,
             offset: int) -> list[bitstream.LostSegment]:
    between = [p for p in reader.problems if since < (p.offset or 0) <= offset]
    return bitstream.lost_between(end, after, reader.listed, between, reader.header)


def _lost_slot(lost: bitstream.LostSegment) -> Slot:
    return Slot(lost.first_pts, lost.end_pts, lost.frame_count, lost.error.offset or 0,
                lambda: lost)


def _read(reader: bitstream.Reader, number: int) -> Found:
    try:
        return reader.read_segment(number)
    except bitstream.CorruptError as error:
        return bitstream.lost_entry(reader.segments[number], error, reader.header)


def stream_items(reader: bitstream.StreamReader) -> Iterator[Any]:
    """What a pipe gives, with LostSegment where recovery passed over segments."""
    end: int | None = None
    seen = 0
    for item in reader:
        if isinstance(item, bitstream.Segment):
            yield from bitstream.lost_between(
                end, item.first_pts, None, reader.problems[seen:], reader.header)
            end, seen = item.end_pts, len(reader.problems)
        yield item
    yield from bitstream.lost_between(
        end, None, reader.listed, reader.problems[seen:], reader.header)


def gap_of(lost: bitstream.LostSegment, number: int, origin: int, header: bitstream.Header,
           concealed: bool = False) -> Gap:
    """A lost segment in the words of users.

    Args:
        lost: of a file with this header.
        number: of its first frame in the whole video.
        origin: the video's first tick.
        concealed: as in Gap.
    """
    base = time_base_of(header)
    return Gap(number, lost.frame_count, round(float((lost.first_pts - origin) * base), 6),
               round(float((lost.end_pts - lost.first_pts) * base), 6),
               lost.error.message.partition(";")[0], concealed)


def other_problems(problems: Iterable[bitstream.BitstreamError],
                   told: Iterable[bitstream.BitstreamError]) -> list[str]:
    """Messages of those problems that are not told of elsewhere."""
    known = {id(p) for p in told}
    return [str(p) for p in problems if id(p) not in known]
