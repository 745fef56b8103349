"""Damaged `.mvt` streams and what reading them must never do.

Whatever the bytes are: errors are those of bitstream/errors.py, one line each; time and memory stay
within what the input's size and the grid that its header names allow; a stream that one reader
takes, the other takes with the same content.
"""

from __future__ import annotations

import io
import random
import resource
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bitstream
from nvcodec.codec.damage import slots_of, stream_items
from tests.attacks.make_attacks import HERE as ATTACKS
from tests.attacks.make_attacks import TABLE, covered_file, make_header, whole_file

CORPUS = Path(__file__).parent / "corpus"
#: CPU seconds for each started 100 kB, and for each started 100,000 tokens of all grids.
SECONDS = 2.0
#: Peak memory beyond that of the grids, at so many bytes a token while it is decoded.
MEMORY, TOKEN_BYTES = 256 << 20, 160
#: (payload, shape, qp) -> tokens.
Decode = Callable[[bytes, tuple[int, int, int], int], Any]


class Fault(AssertionError):
    """Reading did what it must never do."""


@dataclass
class Reading:
    """What came of one input: the number of its tokens, and of coefficients of its backgrounds, and
    a short name for each way of reading."""

    tokens: int
    outcome: tuple[str, ...]


class Pipe(io.BytesIO):
    """A stream that cannot seek."""

    def seekable(self) -> bool:
        return False


def table_decoders() -> dict[bytes, Decode]:
    """Decoders, by the SHA-256 of their table, that load no torch."""

    def decode(payload: bytes, shape: tuple[int, int, int], qp: int) -> Any:
        return bitstream.decode_tokens(payload, shape, bitstream.CODER_TABLE, TABLE, qp,
                                       TABLE.token_bits)

    return {TABLE.sha256: decode}


def seeds() -> list[bytes]:
    """Whole streams of two coders, one with a background, every attack, and what earlier runs found
    to be new."""
    coded = make_header(coder=bitstream.CODER_TABLE, prior=TABLE.id, prior_sha256=TABLE.sha256)
    files = [*sorted((ATTACKS / "files").glob("*.mvt")), *sorted(CORPUS.glob("*.mvt"))]
    whole = [whole_file(), whole_file(coded), covered_file()]
    return [*whole, *(file.read_bytes() for file in files)]


# -- changing ----------------------------------------------------------------------------------


