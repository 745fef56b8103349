"""INDX, the seek table, and ENDS, the fixed-size tail that finds it."""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass

from .audio import KIND_PACKETS, KIND_STREAM, AudioPackets, AudioStream
from .caps import (
    MAX_AUDIO_STREAMS,
    MAX_INDEX_AUDIO,
    MAX_PTS,
    MAX_QP,
    MAX_SEGMENT_FRAMES,
    MAX_SEGMENTS,
    SPACINGS,
)
from .chunks import CHUNK_OVERHEAD, PREAMBLE_SIZE
from .errors import BadIndex, CapExceeded
from .fields import Cursor, pack_svarint, pack_varint
from .segment import Segment

__all__ = ["TAIL_SIZE", "AudioEntry", "Index", "IndexBuilder", "SegmentEntry", "Totals"]

_TOTALS = struct.Struct("<QQIQQ")
# Of the byte whose lower bits are qp.
_SPACING_SHIFT = MAX_QP.bit_length()
TAIL_SIZE = _TOTALS.size + CHUNK_OVERHEAD


@dataclass(frozen=True)
class SegmentEntry:
    """Where one segment lies: chunk offset, payload bytes, times in ticks, frames, qp, spacing."""

    offset: int
    size: int
    first_pts: int
    end_pts: int
    frame_count: int
    qp: int
    spacing: float = 1

    def tells_of(self, segment: Segment) -> bool:
        """Whether all but its place in the file is that of a segment."""
        times = (segment.first_pts, segment.end_pts)
        found = (*times, segment.frame_count, segment.qp, segment.spacing)
        return found == (
            self.first_pts, self.end_pts, self.frame_count, self.qp, self.spacing
        )  # fmt: skip


@dataclass(frozen=True)
class AudioEntry:
    """Where one audio record lies; first_pts (stream ticks) is 0 for configurations."""

    offset: int
    size: int
    is_packets: bool
    stream: int
    first_pts: int


@dataclass(frozen=True)
class Totals:
    """The ENDS payload: where INDX begins, and what the file holds in all."""

    index_offset: int
    frames: int
    segments: int
    audio_bytes: int
    file_bytes: int

    def pack(self) -> bytes:
        """Return the ENDS payload (36 bytes)."""
        return _TOTALS.pack(
            self.index_offset, self.frames, self.segments, self.audio_bytes, self.file_bytes
        )

    @classmethod
    def parse(cls, payload: bytes, base: int | None = None) -> Totals:
        """Read an ENDS payload; BadIndex when it has another size."""
        cursor = Cursor(payload, BadIndex, "ENDS", base)
        totals = cls(*_TOTALS.unpack(cursor.take(_TOTALS.size)))
        cursor.finish()
        return totals


@dataclass(frozen=True)
class Index:
    """The seek table.

    Attributes:
        segments: in file and time order.
        audio: audio records in file order.
        meta_offset: offset of the META chunk, 0 where there is none.
    """

    segments: tuple[SegmentEntry, ...] = ()
    audio: tuple[AudioEntry, ...] = ()
    meta_offset: int = 0

    @property
    def frames(self) -> int:
        """Frames of all segments."""
        return sum(entry.frame_count for entry in self.segments)

    @property
    def audio_bytes(self) -> int:
        """Bytes of all AUDI chunks with their framing."""
        return sum(entry.size + CHUNK_OVERHEAD for entry in self.audio)

    def find(self, pts: int) -> int:
        """Number of the segment shown at pts: the last that begins at or before it, else 0."""
        return max(0, bisect_right(self.segments, pts, key=lambda entry: entry.first_pts) - 1)

    def pack(self) -> bytes:
        """Return the INDX payload."""
        parts = [pack_varint(self.meta_offset), pack_varint(len(self.segments))]
        end, clock = PREAMBLE_SIZE, 0
        for entry in self.segments:
            parts.append(pack_varint(entry.offset - end) + pack_varint(entry.size))
            parts.append(pack_svarint(entry.first_pts - clock))
            parts.append(pack_varint(entry.end_pts - entry.first_pts))
            steps = SPACINGS.index(entry.spacing) << _SPACING_SHIFT | entry.qp
            parts.append(pack_varint(entry.frame_count) + bytes([steps]))
            end, clock = entry.offset + entry.size + CHUNK_OVERHEAD, entry.end_pts
        parts.append(pack_varint(len(self.audio)))
        end = PREAMBLE_SIZE
        for record in self.audio:
            kind = KIND_PACKETS if record.is_packets else KIND_STREAM
            parts.append(pack_varint(record.offset - end) + pack_varint(record.size))
            parts.append(bytes([kind, record.stream]) + pack_svarint(record.first_pts))
            end = record.offset + record.size + CHUNK_OVERHEAD
        return b"".join(parts)

    @classmethod
    def parse(cls, payload: bytes, limit: int, base: int | None = None) -> Index:
        """Read an INDX payload; every entry must end at or before byte limit of the file.

        Raises:
            BadIndex: an entry is out of range.  CapExceeded: too many entries.
        """
        cursor = Cursor(payload, BadIndex, "INDX", base)
        meta_offset = cursor.varint()
        if meta_offset >= limit:
            raise cursor.fail("places META beyond itself")
        segments = _parse_segments(cursor, limit)
        audio = _parse_audio(cursor, limit)
        cursor.finish()
        return cls(segments, audio, meta_offset)


