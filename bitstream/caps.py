"""The fixed limits of the format; every one is checked before memory is taken for it."""

from __future__ import annotations

__all__ = [
    "CHUNK_CAPS",
    "DEFAULT_CHUNK_CAP",
    "MAX_AUDIO_STREAMS",
    "MAX_DIMENSION",
    "MAX_EXTRADATA",
    "MAX_ID_BYTES",
    "MAX_INDEX_AUDIO",
    "MAX_PACKETS",
    "MAX_PTS",
    "MAX_QP",
    "MAX_SEGMENTS",
    "MAX_SEGMENT_FRAMES",
    "MAX_SEGMENT_TOKENS",
    "SPACINGS",
]

MAX_DIMENSION = 16384
MAX_SEGMENT_FRAMES = 65536
# 2^24 tokens are 64 MiB as uint32: one 16384x16384 picture at stride 4, or 500 frames of 4K.
MAX_SEGMENT_TOKENS = 1 << 24
MAX_SEGMENTS = 1 << 18
MAX_INDEX_AUDIO = 1 << 18
MAX_QP = 63
# Frames from one coded frame to the next; files hold the place in this list. Below 1, pictures that
# nobody is shown are coded between frames.
SPACINGS = (1, 2, 4, 0.5)
# Keeps every difference of two timestamps inside 64 bits.
MAX_PTS = 1 << 62
MAX_ID_BYTES = 32
MAX_AUDIO_STREAMS = 32
MAX_PACKETS = 4096
MAX_EXTRADATA = 1 << 20

CHUNK_CAPS = {
    b"HEAD": 1024,
    b"SEGM": 64 << 20,
    b"AUDI": 16 << 20,
    b"META": 64 << 10,
    b"INDX": 16 << 20,
    b"ENDS": 64,
}
DEFAULT_CHUNK_CAP = 64 << 20
