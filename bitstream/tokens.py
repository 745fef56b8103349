"""Token grids <-> segment payloads, for the coders that need no network.

A payload is u32 CRC-32 of the tokens (as little-endian uint32 in C order), then the coder's own
bytes. The CRC turns a wrong table, a diverging prior or any damage that passed unseen into an
error in place of a wrong picture.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .bitpack import Bits, Tokens, pack_tokens, split_bits, unpack_tokens
from .caps import MAX_SEGMENT_TOKENS
from .contexts import code_frames, code_tokens
from .entropy import BitDecoder, BitEncoder
from .errors import BadTokens, CapExceeded, UnknownCoder, WrongTable
from .header import CODER_RAW, CODER_TABLE, Header
from .table import StaticTable, Statistics

__all__ = [
    "check_plausible",
    "check_table",
    "checked_frames",
    "decode_frames",
    "decode_tokens",
    "encode_tokens",
    "open_payload",
    "seal_payload",
    "tokens_crc",
]

_Contexts: TypeAlias = npt.NDArray[np.int64]

# Bits that one byte of range-coder payload can hold at most: a bit costs at least
# -log2(65504 / 65536) = 1 / 1419.2 bits, so 8 * 1419.2 = 11354, rounded up.
_BITS_PER_BYTE = 11400


def tokens_crc(tokens: Tokens, before: int = 0) -> int:
    """CRC-32 of tokens as little-endian uint32 in C order, going on from that of those before."""
    return zlib.crc32(np.ascontiguousarray(tokens, "<u4").data, before)


def seal_payload(tokens: Tokens, body: bytes) -> bytes:
    """Put the tokens' CRC before a coder's bytes."""
    return struct.pack("<I", tokens_crc(tokens)) + body


def open_payload(payload: bytes) -> tuple[int, bytes]:
    """Split a payload into the tokens' CRC and the coder's bytes; BadTokens below 4 bytes."""
    if len(payload) < 4:
        raise BadTokens("a token payload has no checksum; get another copy of the file")
    return struct.unpack_from("<I", payload)[0], payload[4:]


def check_plausible(body: bytes, shape: tuple[int, int, int], token_bits: int) -> None:
    """Refuse a grid that a range coder's bytes cannot hold, before memory is taken for it.

    Raises:
        CapExceeded: more tokens than a segment may have.  BadTokens: too few bytes.
    """
    if _count(shape) * token_bits > (len(body) + 8) * _BITS_PER_BYTE:
        raise BadTokens("an entropy payload is too short; get another copy of the file")


def checked_frames(frames: Iterable[Tokens], crc: int) -> Iterator[Tokens]:
    """Pass on each latent frame's tokens, uint32 [H', W'].

    Raises BadTokens after the last where they do not have the payload's CRC.
    """
    seen = 0
    for frame in frames:
        seen = tokens_crc(frame, seen)
        yield frame
    if seen != crc:
        raise BadTokens("tokens do not match their checksum; get another copy of the file")


def encode_tokens(
    tokens: Tokens,
    coder: int,
    table: StaticTable | None = None,
    qp: int = 0,
    token_bits: int = 18,
) -> bytes:
    """Code one segment's tokens.

    Args:
        tokens: uint32 [T', H', W'], each below 2^token_bits.
        coder: CODER_RAW or CODER_TABLE.
        table: needed by CODER_TABLE.
        qp: the segment's qp 0..63; CODER_TABLE picks statistics by it.
        token_bits: bits of one token.

    Raises:
        UnknownCoder: another coder.  WrongTable: no table, or one for other token bits.
        ValueError: tokens do not fit.
    """
    tokens = np.ascontiguousarray(tokens, np.uint32)
    if tokens.ndim != 3 or not tokens.size:
        raise ValueError(f"tokens have shape {tokens.shape}; pass [T', H', W'] with no zero")
    if int(tokens.max()) >> token_bits:
        raise ValueError(f"a token is above 2^{token_bits}-1; give the header more token bits")
    if coder == CODER_RAW:
        return seal_payload(tokens, pack_tokens(tokens, token_bits))
    statistics = Statistics(_need_table(coder, table, token_bits), qp)
    planes = split_bits(tokens, token_bits)
    encoder = BitEncoder()

    def push(bit: int, place: tuple[int, slice, slice], contexts: _Contexts) -> Bits:
        bits = np.ascontiguousarray(planes[bit][place]).reshape(-1)
        encoder.push(bits, statistics.p1(bit, contexts))
        statistics.learn(bit, contexts, bits)
        return bits

    code_tokens(tokens.shape, token_bits, push)
    return seal_payload(tokens, encoder.finish())


def decode_tokens(
    payload: bytes,
    shape: tuple[int, int, int],
    coder: int,
    table: StaticTable | None = None,
    qp: int = 0,
    token_bits: int = 18,
) -> Tokens:
    """Decode one segment's tokens to uint32 [T', H', W'] = shape; arguments as for encoding.

    Raises:
        BadTokens: the payload is damaged, or was made with other settings.
        CapExceeded: more tokens than a segment may have.
        UnknownCoder: another coder.  WrongTable: no table, or one for other token bits.
    """
    return np.stack(list(decode_frames(payload, shape, coder, table, qp, token_bits)))


def decode_frames(
    payload: bytes,
    shape: tuple[int, int, int],
    coder: int,
    table: StaticTable | None = None,
    qp: int = 0,
    token_bits: int = 18,
) -> Iterator[Tokens]:
    """As `decode_tokens`, one latent frame uint32 [H', W'] after the other.

    Damage may show after frames that were given: only the last one's checksum proves them right.
    """
    crc, body = open_payload(payload)
    frames: Iterable[Tokens]
    if coder == CODER_RAW:
        frames = unpack_tokens(body, _count(shape), token_bits).reshape(shape)
    else:
        statistics = Statistics(_need_table(coder, table, token_bits), qp)
        check_plausible(body, shape, token_bits)
        frames = _pull_frames(body, shape, token_bits, statistics)
    yield from checked_frames(frames, crc)


def check_table(header: Header, table: StaticTable | None) -> None:
    """Refuse a table other than the one a file of CODER_TABLE names.

    Raises:
        WrongTable: the message names the table that is wanted.
    """
    if header.coder == CODER_TABLE and (table is None or table.sha256 != header.prior_sha256):
        wanted = f"{header.prior!r} (SHA-256 {header.prior_sha256.hex()[:16]}...)"
        raise WrongTable(f"the file was made with table {wanted}; install the version that has it")


def _count(shape: tuple[int, int, int]) -> int:
    count = shape[0] * shape[1] * shape[2]
    if count > MAX_SEGMENT_TOKENS:
        raise CapExceeded(f"{count} tokens are above {MAX_SEGMENT_TOKENS}; get another copy")
    return count


def _pull_frames(
    body: bytes, shape: tuple[int, int, int], token_bits: int, statistics: Statistics
) -> Iterator[Tokens]:
    decoder = BitDecoder(body)

    def pull(bit: int, _place: tuple[int, slice, slice], contexts: _Contexts) -> Bits:
        bits = decoder.pull(statistics.p1(bit, contexts))
        statistics.learn(bit, contexts, bits)
        return bits

    yield from islice(code_frames(shape[1:], token_bits, pull), shape[0])
    decoder.finish()


def _need_table(coder: int, table: StaticTable | None, token_bits: int) -> StaticTable:
    if coder != CODER_TABLE:
        raise UnknownCoder(f"entropy coder {coder} needs its own model; update nvcodec")
    if table is None or table.token_bits != token_bits:
        raise WrongTable(f"the table coder needs a table for {token_bits} bits; load the right one")
    return table
