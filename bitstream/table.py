"""Probabilities of the table coder: trained per context, refined by what the segment shows.

A table holds, for every qp bucket, bit and context, P(bit = 1) in 1/65536. While a segment is
coded each context counts its bits, and its probability is

    (strength * table + 65536 * ones) // (strength + seen)   clamped to 32..65504

with the counts zero at the segment's start. Integers only: the same on every machine.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from os import PathLike
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .bitpack import Bits, Tokens, split_bits
from .caps import MAX_ID_BYTES, MAX_QP
from .contexts import CONTEXTS, INTRA_CONTEXTS, QP_BUCKETS, code_tokens, qp_bucket
from .entropy import PROBABILITY_ONE
from .errors import BadTable
from .fields import Cursor, pack_str8

__all__ = ["PROBABILITY_MIN", "Counts", "StaticTable", "Statistics", "count_contexts"]

# A certain bit costs 0.0007 bits at this clamp: a static token about 1/80 bit.
PROBABILITY_MIN = 32
STRENGTH = 24
_MAGIC = b"MVTTABLE"
_FORMAT = 1
_FILE_CAP = 16 << 20
# Weight of a coarser context's estimate, in bits seen.
_BACKOFF = 8.0


class Counts:
    """Training counts of a table: how often each context saw a 0 and a 1.

    Attributes:
        values: int64 [QP_BUCKETS, token_bits, CONTEXTS, 2]; counts of several runs may be added.
    """

    def __init__(self, token_bits: int = 18) -> None:
        self.token_bits = token_bits
        self.values = np.zeros((QP_BUCKETS, token_bits, CONTEXTS, 2), np.int64)


def count_contexts(tokens: Tokens, qp: int, counts: Counts) -> None:
    """Add one segment's tokens, uint32 [T', H', W'], coded at qp 0..63, to counts."""
    planes = split_bits(tokens, counts.token_bits)
    bucket = counts.values[qp_bucket(qp)]

    def visit(bit: int, place: tuple[int, slice, slice], contexts: npt.NDArray[np.int64]) -> Bits:
        bits = np.ascontiguousarray(planes[bit][place]).reshape(-1)
        seen = np.bincount(contexts * 2 + bits, minlength=CONTEXTS * 2)
        bucket[bit] += seen.reshape(CONTEXTS, 2)
        return bits

    code_tokens(tokens.shape, counts.token_bits, visit)


class StaticTable:
    """A trained table.

    Args:
        name: id written to file headers, 1..32 bytes of printable text.
        p1: uint16 [QP_BUCKETS, token_bits, CONTEXTS], each 32..65504.
        strength: bits a segment must show in a context to weigh as much as the table, 1..4096.

    Raises:
        BadTable: shape, values, name or strength are out of range.
    """

    def __init__(self, name: str, p1: npt.NDArray[np.uint16], strength: int = STRENGTH) -> None:
        if p1.ndim != 3 or (p1.shape[0], p1.shape[2]) != (QP_BUCKETS, CONTEXTS):
            raise _bad(f"shape {p1.shape} does not fit this version's contexts")
        if not 1 <= p1.shape[1] <= 24:
            raise _bad(f"{p1.shape[1]} token bits, allowed are 1..24")
        if not 1 <= len(name.encode()) <= MAX_ID_BYTES or not name.isprintable():
            raise _bad(f"the id needs 1..{MAX_ID_BYTES} bytes of printable text")
        if not 1 <= strength <= 4096:
            raise _bad(f"strength is {strength}, allowed are 1..4096")
        if int(p1.min()) < PROBABILITY_MIN or int(p1.max()) > PROBABILITY_ONE - PROBABILITY_MIN:
            raise _bad("a probability is outside 32..65504")
        self.id = name
        self.p1 = p1
        self.strength = strength

    @property
    def token_bits(self) -> int:
        """Bits of one token."""
        return int(self.p1.shape[1])

    @property
    def sha256(self) -> bytes:
        """SHA-256 of the packed table; file headers carry it."""
        return hashlib.sha256(self.pack()).digest()

    @classmethod
    def from_counts(cls, name: str, counts: Counts, strength: int = STRENGTH) -> StaticTable:
        """Estimate a table; contexts rarely seen lean on all qp, then on coarser contexts."""
        pooled = counts.values.sum(0)
        # The vote alone in first frames; stir and the bit before in later ones.
        intra = _coarse(pooled[:, :INTRA_CONTEXTS], (13, 9), over=(2,))
        inter = _coarse(pooled[:, INTRA_CONTEXTS:], (63, 4, 4, 2), over=(1, 2))
        coarse = np.concatenate([intra, inter], axis=1)
        every_qp = _blend(pooled, coarse)
        p1 = np.stack([_blend(bucket, every_qp) for bucket in counts.values])
        scaled = np.rint(p1 * PROBABILITY_ONE)
        clamped = np.clip(scaled, PROBABILITY_MIN, PROBABILITY_ONE - PROBABILITY_MIN)
        return cls(name, clamped.astype(np.uint16), strength)

    def pack(self) -> bytes:
        """Return the table file's bytes."""
        head = _MAGIC + struct.pack("<BBH", _FORMAT, self.token_bits, self.strength)
        body = head + pack_str8(self.id) + self.p1.astype("<u2").tobytes()
        return body + struct.pack("<I", zlib.crc32(body))

    @classmethod
    def parse(cls, data: bytes) -> StaticTable:
        """Read a table file's bytes; BadTable where they are damaged or of another format."""
        if data[: len(_MAGIC)] != _MAGIC:
            raise _bad("not a table file")
        cursor = Cursor(data[:-4], BadTable, "table", 0)
        if zlib.crc32(cursor.data) != struct.unpack("<I", data[-4:])[0]:
            raise _bad("its CRC-32 is wrong")
        cursor.take(len(_MAGIC))
        if cursor.u8() != _FORMAT:
            raise _bad("its format is unknown to this version")
        token_bits, strength = cursor.u8(), cursor.u16()
        name = cursor.str8(MAX_ID_BYTES, least=1)
        raw = cursor.take(2 * QP_BUCKETS * token_bits * CONTEXTS)
        cursor.finish()
        p1 = np.frombuffer(raw, "<u2").reshape(QP_BUCKETS, token_bits, CONTEXTS)
        return cls(name, p1.astype(np.uint16), strength)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the table file."""
        Path(path).write_bytes(self.pack())

    @classmethod
    def load(cls, path: str | PathLike[str]) -> StaticTable:
        """Read a table file; OSError or BadTable."""
        with Path(path).open("rb") as file:
            data = file.read(_FILE_CAP + 1)
        if len(data) > _FILE_CAP:
            raise _bad(f"above {_FILE_CAP} bytes")
        return cls.parse(data)


def _coarse(
    counts: npt.NDArray[np.int64], parts: tuple[int, ...], over: tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """P(1) of [bits, C, 2] counts, C cut into parts and summed over some of them; [bits, C]."""
    split = counts.reshape(counts.shape[0], *parts, 2)
    summed = split.sum(over, keepdims=True)
    p1 = (summed[..., 1] + 0.5) / (summed.sum(-1) + 1.0)
    spread: npt.NDArray[np.float64] = np.broadcast_to(p1, split.shape[:-1])
    return spread.reshape(counts.shape[0], -1)


def _blend(
    counts: npt.NDArray[np.int64], prior: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    p1: npt.NDArray[np.float64] = (counts[..., 1] + _BACKOFF * prior) / (counts.sum(-1) + _BACKOFF)
    return p1


class Statistics:
    """Probabilities of one segment, refined while it is coded.

    Args:
        table: where they start.
        qp: the segment's qp 0..63.
    """

    def __init__(self, table: StaticTable, qp: int) -> None:
        if not 0 <= qp <= MAX_QP:
            raise ValueError(f"qp is {qp}, allowed are 0..{MAX_QP}")
        start = table.p1[qp_bucket(qp)].astype(np.int64)
        self._ones = start * table.strength
        self._seen = np.full(start.shape, table.strength, np.int64)

    def p1(self, bit: int, contexts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """P(1) in 1/65536, int64 [K], 32..65504, of one bit in int64 contexts [K]."""
        # Exact in float64: both are integers below 2^53, and a quotient that is no integer is
        # further from the next one than a rounding error, so truncation is floor division.
        quotient = self._ones[bit].take(contexts) / self._seen[bit].take(contexts)
        p1: npt.NDArray[np.int64] = quotient.astype(np.int64)
        np.maximum(p1, PROBABILITY_MIN, out=p1)
        return np.minimum(p1, PROBABILITY_ONE - PROBABILITY_MIN, out=p1)

    def learn(self, bit: int, contexts: npt.NDArray[np.int64], bits: Bits) -> None:
        """Count coded bits, uint8 [K], in their contexts."""
        split = contexts + bits * np.int64(CONTEXTS)
        zeros, ones = np.bincount(split, minlength=2 * CONTEXTS).reshape(2, CONTEXTS)
        self._seen[bit] += zeros + ones
        self._ones[bit] += ones * PROBABILITY_ONE


def _bad(message: str) -> BadTable:
    return BadTable(f"table: {message}; install nvcodec again")
