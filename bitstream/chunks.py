"""Chunk framing: 4-byte tag, u32 size, payload, u32 CRC-32 of the three before it."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from .caps import CHUNK_CAPS, DEFAULT_CHUNK_CAP
from .errors import (
    CapExceeded,
    ChunkCrcError,
    NotMvt,
    Truncated,
    UnknownChunk,
    UnsupportedVersion,
)
from .source import Source

__all__ = [
    "CHUNK_OVERHEAD",
    "MAGIC",
    "PREAMBLE_SIZE",
    "VERSION",
    "Chunk",
    "pack_chunk",
    "pack_preamble",
    "read_chunk",
    "read_preamble",
]

# As in PNG: the high bit catches 7-bit transfers, the line ends catch text-mode copies, and ^Z
# stops a listing on old terminals.
MAGIC = b"\x89MVT\r\n\x1a\n"
VERSION = 6
PREAMBLE_SIZE = len(MAGIC) + 2
CHUNK_OVERHEAD = 12

_HEAD = struct.Struct("<4sI")
_CRC = struct.Struct("<I")
# Of a damaged segment so much is kept: the times of some thousand frames.
_KEPT = 4096


@dataclass(frozen=True)
class Chunk:
    """One chunk whose CRC is right.

    Attributes:
        tag: 4 bytes.
        payload: its bytes; empty for skipped unknown chunks.
        offset: where its tag begins in the file.
        size: payload size in bytes.
    """

    tag: bytes
    payload: bytes
    offset: int
    size: int

    @property
    def base(self) -> int:
        """Offset of the payload in the file."""
        return self.offset + 8

    @property
    def is_skipped(self) -> bool:
        """True for an unknown optional chunk."""
        return self.tag not in CHUNK_CAPS

    @property
    def end(self) -> int:
        """Offset of the byte after the chunk."""
        return self.offset + self.size + CHUNK_OVERHEAD


def pack_preamble(version: int) -> bytes:
    """Return magic, version and the lowest reader version that can read the file: the same."""
    return MAGIC + bytes([version, version])


def read_preamble(source: Source) -> int:
    """Read magic and versions; return the file's version.

    Raises:
        NotMvt, Truncated, UnsupportedVersion.
    """
    magic = source.upto(len(MAGIC))
    if magic != MAGIC:
        if MAGIC.startswith(magic):
            raise Truncated("the file ends inside its magic bytes; get another copy", len(magic))
        raise NotMvt("not a .mvt file; pass a file made by nvcodec encode", 0)
    version, least = source.exact(2, "its version")
    if least > VERSION:
        message = f"the file needs format version {least}, this is {VERSION}; update nvcodec"
        raise UnsupportedVersion(message, 9)
    if not 1 <= least <= version:
        raise NotMvt("not a .mvt file: impossible version; get another copy", 8)
    return version


def pack_chunk(tag: bytes, payload: bytes) -> bytes:
    """Return the framed chunk.

    Raises:
        CapExceeded: the payload is above the cap of its tag.
    """
    cap = CHUNK_CAPS[tag]
    if len(payload) > cap:
        name = tag.decode()
        raise CapExceeded(f"{name}: {len(payload)} bytes are above {cap}; use shorter segments")
    body = _HEAD.pack(tag, len(payload)) + payload
    return body + _CRC.pack(zlib.crc32(body))


def read_chunk(source: Source) -> Chunk | None:
    """Read the next chunk and check its CRC; None at the end of the stream.

    Unknown optional chunks come back with an empty payload.

    Raises:
        Truncated, CapExceeded, ChunkCrcError; UnknownChunk for a whole chunk of an unknown
        critical tag.
    """
    offset = source.pos
    head = source.upto(_HEAD.size)
    if not head:
        return None
    if len(head) < _HEAD.size:
        raise Truncated("the file ends inside a chunk; finish the download or recover", offset)
    tag, size = _HEAD.unpack(head)
    name = tag.decode("ascii", "backslashreplace")
    cap = CHUNK_CAPS.get(tag, DEFAULT_CHUNK_CAP)
    if size > cap:
        message = f"chunk {name!r} claims {size} bytes, the cap is {cap}; get another copy"
        raise CapExceeded(message, offset)
    body = source.exact(size + _CRC.size, f"chunk {name!r}")
    crc = zlib.crc32(memoryview(body)[:size], zlib.crc32(head))
    if crc != _CRC.unpack_from(body, size)[0]:
        message = f"chunk {name!r} is damaged; get another copy or conceal"
        # Only a segment's content may be of use still: it can say when its frames are shown.
        payload = body[: min(size, _KEPT)] if tag == b"SEGM" else b""
        raise ChunkCrcError(message, offset, tag, payload)
    if tag in CHUNK_CAPS:
        return Chunk(tag, body[:size], offset, size)
    if not b"a" <= tag[:1] <= b"z":
        raise UnknownChunk(f"chunk {name!r} is unknown and critical; update nvcodec", offset)
    return Chunk(tag, b"", offset, size)
