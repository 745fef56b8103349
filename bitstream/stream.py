"""Sequential reading, for pipes and for rebuilding a lost index."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from .assemble import Assembler, Item
from .chunks import Chunk, read_chunk, read_preamble
from .errors import BitstreamError, CorruptError, MissingHeader, Truncated, UnsupportedError
from .header import Header
from .index import Index, Totals
from .scan import walk
from .source import Source

__all__ = ["StreamReader", "read_head", "read_header"]


class StreamReader:
    """Reads a stream front to back with at most one chunk in memory; it need not seek.

    Iterating yields Segment, AudioStream, AudioPackets and Meta in file order, and ends only
    after a right ENDS.

    Args:
        stream: binary stream at the first byte.
        recover: go on where bytes are damaged or missing, and note what was in `problems`.

    Attributes:
        header: the stream's parameters.
        problems: what recovery passed over; empty for a whole file.

    Raises:
        NotMvt, UnsupportedVersion, Truncated, MissingHeader and what Header raises at once; every
        other error while iterating.
    """

    def __init__(self, stream: BinaryIO, recover: bool = False) -> None:
        source = Source(stream)
        version, chunk = read_head(source)
        self.problems: list[BitstreamError] = []
        self._assembler = Assembler(version, lenient=recover)
        self._assembler.feed(chunk)
        self._recover = recover
        self._source = source

    @property
    def header(self) -> Header:
        """The stream's parameters."""
        assert self._assembler.header is not None
        return self._assembler.header

    @property
    def bytes_read(self) -> int:
        """Bytes fetched from the stream so far."""
        return self._source.bytes_read

    @property
    def index(self) -> Index:
        """Index of what was read so far."""
        return self._assembler.index

    @property
    def listed(self) -> Index | None:
        """INDX as it stands in the file, None before it came or where it is damaged."""
        return self._assembler.listed

    @property
    def totals(self) -> Totals | None:
        """Content of ENDS, None before it came."""
        return self._assembler.totals

    def __iter__(self) -> Iterator[Item]:
        resync = self._recover and self._source.size is not None
        for status in walk(self._source, self._assembler, resync):
            if status.error is not None:
                self._note(status.error)
            elif status.item is not None:
                yield status.item

    def _note(self, error: BitstreamError) -> None:
        if not self._recover or isinstance(error, UnsupportedError):
            raise error
        self.problems.append(error)


def read_head(source: Source) -> tuple[int, Chunk]:
    """Read the preamble and the HEAD chunk; return the file's version and the chunk.

    Raises:
        NotMvt, UnsupportedVersion, Truncated, ChunkCrcError, MissingHeader.
    """
    version = read_preamble(source)
    offset = source.pos
    try:
        chunk = read_chunk(source)
    except (Truncated, UnsupportedError):
        raise
    except CorruptError as error:
        error.message = f"the header is lost: {error.message}"
        raise
    if chunk is None:
        raise Truncated("the file ends before its header; finish the download", offset)
    if chunk.tag != b"HEAD":
        raise MissingHeader("the first chunk is not HEAD; get another copy of the file", offset)
    return version, chunk


def read_header(stream: BinaryIO) -> Header:
    """Read only the header from the start of a binary stream.

    Raises:
        NotMvt, UnsupportedVersion, Truncated, ChunkCrcError, MissingHeader and what Header raises.
    """
    version, chunk = read_head(Source(stream))
    return Header.parse(chunk.payload, chunk.base, version)