def _parse_segments(cursor: Cursor, limit: int) -> tuple[SegmentEntry, ...]:
    count = _count(cursor, MAX_SEGMENTS, "segments")
    entries: list[SegmentEntry] = []
    end, clock, last = PREAMBLE_SIZE, 0, -MAX_PTS - 1
    for _ in range(count):
        offset = end + cursor.varint()
        size = cursor.varint()
        first = clock + cursor.svarint()
        clock = first + cursor.varint()
        frames = cursor.varint()
        place, qp = divmod(cursor.u8(), 1 << _SPACING_SHIFT)
        end = offset + size + CHUNK_OVERHEAD
        if end > limit:
            raise cursor.fail("places a segment beyond itself")
        if not last < first <= clock <= MAX_PTS:
            raise cursor.fail("lists segments out of time order")
        if not 1 <= frames <= MAX_SEGMENT_FRAMES:
            raise cursor.fail("lists a segment with an impossible frame count")
        last = first
        entries.append(SegmentEntry(offset, size, first, clock, frames, qp, SPACINGS[place]))
    return tuple(entries)


def _parse_audio(cursor: Cursor, limit: int) -> tuple[AudioEntry, ...]:
    count = _count(cursor, MAX_INDEX_AUDIO, "audio records")
    entries: list[AudioEntry] = []
    end = PREAMBLE_SIZE
    for _ in range(count):
        offset = end + cursor.varint()
        size = cursor.varint()
        kind = cursor.u8()
        stream = cursor.u8()
        first = cursor.svarint()
        end = offset + size + CHUNK_OVERHEAD
        if end > limit:
            raise cursor.fail("places an audio record beyond itself")
        if kind not in (KIND_STREAM, KIND_PACKETS) or stream >= MAX_AUDIO_STREAMS:
            raise cursor.fail("lists an impossible audio record")
        entries.append(AudioEntry(offset, size, kind == KIND_PACKETS, stream, first))
    return tuple(entries)


def _count(cursor: Cursor, cap: int, what: str) -> int:
    count = cursor.varint()
    if count > cap:
        raise CapExceeded(f"INDX: {count} {what} are above the cap {cap}; get another copy")
    return count


class IndexBuilder:
    """Collects index entries while chunks go by, for the writer and for rebuilding by scan.

    Raises (from add_segment and add_audio):
        CapExceeded: too many entries.  BadIndex: segments out of time order.
    """

    def __init__(self) -> None:
        self._segments: list[SegmentEntry] = []
        self._audio: list[AudioEntry] = []
        self.meta_offset = 0

    def add_segment(self, segment: Segment, offset: int, size: int) -> None:
        """Note a SEGM chunk at offset with a payload of size bytes."""
        if len(self._segments) >= MAX_SEGMENTS:
            raise CapExceeded(f"more than {MAX_SEGMENTS} segments; use a longer keyint", offset)
        if self._segments and segment.first_pts <= self._segments[-1].first_pts:
            raise BadIndex("segments are out of time order; get another copy", offset)
        times = (segment.first_pts, segment.end_pts)
        count = segment.frame_count
        entry = SegmentEntry(offset, size, *times, count, segment.qp, segment.spacing)
        self._segments.append(entry)

    def add_audio(self, record: AudioStream | AudioPackets, offset: int, size: int) -> None:
        """Note an AUDI chunk at offset with a payload of size bytes."""
        if len(self._audio) >= MAX_INDEX_AUDIO:
            raise CapExceeded(f"more than {MAX_INDEX_AUDIO} audio records; batch more", offset)
        batch = isinstance(record, AudioPackets)
        first = record.first_pts if isinstance(record, AudioPackets) else 0
        self._audio.append(AudioEntry(offset, size, batch, record.index, first))

    def build(self) -> Index:
        """Return the index of all that was added."""
        return Index(tuple(self._segments), tuple(self._audio), self.meta_offset)
