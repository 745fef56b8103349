"""Tokens <-> packed bits: the raw coder, and the bit planes that the other coders work on."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .errors import BadTokens

__all__ = ["Bits", "Tokens", "join_bits", "pack_tokens", "packed_size", "split_bits"]
__all__ += ["unpack_tokens"]

Tokens: TypeAlias = npt.NDArray[np.uint32]
Bits: TypeAlias = npt.NDArray[np.uint8]

# Tokens are widened to one byte a bit while packing; working in pieces bounds that.
_PIECE = 1 << 16


def split_bits(tokens: Tokens, token_bits: int) -> Bits:
    """Return the bits of uint32 tokens [...] as uint8 [token_bits, ...] in {0, 1}, bit 0 first."""
    shifts = np.arange(token_bits, dtype=np.uint32).reshape(-1, *[1] * tokens.ndim)
    return ((tokens[None] >> shifts) & np.uint32(1)).astype(np.uint8)


def join_bits(bits: Bits) -> Tokens:
    """Inverse of split_bits: uint8 [token_bits, ...] -> uint32 [...]."""
    tokens = np.zeros(bits.shape[1:], np.uint32)
    for number, plane in enumerate(bits):
        tokens |= plane.astype(np.uint32) << np.uint32(number)
    return tokens


def packed_size(count: int, token_bits: int) -> int:
    """Bytes that count packed tokens take."""
    return (count * token_bits + 7) // 8


def pack_tokens(tokens: Tokens, token_bits: int = 18) -> bytes:
    """Pack uint32 tokens below 2^token_bits, in C order, into bytes, least significant bit first.

    Raises:
        ValueError: a token does not fit.
    """
    flat = np.ascontiguousarray(tokens, np.uint32).reshape(-1)
    if flat.size and int(flat.max()) >> token_bits:
        raise ValueError(f"a token is above 2^{token_bits}-1; give the header more token bits")
    pieces = []
    for start in range(0, flat.size, _PIECE):
        bits = split_bits(flat[start : start + _PIECE], token_bits).T
        pieces.append(np.packbits(bits, bitorder="little").tobytes())
    return b"".join(pieces)


def unpack_tokens(payload: bytes, count: int, token_bits: int = 18) -> Tokens:
    """Inverse of pack_tokens: count tokens as uint32 [count].

    Raises:
        BadTokens: the payload has another length, or its padding bits are not zero.
    """
    size = packed_size(count, token_bits)
    if len(payload) != size:
        message = f"{len(payload)} bytes of packed tokens where {size} are needed"
        raise BadTokens(f"{message}; get another copy of the file")
    used = count * token_bits % 8
    if used and payload[-1] >> used:
        raise BadTokens("padding bits of packed tokens are set; get another copy of the file")
    tokens = np.empty(count, np.uint32)
    step = _PIECE * token_bits // 8
    for number, start in enumerate(range(0, count, _PIECE)):
        raw = np.frombuffer(payload[number * step : (number + 1) * step], np.uint8)
        here = min(_PIECE, count - start)
        bits = np.unpackbits(raw, count=here * token_bits, bitorder="little")
        tokens[start : start + here] = join_bits(bits.reshape(here, token_bits).T)
    return tokens
