"""Small streams and token grids that the bitstream tests share."""

from __future__ import annotations

import io

import numpy as np
from hypothesis import settings

from bitstream import (
    CODER_RAW,
    AudioPackets,
    AudioStream,
    Header,
    Packet,
    Segment,
    Writer,
    encode_tokens,
)

# Deadlines would fail on a busy machine, not on a fault.
QUICK = settings(max_examples=50, deadline=None)

META = {"title": "Größe", "chapters": [0, 1.5]}


def make_header(**changes):
    values = {
        "width": 30,
        "height": 14,
        "padded_width": 32,
        "padded_height": 16,
        "fps_num": 30,
        "fps_den": 1,
        "time_base_num": 1,
        "time_base_den": 90000,
        "model": "tiny",
        "model_sha256": bytes(range(32)),
        "keyint": 9,
    }
    return Header(**(values | changes))


def make_tokens(shape, seed=0, bits=18, noise=0.1):
    """Tokens with structure in space and time: blocks that drift, and bits that flip at random."""
    rng = np.random.default_rng(seed)
    frames, height, width = shape
    blocks = rng.integers(0, 1 << bits, (height // 3 + 2, width // 3 + 2), dtype=np.uint32)
    large = blocks.repeat(3, 0).repeat(3, 1)
    grid = np.stack([np.roll(large, t // 3, 1)[:height, :width] for t in range(frames)])
    for bit in range(bits):
        grid ^= (rng.random(shape) < noise).astype(np.uint32) << np.uint32(bit)
    return grid


def make_audio():
    config = AudioStream(0, "aac", 1, 48000, 48000, 2, "stereo", "eng", b"\x11\x90")
    first = AudioPackets(0, (Packet(b"abc", 0, None, 1024), Packet(b"", 1024, 1020, 0, False)))
    second = AudioPackets(0, (Packet(b"de", 2048, None, 1024),))
    return config, first, second


def make_segments(header, count=3, table=None):
    segments = []
    for number in range(count):
        start = number * 27000
        pts = tuple(start + 3000 * k + (k == 4 and number == 1) for k in range(9))
        shape = header.token_shape(len(pts))
        tokens = make_tokens(shape, number, header.token_bits)
        qp = 20 * number
        payload = encode_tokens(tokens, header.coder, table, qp, header.token_bits)
        segments.append(Segment(pts, payload, qp, 3000))
    return segments


def make_file(header=None, count=3, table=None):
    """Bytes of a stream with META, audio between the segments and count segments."""
    header = header or make_header(coder=CODER_RAW)
    sink = io.BytesIO()
    with Writer(sink, header) as writer:
        writer.write_meta(META)
        config, *batches = make_audio()
        writer.write_audio(config)
        for number, segment in enumerate(make_segments(header, count, table)):
            writer.write_segment(segment)
            if number < len(batches):
                writer.write_audio(batches[number])
    return sink.getvalue()


class Pipe:
    """A readable pipe: cannot seek, and gives a few bytes at a time."""

    def __init__(self, data, step=7):
        self._stream = io.BytesIO(data)
        self._step = step

    def seekable(self):
        return False

    def read(self, count=-1):
        return self._stream.read(min(count, self._step))
