"""A binary input that counts, never reads past what it was asked for, and never trusts a size."""

from __future__ import annotations

import os
from typing import BinaryIO

from .errors import Truncated

__all__ = ["Source"]

# Reading in pieces keeps a size field that lies from allocating more than the stream holds.
_PIECE = 1 << 20


class Source:
    """Wraps a binary stream opened for reading.

    Attributes:
        pos: offset of the next byte, counted from where the stream stood when it was wrapped.
        size: bytes in the stream, None where it cannot seek.
        bytes_read: bytes fetched so far.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._start = 0
        self.pos = 0
        self.bytes_read = 0
        self.size: int | None = None
        if stream.seekable():
            self._start = stream.tell()
            self.size = stream.seek(0, os.SEEK_END) - self._start
            stream.seek(self._start)

    @property
    def left(self) -> int | None:
        """Bytes from pos to the end, None where the stream cannot seek."""
        return None if self.size is None else max(0, self.size - self.pos)

    def seek(self, pos: int) -> None:
        """Go to a byte offset; seekable streams only."""
        self._stream.seek(self._start + pos)
        self.pos = pos

    def upto(self, count: int) -> bytes:
        """Return count bytes, or fewer where the stream ends."""
        parts: list[bytes] = []
        missing = count
        while missing > 0:
            part = self._stream.read(min(missing, _PIECE))
            if not part:
                break
            parts.append(part)
            missing -= len(part)
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        self.pos += len(data)
        self.bytes_read += len(data)
        return data

    def exact(self, count: int, what: str) -> bytes:
        """Return count bytes.

        Raises:
            Truncated: fewer remain; a seekable stream is refused before anything is read.
        """
        left = self.left
        if left is None or left >= count:
            data = self.upto(count)
            if len(data) == count:
                return data
        raise Truncated(f"the file ends inside {what}; finish the download or recover", self.pos)
