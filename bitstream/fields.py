"""Little-endian fields: packing helpers and a cursor that never reads past its end.

Varints are LEB128 (7 bits a byte, low group first, top bit = more follows), at most 10 bytes and
below 2^64, and must be minimal so that every value has exactly one encoding. Signed varints are
zigzag-mapped first: 0, -1, 1, -2, ... -> 0, 1, 2, 3, ...
"""

from __future__ import annotations

import struct

from .errors import BitstreamError

__all__ = ["I64_MAX", "I64_MIN", "Cursor", "pack_str8", "pack_svarint", "pack_varint"]

I64_MIN = -(2**63)
I64_MAX = 2**63 - 1

_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_I64 = struct.Struct("<q")


def pack_varint(value: int) -> bytes:
    """Encode 0 <= value < 2^64 as a minimal LEB128 varint of 1..10 bytes; ValueError outside."""
    if not 0 <= value < 2**64:
        raise ValueError(f"varint value {value} is outside 0..2^64-1")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def pack_svarint(value: int) -> bytes:
    """Encode a signed 64-bit integer as a zigzag varint; ValueError outside its range."""
    if not I64_MIN <= value <= I64_MAX:
        raise ValueError(f"signed varint value {value} does not fit 64 bits")
    return pack_varint(value << 1 if value >= 0 else (-value << 1) - 1)


def pack_str8(text: str) -> bytes:
    """Encode text as u8 length + UTF-8; ValueError above 255 bytes."""
    raw = text.encode("utf-8")
    if len(raw) > 255:
        raise ValueError(f"string of {len(raw)} bytes does not fit a u8 length")
    return bytes([len(raw)]) + raw


class Cursor:
    """Reads fields of one payload in order; any overrun raises the error class it was given.

    Args:
        data: the payload.
        error: class raised for every fault found here, so that a fault names its chunk kind.
        what: name used in messages, such as "SEGM".
        base: offset of data[0] in the file, for messages.
    """

    def __init__(
        self, data: bytes, error: type[BitstreamError], what: str, base: int | None
    ) -> None:
        self.data = data
        self.pos = 0
        self._error = error
        self._what = what
        self._base = base

    def fail(self, message: str) -> BitstreamError:
        """Return (not raise) this payload's error at the current position."""
        at = None if self._base is None else self._base + self.pos
        return self._error(f"{self._what}: {message}; get another copy of the file", at)

    @property
    def remaining(self) -> int:
        """Bytes left."""
        return len(self.data) - self.pos

    def take(self, count: int) -> bytes:
        """Return the next count bytes; fails before any copy when fewer remain."""
        if count > self.remaining:
            raise self.fail(f"needs {count} bytes where {self.remaining} remain")
        start = self.pos
        self.pos += count
        return self.data[start : self.pos]

    def rest(self) -> bytes:
        """Return all remaining bytes."""
        return self.take(self.remaining)

    def finish(self) -> None:
        """Fail unless every byte was read."""
        if self.remaining:
            raise self.fail(f"{self.remaining} bytes follow its last field")

    def u8(self) -> int:
        """Unsigned 8-bit integer."""
        return self.take(1)[0]

    def u16(self) -> int:
        """Unsigned 16-bit integer."""
        return int(_U16.unpack(self.take(2))[0])

    def u32(self) -> int:
        """Unsigned 32-bit integer."""
        return int(_U32.unpack(self.take(4))[0])

    def u64(self) -> int:
        """Unsigned 64-bit integer."""
        return int(_U64.unpack(self.take(8))[0])

    def i64(self) -> int:
        """Signed 64-bit integer."""
        return int(_I64.unpack(self.take(8))[0])

    def varint(self) -> int:
        """Minimal LEB128 varint below 2^64."""
        data, pos = self.data, self.pos
        value = 0
        for shift in range(0, 70, 7):
            if pos >= len(data):
                raise self.fail("ends inside a varint")
            byte = data[pos]
            pos += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value >= 2**64 or (byte == 0 and shift):
                    raise self.fail("has a varint that is not minimal or above 64 bits")
                self.pos = pos
                return value
        raise self.fail("has a varint longer than 10 bytes")

    def svarint(self) -> int:
        """Zigzag varint in the signed 64-bit range."""
        raw = self.varint()
        return -((raw + 1) >> 1) if raw & 1 else raw >> 1

    def str8(self, cap: int, least: int = 0) -> str:
        """u8 length + UTF-8 text of least..cap bytes without control characters."""
        size = self.u8()
        if not least <= size <= cap:
            raise self.fail(f"has a string of {size} bytes where {least}..{cap} are allowed")
        try:
            text = self.take(size).decode("utf-8")
        except UnicodeDecodeError:
            raise self.fail("has a string that is not UTF-8") from None
        if not text.isprintable():
            raise self.fail("has a string with control characters")
        return text
