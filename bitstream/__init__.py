"""The `.mvt` container and its token coders: bytes only, no video and no networks.

Writing, to anything with write():

    header = Header(width=640, height=360, padded_width=640, padded_height=360, ...)
    with Writer(sink, header) as writer:
        writer.write_meta({"title": "..."})
        writer.write_segment(Segment(pts, encode_tokens(tokens, header.coder), qp=20))

Reading by index, and front to back:

    with Reader("film.mvt") as reader:
        segment = reader.read_segment(reader.find(pts))
        shape = reader.header.token_shape(segment.frame_count, segment.spacing)
        tokens = decode_tokens(segment.payload, shape, reader.header.coder)

    for item in StreamReader(sys.stdin.buffer): ...

`scan` tells the state of every chunk. FORMAT.md in this folder is the byte layout; errors.py shows
the error tree. The container needs the standard library only; numpy and constriction are imported
on the first use of a token function, so that reading a header stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .assemble import Item, Meta
from .audio import AudioPackets, AudioStream, Packet
from .chunks import VERSION
from .errors import (
    BadAudio,
    BadHeader,
    BadIndex,
    BadMeta,
    BadSegment,
    BadTable,
    BadTokens,
    BitstreamError,
    CapExceeded,
    ChunkCrcError,
    CorruptError,
    DuplicateHeader,
    MissingHeader,
    NotMvt,
    TrailingData,
    Truncated,
    UnknownChunk,
    UnknownCoder,
    UnsupportedError,
    UnsupportedVersion,
    WrongTable,
)
from .header import BACKGROUNDS, CODER_LEARNED, CODER_NAMES, CODER_RAW, CODER_TABLE, Header
from .index import AudioEntry, Index, SegmentEntry, Totals
from .losses import LostSegment, lost_between, lost_entry
from .reader import Reader
from .scan import ChunkStatus, scan
from .segment import Segment
from .stream import StreamReader, read_header
from .writer import Writer

if TYPE_CHECKING:
    from .background import (
        MAX_LEVEL,
        MAX_STEP,
        MAX_TURNS,
        Background,
        Plane,
        background_of,
        plane_sizes,
    )
    from .bitpack import join_bits, pack_tokens, split_bits, unpack_tokens
    from .camera import MAX_MOVE, is_plausible
    from .contexts import code_frames, code_tokens
    from .entropy import BitDecoder, BitEncoder
    from .table import Counts, StaticTable, Statistics, count_contexts
    from .tokens import (
        check_plausible,
        check_table,
        checked_frames,
        decode_frames,
        decode_tokens,
        encode_tokens,
        open_payload,
        seal_payload,
    )

_LAZY = {
    "Background": "background",
    "MAX_LEVEL": "background",
    "MAX_MOVE": "camera",
    "is_plausible": "camera",
    "MAX_STEP": "background",
    "MAX_TURNS": "background",
    "Plane": "background",
    "background_of": "background",
    "plane_sizes": "background",
    "BitDecoder": "entropy",
    "BitEncoder": "entropy",
    "Counts": "table",
    "StaticTable": "table",
    "Statistics": "table",
    "check_plausible": "tokens",
    "check_table": "tokens",
    "checked_frames": "tokens",
    "code_frames": "contexts",
    "code_tokens": "contexts",
    "count_contexts": "table",
    "decode_frames": "tokens",
    "decode_tokens": "tokens",
    "encode_tokens": "tokens",
    "join_bits": "bitpack",
    "open_payload": "tokens",
    "pack_tokens": "bitpack",
    "seal_payload": "tokens",
    "split_bits": "bitpack",
    "unpack_tokens": "bitpack",
}

__all__ = [
    "BACKGROUNDS",
    "CODER_LEARNED",
    "CODER_NAMES",
    "CODER_RAW",
    "CODER_TABLE",
    "MAX_LEVEL",
    "MAX_MOVE",
    "MAX_STEP",
    "MAX_TURNS",
    "VERSION",
    "AudioEntry",
    "AudioPackets",
    "AudioStream",
    "Background",
    "BadAudio",
    "BadHeader",
    "BadIndex",
    "BadMeta",
    "BadSegment",
    "BadTable",
    "BadTokens",
    "BitDecoder",
    "BitEncoder",
    "BitstreamError",
    "CapExceeded",
    "ChunkCrcError",
    "ChunkStatus",
    "CorruptError",
    "Counts",
    "DuplicateHeader",
    "Header",
    "Index",
    "Item",
    "LostSegment",
    "Meta",
    "MissingHeader",
    "NotMvt",
    "Packet",
    "Plane",
    "Reader",
    "Segment",
    "SegmentEntry",
    "StaticTable",
    "Statistics",
    "StreamReader",
    "Totals",
    "TrailingData",
    "Truncated",
    "UnknownChunk",
    "UnknownCoder",
    "UnsupportedError",
    "UnsupportedVersion",
    "Writer",
    "WrongTable",
    "background_of",
    "check_plausible",
    "check_table",
    "checked_frames",
    "code_frames",
    "code_tokens",
    "count_contexts",
    "decode_frames",
    "decode_tokens",
    "encode_tokens",
    "is_plausible",
    "join_bits",
    "lost_between",
    "lost_entry",
    "open_payload",
    "pack_tokens",
    "plane_sizes",
    "read_header",
    "scan",
    "seal_payload",
    "split_bits",
    "unpack_tokens",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
