"""Every way a `.mvt` stream can be refused, as one tree.

    BitstreamError
    ├── CorruptError            the bytes are damaged or hostile (command line: exit 3)
    │   ├── NotMvt              the magic bytes are not those of a .mvt file
    │   ├── Truncated           the stream stops before its ENDS chunk, or inside a chunk
    │   ├── TrailingData        bytes follow the ENDS chunk
    │   ├── ChunkCrcError       a chunk does not match its CRC-32
    │   ├── CapExceeded         a size or count is above its fixed cap
    │   ├── MissingHeader       the first chunk is not HEAD
    │   ├── DuplicateHeader     a second HEAD chunk
    │   ├── BadHeader           a HEAD field is out of range
    │   ├── BadSegment          a SEGM chunk's fields are out of range
    │   ├── BadAudio            an AUDI chunk's fields are out of range
    │   ├── BadMeta             META is not one JSON object
    │   ├── BadIndex            INDX or ENDS contradict themselves or the file
    │   ├── BadTokens           a token payload does not decode to the tokens it was made from
    │   └── BadTable            a context-table file is damaged
    └── UnsupportedError        the bytes are whole, this build cannot use them (exit 4)
        ├── UnsupportedVersion  the file asks for a newer reader
        ├── UnknownChunk        a critical chunk of an unknown kind
        ├── UnknownCoder        an entropy coder this build does not have
        └── WrongTable          the file was made with another context table

Messages are one line and end with the remedy; `offset` is the byte of the file where the fault
was seen, or None where no file is involved.
"""

from __future__ import annotations

__all__ = [
    "BadAudio",
    "BadHeader",
    "BadIndex",
    "BadMeta",
    "BadSegment",
    "BadTable",
    "BadTokens",
    "BitstreamError",
    "CapExceeded",
    "ChunkCrcError",
    "CorruptError",
    "DuplicateHeader",
    "MissingHeader",
    "NotMvt",
    "TrailingData",
    "Truncated",
    "UnknownChunk",
    "UnknownCoder",
    "UnsupportedError",
    "UnsupportedVersion",
    "WrongTable",
]


class BitstreamError(Exception):
    """Base of every error about the content of a stream.

    Args:
        message: one line that names the remedy.
        offset: byte position in the file, None when unknown.
    """

    def __init__(self, message: str, offset: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset

    def __str__(self) -> str:
        return self.message if self.offset is None else f"{self.message} (at byte {self.offset})"


class CorruptError(BitstreamError):
    """The bytes are damaged or hostile; another copy of the file may be whole."""


class UnsupportedError(BitstreamError):
    """The bytes are whole, but need a newer build or other weights."""


class NotMvt(CorruptError):
    """The magic bytes are missing."""


class Truncated(CorruptError):
    """The stream stops early."""


class TrailingData(CorruptError):
    """Bytes follow ENDS."""


class ChunkCrcError(CorruptError):
    """A chunk does not match its CRC-32.

    Args:
        message, offset: as for all.
        tag, payload: what the chunk begins with, damaged somewhere; the payload of segments only.
    """

    def __init__(
        self, message: str, offset: int | None = None, tag: bytes = b"", payload: bytes = b""
    ) -> None:
        super().__init__(message, offset)
        self.tag = tag
        self.payload = payload


class CapExceeded(CorruptError):
    """A size or count is above its cap; nothing was allocated for it."""


class MissingHeader(CorruptError):
    """The first chunk is not HEAD."""


class DuplicateHeader(CorruptError):
    """A second HEAD chunk."""


class BadHeader(CorruptError):
    """A HEAD field is out of range."""


class BadSegment(CorruptError):
    """A SEGM field is out of range."""


class BadAudio(CorruptError):
    """An AUDI field is out of range."""


class BadMeta(CorruptError):
    """META is not one JSON object of at most 64 KiB."""


class BadIndex(CorruptError):
    """INDX or ENDS contradict themselves or the file."""


class BadTokens(CorruptError):
    """A token payload does not decode to the tokens it was made from."""


class BadTable(CorruptError):
    """A context-table file is damaged."""


class UnsupportedVersion(UnsupportedError):
    """The file asks for a newer reader."""


class UnknownChunk(UnsupportedError):
    """A critical chunk of an unknown kind."""


class UnknownCoder(UnsupportedError):
    """An entropy coder this build does not have."""


class WrongTable(UnsupportedError):
    """The file was made with another context table."""
