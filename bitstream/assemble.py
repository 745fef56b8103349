"""Turns whole chunks into items, in the order the format allows, and keeps count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from .audio import AudioPackets, AudioStream, check_audio_order, parse_audio
from .chunks import Chunk
from .errors import BadIndex, BadMeta, DuplicateHeader, MissingHeader
from .header import Header
from .index import Index, IndexBuilder, Totals
from .meta import parse_meta
from .segment import Segment

__all__ = ["Assembler", "Item", "Meta"]


@dataclass(frozen=True)
class Meta:
    """The META object of a stream."""

    values: dict[str, Any]


Item: TypeAlias = Header | Segment | AudioStream | AudioPackets | Meta


class Assembler:
    """Checks chunk order and content and collects the index.

    Args:
        version: format version of the file.
        lenient: chunks were lost, so INDX and ENDS are not held against what was seen.

    Attributes:
        header: None until HEAD came.
        totals: None until ENDS came.
        listed: INDX as it stands in the file, None until it came whole.
    """

    def __init__(self, version: int, lenient: bool) -> None:
        self.lenient = lenient
        self.header: Header | None = None
        self.totals: Totals | None = None
        self.listed: Index | None = None
        self._version = version
        self._builder = IndexBuilder()
        self._streams: set[int] = set()
        self._index_offset: int | None = None

    @property
    def index(self) -> Index:
        """The index of all chunks seen so far."""
        return self._builder.build()

    def feed(self, chunk: Chunk) -> Item | None:
        """Take the next chunk; return its content, None for INDX, ENDS and unknown chunks.

        Raises:
            MissingHeader, DuplicateHeader, BadIndex and whatever the chunk's own parser raises.
        """
        if chunk.tag == b"HEAD":
            return self._head(chunk)
        if self.header is None:
            message = "the first chunk is not HEAD; get another copy of the file"
            raise MissingHeader(message, chunk.offset)
        if chunk.tag == b"INDX":
            self._indx(chunk)
            return None
        if chunk.tag == b"ENDS":
            self._ends(chunk)
            return None
        return self._content(chunk, self.header)

    def _head(self, chunk: Chunk) -> Header:
        if self.header is not None:
            raise DuplicateHeader("a second HEAD; get another copy of the file", chunk.offset)
        self.header = Header.parse(chunk.payload, chunk.base, self._version)
        return self.header

    def _content(self, chunk: Chunk, header: Header) -> Item | None:
        if chunk.tag not in (b"SEGM", b"AUDI", b"META"):
            return None
        if self._index_offset is not None:
            raise BadIndex("content follows INDX; get another copy of the file", chunk.offset)
        if chunk.tag == b"SEGM":
            segment = Segment.parse(chunk.payload, header, chunk.base)
            self._builder.add_segment(segment, chunk.offset, chunk.size)
            return segment
        if chunk.tag == b"AUDI":
            record = parse_audio(chunk.payload, chunk.base)
            check_audio_order(record, self._streams)
            self._builder.add_audio(record, chunk.offset, chunk.size)
            return record
        if self._builder.meta_offset:
            raise BadMeta("META: a second object; get another copy of the file", chunk.offset)
        meta = Meta(parse_meta(chunk.payload, chunk.base))
        self._builder.meta_offset = chunk.offset
        return meta

    def _indx(self, chunk: Chunk) -> None:
        if self._index_offset is not None:
            raise BadIndex("a second INDX; get another copy of the file", chunk.offset)
        self._index_offset = chunk.offset
        index = Index.parse(chunk.payload, chunk.offset, chunk.base)
        if not self.lenient and index != self.index:
            raise BadIndex("INDX does not match the chunks; recover the file", chunk.offset)
        self.listed = index

    def _ends(self, chunk: Chunk) -> None:
        totals = Totals.parse(chunk.payload, chunk.base)
        if not self.lenient:
            index = self.index
            seen = Totals(
                self._index_offset or 0,
                index.frames,
                len(index.segments),
                index.audio_bytes,
                chunk.end,
            )
            if totals != seen or not index.segments:
                raise BadIndex("ENDS does not match the chunks; recover the file", chunk.offset)
        self.totals = totals
