"""Random access to a seekable `.mvt` file through its index."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from .assemble import Assembler
from .audio import AudioPackets, AudioStream, check_audio_order, parse_audio
from .chunks import CHUNK_OVERHEAD, Chunk, read_chunk
from .errors import BadIndex, BitstreamError, ChunkCrcError, CorruptError, UnsupportedError
from .header import Header
from .index import TAIL_SIZE, AudioEntry, Index, SegmentEntry, Totals
from .meta import parse_meta
from .scan import ChunkStatus, walk
from .segment import Segment
from .source import Source
from .stream import read_head

__all__ = ["Reader"]


class Reader:
    """Opens a file by its index and reads only what is asked for.

    A damaged index is rebuilt by reading the file once. Damage to one segment shows only when
    that segment is read. Not safe for use by several threads at once.

    Args:
        file: path, or binary stream that can seek and stands at the first byte.
        recover: also open files without ENDS or with broken framing; `problems` tells what was
            passed over, and the index lists the whole segments.

    Attributes:
        header: stream parameters.
        index: segments, audio records and META position.
        rebuilt: the index was rebuilt by scan.
        listed: INDX as it stands in the file, None where it is damaged or missing.
        problems: what recovery passed over; empty unless recover.

    Raises:
        OSError, and every BitstreamError that the structure of the file can give.
    """

    def __init__(self, file: str | PathLike[str] | BinaryIO, recover: bool = False) -> None:
        self._owned = isinstance(file, (str, PathLike))
        self._stream = _open(file)
        self._meta: dict[str, Any] | None = None
        self.problems: list[BitstreamError] = []
        self.listed: Index | None = None
        try:
            self._source = Source(self._stream)
            if self._source.size is None:
                raise ValueError("Reader needs a stream that can seek; use StreamReader on pipes")
            self._size = self._source.size
            version, chunk = read_head(self._source)
            self.header = Header.parse(chunk.payload, chunk.base, version)
            self.index, self.rebuilt = self._open_index(chunk.end, recover)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file where this reader opened it."""
        if self._owned:
            self._stream.close()

    @property
    def segments(self) -> tuple[SegmentEntry, ...]:
        """Index entries of all segments, in time order."""
        return self.index.segments

    @property
    def frames(self) -> int:
        """Frames of all segments."""
        return self.index.frames

    @property
    def file_bytes(self) -> int:
        """Size of the file."""
        return self._size

    @property
    def bytes_read(self) -> int:
        """Bytes fetched from the file so far."""
        return self._source.bytes_read

    @property
    def bpp(self) -> float:
        """Bits of all but the audio for each displayed pixel of each frame."""
        pixels = self.frames * self.header.width * self.header.height
        return 8 * (self._size - self.index.audio_bytes) / pixels

    @property
    def meta(self) -> dict[str, Any]:
        """The META object, empty where there is none.

        Raises:
            BadMeta, ChunkCrcError, BadIndex.
        """
        if self._meta is None:
            self._meta = {}
            if self.index.meta_offset:
                chunk = self._chunk(b"META", self.index.meta_offset)
                self._meta = parse_meta(chunk.payload, chunk.base)
        return self._meta

    def find(self, pts: int) -> int:
        """Number of the segment to decode for time pts (time-base ticks)."""
        return self.index.find(pts)

    def read_segment(self, number: int) -> Segment:
        """Read one segment by its place in `segments`.

        Raises:
            ChunkCrcError, BadSegment, CapExceeded: this segment is damaged; others may be whole.
            BadIndex: the index tells something else.
        """
        entry = self.segments[number]
        chunk = self._chunk(b"SEGM", entry.offset, entry.size)
        segment = Segment.parse(chunk.payload, self.header, chunk.base)
        if not entry.tells_of(segment):
            raise BadIndex(f"INDX does not match segment {number}; recover the file", entry.offset)
        return segment

    def iter_segments(self, start: int = 0) -> Iterator[Segment]:
        """Yield segments from number start on; raises as read_segment does."""
        for number in range(start, len(self.segments)):
            yield self.read_segment(number)

    def read_audio(self, entry: AudioEntry) -> AudioStream | AudioPackets:
        """Read one audio record of `index.audio`.

        Raises:
            ChunkCrcError, BadAudio, CapExceeded, BadIndex.
        """
        chunk = self._chunk(b"AUDI", entry.offset, entry.size)
        record = parse_audio(chunk.payload, chunk.base)
        first = record.first_pts if isinstance(record, AudioPackets) else 0
        found = (isinstance(record, AudioPackets), record.index, first)
        if found != (entry.is_packets, entry.stream, entry.first_pts):
            raise BadIndex("INDX does not match an audio record; recover the file", entry.offset)
        return record

    def audio(self) -> Iterator[AudioStream | AudioPackets]:
        """Yield all audio records in file order, each stream's configuration before its packets.

        Raises:
            BadAudio where that order is broken, and what read_audio raises.
        """
        seen: set[int] = set()
        for entry in self.index.audio:
            record = self.read_audio(entry)
            check_audio_order(record, seen)
            yield record

    def _chunk(self, tag: bytes, offset: int, size: int | None = None) -> Chunk:
        self._source.seek(offset)
        chunk = read_chunk(self._source)
        if chunk is None or chunk.tag != tag or size not in (None, chunk.size):
            message = f"INDX misplaces a {tag.decode()} chunk; recover the file"
            raise BadIndex(message, offset)
        return chunk

    def _open_index(self, body: int, recover: bool) -> tuple[Index, bool]:
        try:
            self.listed = self._load_index(body)
            return self.listed, False
        except UnsupportedError:
            raise
        except CorruptError:
            return self._rebuild(recover), True

    def _load_index(self, body: int) -> Index:
        """Follow the fixed tail to INDX and hold it against the file's layout."""
        tail = self._chunk(b"ENDS", max(body, self._size - TAIL_SIZE))
        totals = Totals.parse(tail.payload, tail.base)
        chunk = self._chunk(b"INDX", min(totals.index_offset, tail.offset))
        index = Index.parse(chunk.payload, chunk.offset, chunk.base)
        if not index.segments or chunk.end != tail.offset:
            raise BadIndex("ENDS does not match INDX; recover the file", tail.offset)
        self._check_totals(index, totals)
        self._check_gaps(index, body, chunk.offset)
        return index

    def _check_gaps(self, index: Index, body: int, limit: int) -> None:
        """Look at the chunks that the index does not list: all of them must be skippable."""
        spans = [(entry.offset, entry.size) for entry in index.segments]
        spans += [(record.offset, record.size) for record in index.audio]
        if index.meta_offset:
            spans.append((index.meta_offset, self._chunk(b"META", index.meta_offset).size))
        end = body
        for offset, size in [*sorted(spans), (limit, 0)]:
            if offset < end:
                raise BadIndex("INDX lists chunks that overlap; recover the file", offset)
            while end < offset:
                end = self._skip_unlisted(end)
            if end > offset:
                raise BadIndex("INDX points into a chunk; recover the file", offset)
            end = offset + size + CHUNK_OVERHEAD

    def _skip_unlisted(self, offset: int) -> int:
        self._source.seek(offset)
        chunk = read_chunk(self._source)
        if chunk is None or not chunk.is_skipped:
            raise BadIndex("INDX does not list every chunk; recover the file", offset)
        return chunk.end

    def _rebuild(self, recover: bool) -> Index:
        """Read the whole file; damage to INDX alone costs nothing, as all else is there."""
        self._source.seek(0)
        version, chunk = read_head(self._source)
        assembler = Assembler(version, lenient=recover)
        assembler.feed(chunk)
        for status in walk(self._source, assembler, resync=recover):
            if status.error is None:
                continue
            if not recover and not _is_index_damage(status):
                raise status.error
            if isinstance(status.error, UnsupportedError):
                raise status.error
            self.problems.append(status.error)
        index, self.listed = assembler.index, assembler.listed
        if not index.segments:
            raise BadIndex("no whole segment is left; get another copy of the file")
        if not recover:
            self._check_totals(index, assembler.totals)
            self.problems.clear()
        return index

    def _check_totals(self, index: Index, totals: Totals | None) -> None:
        counted = (index.frames, len(index.segments), index.audio_bytes, self._size)
        if totals is None or counted != (
            totals.frames,
            totals.segments,
            totals.audio_bytes,
            totals.file_bytes,
        ):
            raise BadIndex("ENDS does not match the chunks; recover the file", self._size)


def _open(file: str | PathLike[str] | BinaryIO) -> BinaryIO:
    return Path(file).open("rb") if isinstance(file, (str, PathLike)) else file


def _is_index_damage(status: ChunkStatus) -> bool:
    return status.tag == b"INDX" and isinstance(status.error, ChunkCrcError)
