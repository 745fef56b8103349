"""Walks a stream chunk by chunk, tells the state of each, and finds the way back after damage."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from .assemble import Assembler, Item
from .caps import CHUNK_CAPS
from .chunks import CHUNK_OVERHEAD, Chunk, read_chunk, read_preamble
from .errors import (
    BitstreamError,
    ChunkCrcError,
    CorruptError,
    TrailingData,
    Truncated,
    UnknownChunk,
)
from .source import Source

__all__ = ["ChunkStatus", "scan", "walk"]

_TAGS = re.compile(b"|".join(tag for tag in CHUNK_CAPS if tag != b"HEAD"))
_WINDOW = 1 << 20
# Checking the CRC of false candidates may cost this many times the file's size, then the search
# gives up: a hostile file full of tags would otherwise take time quadratic in its size.
_SEARCH_FACTOR = 8


@dataclass(frozen=True)
class ChunkStatus:
    """State of one chunk, or of one damaged stretch.

    Attributes:
        offset, size: where it lies in the file, framing included.
        tag: 4 bytes; what stands in the tag's place where damaged; empty at the missing end.
        item: the parsed content; None for INDX, ENDS, skipped and damaged chunks.
        error: what is wrong, None when all is well.
    """

    offset: int
    size: int
    tag: bytes
    item: Item | None = None
    error: BitstreamError | None = None


def scan(stream: BinaryIO) -> Iterator[ChunkStatus]:
    """Yield the state of every chunk of a whole file, damaged ones included, and go on after them.

    The stream is read once from its current position with at most one chunk in memory. The last
    status has an error where the file does not end with ENDS. Token payloads are not decoded.

    Raises:
        NotMvt, UnsupportedVersion, Truncated: the first ten bytes are not those of a .mvt file
        that this build reads.
    """
    source = Source(stream)
    assembler = Assembler(version=read_preamble(source), lenient=False)
    yield from walk(source, assembler, resync=source.size is not None)


def walk(source: Source, assembler: Assembler, resync: bool) -> Iterator[ChunkStatus]:
    """Yield the state of each chunk from source.pos on, feeding whole ones to the assembler.

    With resync (seekable sources only) the walk looks for the next whole chunk after damage;
    without, it ends where the framing is lost.
    """
    while True:
        start = source.pos
        if assembler.totals is not None:
            if source.upto(1):
                error: BitstreamError = TrailingData("bytes follow ENDS; cut them off", start)
                yield ChunkStatus(start, 1 + (source.left or 0), b"", None, error)
            return
        try:
            chunk = read_chunk(source)
        except BitstreamError as fault:
            tag, size, found = _pass_damage(source, start, fault, resync)
            assembler.lenient = True
            yield ChunkStatus(start, size, tag, None, fault)
            if found:
                continue
            return
        if chunk is None:
            message = "the file ends before its last chunk; finish the download or recover"
            yield ChunkStatus(start, 0, b"", None, Truncated(message, start))
            return
        yield _feed(assembler, chunk)


def _feed(assembler: Assembler, chunk: Chunk) -> ChunkStatus:
    size = chunk.size + CHUNK_OVERHEAD
    try:
        item = assembler.feed(chunk)
    except BitstreamError as error:
        assembler.lenient = True
        return ChunkStatus(chunk.offset, size, chunk.tag, None, error)
    return ChunkStatus(chunk.offset, size, chunk.tag, item)


def _pass_damage(
    source: Source, start: int, error: BitstreamError, resync: bool
) -> tuple[bytes, int, bool]:
    """Place source where reading can go on; return tag, bytes passed and whether there is more."""
    framed = isinstance(error, (ChunkCrcError, UnknownChunk))
    end = source.pos
    if source.size is None:
        return b"", end - start, framed
    source.seek(start)
    tag = source.upto(4)
    if not resync:
        source.seek(end)
        return tag, end - start, framed
    if not (framed and _plausible(source, end)):
        found = _search(source, start + 1)
        end = found if found is not None else source.size or end
        source.seek(end)
        return tag, end - start, found is not None
    source.seek(end)
    return tag, end - start, True


def _plausible(source: Source, offset: int) -> bool:
    """True where a chunk header that fits the file, or its end, stands at offset."""
    source.seek(offset)
    head = source.upto(8)
    if not head:
        return True
    return _fits(source, offset, head)


def _fits(source: Source, offset: int, head: bytes) -> bool:
    if len(head) < 8 or head[:4] not in CHUNK_CAPS:
        return False
    size = int.from_bytes(head[4:], "little")
    end = offset + size + CHUNK_OVERHEAD
    return size <= CHUNK_CAPS[head[:4]] and end <= (source.size or 0)


def _search(source: Source, offset: int) -> int | None:
    """Return the offset of the next whole known chunk at or after offset, None where none is."""
    budget = _SEARCH_FACTOR * (source.size or 0)
    while True:
        source.seek(offset)
        window = source.upto(_WINDOW)
        for match in _TAGS.finditer(window):
            at = offset + match.start()
            source.seek(at)
            head = source.upto(8)
            if not _fits(source, at, head):
                continue
            budget -= int.from_bytes(head[4:], "little")
            if budget < 0:
                return None
            source.seek(at)
            try:
                read_chunk(source)
            except CorruptError:
                continue
            return at
        if len(window) < _WINDOW:
            return None
        offset += _WINDOW - 3