def mutate(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """A changed copy; every second one gets right CRCs again, so that parsers see the change."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        _edit(out, other, rng)
    return resealed(bytes(out)) if rng.random() < 0.5 else bytes(out)


def _edit(out: bytearray, other: bytes, rng: random.Random) -> None:
    place = rng.randrange(len(out) + 1)
    size = rng.choice((1, 1, 2, 4, 8, 64))
    match rng.randrange(8):
        case 0 | 1:
            if place < len(out):
                out[place] ^= 1 << rng.randrange(8)
        case 2:
            out[place:place + 1] = bytes([rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))])
        case 3:
            limit = rng.choice((0, 1, 2**16 - 1, 2**24 + 1, 2**31, 2**32 - 1))
            out[place:place + 4] = struct.pack("<I", limit)
        case 4:
            out[place:place] = rng.randbytes(size)
        case 5:
            del out[place:place + size]
        case 6:
            start = rng.randrange(len(other) + 1)
            out[place:place] = other[start:start + rng.randrange(200)]
        case 7:
            chunks = list(_chunks(bytes(out)))
            if chunks:
                a, b = rng.choice(chunks)
                out[place:place] = out[a:b]
                if rng.random() < 0.5:
                    del out[a:b]


def _chunks(data: bytes) -> Iterator[tuple[int, int]]:
    """Ranges of chunks as far as sizes lead to tags."""
    at = 10
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at + 4:at + 8], "little")
        if end > len(data):
            return
        yield at, end
        at = end


def resealed(data: bytes) -> bytes:
    """The same with the CRC of every chunk made right."""
    out = bytearray(data)
    for start, end in _chunks(data):
        out[end - 4:end] = struct.pack("<I", zlib.crc32(out[start:end - 4]))
    return bytes(out)


# -- reading -----------------------------------------------------------------------------------


def read_all_ways(data: bytes, decoders: dict[bytes, Decode]) -> Reading:
    """Read by index, as a pipe and by scan, strictly and recovering; decode what is found."""
    tokens = 0
    seen: dict[str, Any] = {}

    def segments_of(header: bitstream.Header, found: Any) -> list[Any]:
        nonlocal tokens
        kept = [item for item in found if isinstance(item, bitstream.Segment)]
        for segment in kept:
            shape = header.token_shape(segment.frame_count)
            tokens += shape[0] * shape[1] * shape[2]
            if background := bitstream.background_of(segment, header):
                tokens += sum(plane.levels.size for plane in background.planes)
            _decode(header, segment, shape, decoders)
        return kept

    def by_index(recover: bool) -> Any:
        reader = bitstream.Reader(io.BytesIO(data), recover)
        slots = slots_of(reader)
        if recover:
            return [slot.read().frame_count for slot in slots]
        return segments_of(reader.header, reader.iter_segments()), list(reader.audio()), reader.meta

    def by_pipe(recover: bool) -> Any:
        reader = bitstream.StreamReader(Pipe(data), recover)
        items = list(stream_items(reader))
        if recover:
            return len(items)
        sound = (bitstream.AudioStream, bitstream.AudioPackets)
        meta = next((i.values for i in items if isinstance(i, bitstream.Meta)), {})
        return segments_of(reader.header, items), [i for i in items if isinstance(i, sound)], meta

    ways: dict[str, Callable[[], Any]] = {
        "index": lambda: by_index(False), "index recovering": lambda: by_index(True),
        "pipe": lambda: by_pipe(False), "pipe recovering": lambda: by_pipe(True),
        "scan": lambda: len(list(bitstream.scan(io.BytesIO(data))))}
    outcome = tuple(_outcome(read, name, seen) for name, read in ways.items())
    if {"index", "pipe"} <= seen.keys() and seen["index"] != seen["pipe"]:
        raise Fault("the readers disagree on a stream that both take")
    return Reading(tokens, outcome)


def _decode(header: bitstream.Header, segment: bitstream.Segment, shape: tuple[int, int, int],
            decoders: dict[bytes, Decode]) -> None:
    if header.coder == bitstream.CODER_RAW:
        bitstream.decode_tokens(segment.payload, shape, header.coder, None, segment.qp,
                                header.token_bits)
    elif decode := decoders.get(header.prior_sha256):
        decode(segment.payload, shape, segment.qp)


def _outcome(read: Callable[[], Any], name: str, seen: dict[str, Any]) -> str:
    try:
        seen[name] = read()
    except bitstream.BitstreamError as error:
        if "\n" in str(error):
            raise Fault(f"an error of two lines: {error!r}") from error
        words = [w for w in error.message.split() if w.isalpha()]
        return f"{type(error).__name__} {' '.join(words[:4])}"
    return "read"


# -- measuring ---------------------------------------------------------------------------------


def measured(data: bytes, decoders: dict[bytes, Decode]) -> Reading:
    """As `read_all_ways`; Fault where it crashes, or takes too long or too much memory."""
    before, start = _peak(), time.process_time()
    try:
        reading = read_all_ways(data, decoders)
    except Fault:
        raise
    except Exception as error:
        raise Fault(f"{type(error).__name__}: {error}") from error
    seconds = time.process_time() - start
    allowed = SECONDS * (1 + len(data) // 100_000 + reading.tokens // 100_000)
    if seconds > allowed:
        raise Fault(f"{seconds:.1f} s of CPU for {len(data)} bytes, {reading.tokens} tokens")
    if _peak() - before > MEMORY + TOKEN_BYTES * reading.tokens:
        raise Fault(f"{(_peak() - before) >> 20} MiB for {reading.tokens} tokens")
    return reading


def _peak() -> int:
    """Most bytes this process has held; it only grows, so the first greedy input shows."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
