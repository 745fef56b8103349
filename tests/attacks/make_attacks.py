"""Makes the malformed streams of this folder and attacks.tsv, which says how each must be refused.

    python tests/attacks/make_attacks.py

Every file has right CRCs, save where the CRC is the fault, so that it reaches the check it is for.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bitstream import (
    BACKGROUNDS,
    CODER_TABLE,
    AudioPackets,
    AudioStream,
    Background,
    BitEncoder,
    Counts,
    Header,
    Packet,
    Plane,
    Segment,
    StaticTable,
    Writer,
    encode_tokens,
    plane_sizes,
    scan,
)
from bitstream.fields import pack_svarint, pack_varint
from bitstream.index import Totals

HERE = Path(__file__).parent
TABLE = StaticTable.from_counts("flat18", Counts())
TOKENS = np.arange(12, dtype=np.uint32).reshape(2, 2, 3) * 21845


def make_header(**changes: object) -> Header:
    """A valid header of 24x16 pixels."""
    values: dict[str, object] = {
        "width": 24,
        "height": 16,
        "padded_width": 24,
        "padded_height": 16,
        "fps_num": 25,
        "fps_den": 1,
        "time_base_num": 1,
        "time_base_den": 25,
        "model": "tiny",
        "model_sha256": bytes(range(32)),
        "keyint": 5,
    }
    return Header(**(values | changes))  # type: ignore[arg-type]


def whole_file(header: Header | None = None) -> bytes:
    """A valid stream: META, audio, two segments of five frames."""
    header = header or make_header()
    sink = io.BytesIO()
    with Writer(sink, header) as writer:
        writer.write_meta({"title": "attack"})
        writer.write_audio(AudioStream(0, "aac", 1, 48000, 48000, 2))
        writer.write_audio(AudioPackets(0, (Packet(b"sound", 0, None, 1024),)))
        for number in range(2):
            table = TABLE if header.coder == CODER_TABLE else None
            payload = encode_tokens(TOKENS + number, header.coder, table, 30)
            start = 5 * number
            writer.write_segment(Segment(tuple(range(start, start + 5)), payload, 30, 1))
    return sink.getvalue()


def framed(tag: bytes, payload: bytes, size: int | None = None) -> bytes:
    """A chunk with a right CRC, whatever its tag and size say."""
    body = tag + struct.pack("<I", len(payload) if size is None else size) + payload
    return body + struct.pack("<I", zlib.crc32(body))


FILE = whole_file()
PREAMBLE = FILE[:10]
CHUNKS = [(s.tag, FILE[s.offset : s.offset + s.size]) for s in scan(io.BytesIO(FILE))]
PAYLOADS = [(tag, data[8:-4]) for tag, data in CHUNKS]
HEAD, META, CONFIG, PACKETS, FIRST, SECOND, INDX, ENDS = (payload for _, payload in PAYLOADS)


def patched(payload: bytes, at: int, value: bytes) -> bytes:
    """Payload with some bytes replaced."""
    return payload[:at] + value + payload[at + len(value) :]


def rebuilt(**changes: bytes | None) -> bytes:
    """FILE with payloads replaced, or dropped where None, by tag and running number."""
    out, numbers = PREAMBLE, dict.fromkeys((tag for tag, _ in PAYLOADS), 0)
    for tag, payload in PAYLOADS:
        name = f"{tag.decode().lower()}{numbers[tag]}"
        numbers[tag] += 1
        content = changes.get(name, payload)
        if content is not None:
            out += framed(tag, content)
    return out


def inserted(after: int, chunk: bytes) -> bytes:
    """FILE with one more chunk after the first `after` chunks."""
    data = [data for _, data in CHUNKS]
    return PREAMBLE + b"".join([*data[:after], chunk, *data[after:]])


def damage_cases() -> Iterator[tuple[str, str, bytes]]:
    """Faults of the file and its framing."""
    yield "not_mvt", "NotMvt", b"\x89PNG\r\n\x1a\n" + FILE[8:]
    yield "not_mvt_text_mode", "NotMvt", FILE.replace(b"\r\n", b"\n")
    yield "empty", "Truncated", b""
    yield "cut_in_magic", "Truncated", FILE[:5]
    yield "cut_in_header", "Truncated", FILE[:60]
    yield "cut_in_segment", "Truncated", FILE[: len(FILE) - 150]
    yield "cut_before_end", "Truncated", FILE[:-48]
    lie = framed(b"SEGM", b"x", size=60 << 20)
    yield "size_beyond_the_file", "Truncated", PREAMBLE + CHUNKS[0][1] + lie
    yield "trailing_bytes", "TrailingData", FILE + b"\0"
    yield "two_files", "TrailingData", FILE + FILE
    yield "crc_of_header", "ChunkCrcError", FILE[:30] + b"\x55" + FILE[31:]
    place = FILE.index(b"SEGM") + 20
    yield "crc_of_segment", "ChunkCrcError", FILE[:place] + b"\x55" + FILE[place + 1 :]
    yield "crc_of_end", "ChunkCrcError", FILE[:-1] + bytes([FILE[-1] ^ 1])
    yield "version", "UnsupportedVersion", FILE[:8] + b"\x07\x07" + FILE[10:]
    yield "unknown_chunk", "UnknownChunk", inserted(4, framed(b"NEWS", b"critical"))


def header_cases() -> Iterator[tuple[str, str, bytes]]:
    """Faults of HEAD."""
    yield "no_header", "MissingHeader", PREAMBLE + b"".join(data for _, data in CHUNKS[1:])
    yield "two_headers", "DuplicateHeader", inserted(2, CHUNKS[0][1])
    for name, at, value, error in (
        ("header_width_zero", 0, b"\0\0", "BadHeader"),
        ("header_padding", 4, b"\x08\0", "BadHeader"),
        ("header_flags", 24, b"\x80", "BadHeader"),
        ("header_model_id", len(HEAD) - 70, b"\n", "BadHeader"),
        ("header_coder", len(HEAD) - 34, b"\x09", "UnknownCoder"),
        ("header_width_cap", 0, b"\xff\xff", "CapExceeded"),
        ("header_tokens_cap", 4, b"\0\x40\0\x40" + HEAD[8:40] + b"\1\1", "CapExceeded"),
    ):
        yield name, error, rebuilt(head0=patched(HEAD, at, value))
    yield "header_extra", "BadHeader", rebuilt(head0=HEAD + b"\0")
    second = FILE[:8] + b"\x02\x02"
    yield "header_spacing_absent", "BadHeader", second + FILE[10:]
    yield "header_spacing", "BadHeader", second + rebuilt(head0=HEAD + b"\3")[10:]
    third = rebuilt(head0=HEAD + b"\1\4")
    yield "header_density", "BadHeader", FILE[:8] + b"\x03\x03" + third[10:]
    fourth = rebuilt(head0=HEAD + b"\1\1\2")
    yield "header_backgrounds", "BadHeader", FILE[:8] + b"\x04\x04" + fourth[10:]
    fifth = rebuilt(head0=HEAD + b"\1\1\3")
    yield "header_backgrounds_of_later", "BadHeader", FILE[:8] + b"\x05\x05" + fifth[10:]
    sixth = rebuilt(head0=HEAD + b"\1\1\4")
    yield "header_backgrounds_of_none", "BadHeader", FILE[:8] + b"\x06\x06" + sixth[10:]
    other = make_header(coder=CODER_TABLE, prior="lost", prior_sha256=bytes(32))
    yield "wrong_table", "WrongTable", whole_file(other)


def without_configuration() -> bytes:
    """A stream, consistent but for audio packets whose stream was never configured."""
    sink = io.BytesIO()
    with Writer(sink, make_header()) as writer:
        writer._streams.add(0)
        writer.write_audio(AudioPackets(0, (Packet(b"sound", 0, None, 1024),)))
        writer.write_segment(Segment(tuple(range(5)), encode_tokens(TOKENS, 0), 30, 1))
    return sink.getvalue()


def content_cases() -> Iterator[tuple[str, str, bytes]]:
    """Faults of SEGM, AUDI and META."""
    for name, at, value, error in (
        ("segment_no_frames", 8, b"\0\0\0\0", "BadSegment"),
        ("segment_qp", 12, b"\x40", "BadSegment"),
        ("segment_flags", 13, b"\x02", "BadSegment"),
        ("segment_no_step", 15, b"\0", "BadSegment"),
        ("segment_frames_cap", 8, b"\xff\xff\xff\xff", "CapExceeded"),
    ):
        yield name, error, rebuilt(segm0=patched(FIRST, at, value))
    spaced = rebuilt(head0=HEAD + b"\2", segm0=patched(FIRST, 13, b"\4"))
    yield "segment_spacing", "BadSegment", FILE[:8] + b"\x02\x02" + spaced[10:]
    sparse = rebuilt(head0=HEAD + b"\2\1", segm0=patched(FIRST, 13, b"\6"))
    yield "segment_density", "BadSegment", FILE[:8] + b"\x03\x03" + sparse[10:]
    for name, allowed, size in (("", b"\0", b"\1"), ("_size", b"\1", pack_varint(2**40)),
                                ("_empty", b"\1", b"\0")):
        told = FIRST[:13] + b"\x08" + FIRST[14:16] + size + FIRST[16:]
        still = rebuilt(head0=HEAD + b"\1\1" + allowed, segm0=told)
        yield f"segment_background{name}", "BadSegment", FILE[:8] + b"\x04\x04" + still[10:]
    yield "segment_order", "BadIndex", rebuilt(segm0=SECOND, segm1=FIRST)
    yield "segment_size_cap", "CapExceeded", inserted(4, framed(b"SEGM", b"", size=2**32 - 1))
    yield "audio_kind", "BadAudio", rebuilt(audi0=b"\x07" + CONFIG[1:])
    yield "audio_no_configuration", "BadAudio", without_configuration()
    yield "audio_packet_size", "BadAudio", rebuilt(audi1=PACKETS[:-1])
    count = PACKETS[:2] + pack_varint(2**63)
    yield "audio_packets_cap", "CapExceeded", rebuilt(audi1=count)
    yield "meta_not_json", "BadMeta", rebuilt(meta0=b"{title")
    yield "meta_not_object", "BadMeta", rebuilt(meta0=b"[]")
    yield "meta_deep", "BadMeta", rebuilt(meta0=b"[" * 65000)
    yield "meta_twice", "BadMeta", inserted(2, CHUNKS[1][1])


def index_cases() -> Iterator[tuple[str, str, bytes]]:
    """Faults of INDX and ENDS."""
    yield "index_cap", "CapExceeded", rebuilt(indx0=pack_varint(0) + pack_varint(2**62))
    far = pack_varint(0) + pack_varint(1) + pack_varint(2**40) + pack_varint(9)
    far += pack_svarint(0) + pack_varint(5) + pack_varint(5) + b"\0\0"
    yield "index_beyond_the_file", "BadIndex", rebuilt(indx0=far)
    yield "index_empty", "BadIndex", rebuilt(indx0=b"\0\0\0")
    yield "index_missing", "BadIndex", rebuilt(indx0=None)
    totals = Totals.parse(ENDS)
    for name in ("frames", "segments", "audio_bytes", "file_bytes", "index_offset"):
        lie = Totals(**(totals.__dict__ | {name: getattr(totals, name) + 1}))
        yield f"end_{name}", "BadIndex", rebuilt(ends0=lie.pack())
    yield "end_size", "BadIndex", rebuilt(ends0=ENDS + b"\0")


def rewritten(header: Header, payload: bytes, frames: int = 5, background: bytes = b"") -> bytes:
    """A consistent stream with one segment of an arbitrary token payload and background."""
    sink = io.BytesIO()
    with Writer(sink, header) as writer:
        writer.write_segment(
            Segment(tuple(range(frames)), payload, 30, 1, background=background))
    return sink.getvalue()


def make_background(turn: int = 1, step: int = 20, fade: int = 80,
                    moves: np.ndarray | None = None) -> bytes:
    """A background of 24x16 pixels."""
    planes = []
    for number, (rows, columns) in enumerate(plane_sizes(24, 16)):
        levels = np.zeros((rows, columns, 8, 8), np.int16)
        levels[0, :, :2, 0] = 9 - number, -1
        planes.append(Plane(levels[:, :, 0, 0] != 0, levels))
    luma, blue, red = planes
    return Background(turn, step, (luma, blue, red), fade=fade, moves=moves).pack()


def covered_file(background: bytes | None = None, kind: int = 2) -> bytes:
    """A valid stream of a segment with a background, or with other bytes in its place."""
    header = make_header(backgrounds=kind)
    return rewritten(header, encode_tokens(TOKENS, 0), 5, background or make_background())


def background_cases() -> Iterator[tuple[str, str, bytes]]:
    """Faults of backgrounds, of version 4 and of those that fade."""
    wide = {"width": 16384, "height": 16384, "padded_width": 16384, "padded_height": 16384}
    for kind, fade, name in ((1, 0, "background"), (2, 80, "fading")):
        def file(background: bytes, kind: int = kind) -> bytes:
            return covered_file(background, kind)

        good = make_background(fade=fade)
        yield f"{name}_cut", "BadSegment", file(good[:2])
        yield f"{name}_cut_word", "BadSegment", file(good[:-1])
        yield f"{name}_step", "BadSegment", file(patched(good, 2, b"\x40"))
        yield f"{name}_turn", "BadSegment", file(make_background(turn=2, fade=fade))
        yield f"{name}_garbage", "BadTokens", file(good[:3] + b"\xff" * 64)
        yield f"{name}_extra", "BadTokens", file(good + bytes(64))
        # The first block is told of, and a coefficient of it has bits without end.
        some, more, on = (1310, 6553, 16384) if fade else (1966, 16384, 32768)
        p1 = np.array([32768] * 7 + [26214, some, more] + [on] * 13 + [32768] * 86)
        encoder = BitEncoder()
        encoder.push(np.array([1] + [0] * 7 + [1] * 101, np.uint8), p1)
        yield f"{name}_coefficient", "BadSegment", file(good[:3] + encoder.finish())
        huge = make_header(backgrounds=kind, **wide)
        yield f"{name}_huge_picture", "BadSegment", rewritten(huge, b"1234", 5, good)
    yield "fading_too_early", "BadSegment", covered_file(make_background(), 1)
    moves = np.arange(40, dtype=np.int16).reshape(5, 4, 2) % 7
    good = make_background(moves=moves)
    yield "moving_too_early", "BadSegment", covered_file(good)
    more = make_background(moves=moves.repeat(9, 0))
    yield "moving_more_pictures", "BadTokens", covered_file(more, BACKGROUNDS)
    yield "moving_garbage", "BadTokens", covered_file(good[:3] + b"\xff" * 64, BACKGROUNDS)
    mirrored = moves + np.array([[24, 0], [-24, 0]] * 2, np.int16) * 16
    over = make_background(moves=mirrored)
    yield "moving_over", "BadSegment", covered_file(over, BACKGROUNDS)


def token_cases() -> Iterator[tuple[str, str, bytes]]:
    """Faults of token payloads."""
    raw, good = make_header(), encode_tokens(TOKENS, 0)
    yield "tokens_raw_short", "BadTokens", rewritten(raw, good[:-1])
    yield "tokens_raw_checksum", "BadTokens", rewritten(raw, patched(good, 4, b"\x55"))
    yield "tokens_none", "BadTokens", rewritten(raw, b"")
    coded = make_header(coder=CODER_TABLE, prior=TABLE.id, prior_sha256=TABLE.sha256)
    good = encode_tokens(TOKENS, CODER_TABLE, TABLE, 30)
    yield "tokens_table_cut", "BadTokens", rewritten(coded, good[:-4])
    yield "tokens_table_garbage", "BadTokens", rewritten(coded, good[:4] + b"\xff" * 64)
    yield "tokens_table_extra", "BadTokens", rewritten(coded, good + bytes(64))
    wide = {"width": 16384, "height": 16384, "padded_width": 16384, "padded_height": 16384}
    huge = make_header(coder=CODER_TABLE, prior=TABLE.id, prior_sha256=TABLE.sha256, **wide)
    yield "tokens_huge_grid_tiny_payload", "BadTokens", rewritten(huge, good)
    yield "tokens_huge_grid_raw", "BadTokens", rewritten(make_header(**wide), b"1234")


def cases() -> dict[str, tuple[str, bytes]]:
    """All files: name -> class of the error and content."""
    groups = (damage_cases, header_cases, content_cases, index_cases, token_cases,
              background_cases)
    return {name: (error, data) for group in groups for name, error, data in group()}


def main() -> None:
    """Write files/*.mvt and attacks.tsv."""
    folder = HERE / "files"
    folder.mkdir(exist_ok=True)
    lines = ["file\terror"]
    for name, (error, data) in cases().items():
        (folder / f"{name}.mvt").write_bytes(data)
        lines.append(f"{name}.mvt\t{error}")
    (HERE / "attacks.tsv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
