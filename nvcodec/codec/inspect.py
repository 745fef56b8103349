"""What a `.mvt` file says about itself, and whether it is whole. Loads no network library."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

import bitstream
from bitstream.chunks import CHUNK_OVERHEAD
from nvcodec.codec.coders import coder_for
from nvcodec.codec.events import Listener, Progress, ignore
from nvcodec.codec.plain import fps_of, plain_errors, time_base_of
from nvcodec.errors import CorruptFileError
from nvcodec.models import registry


@dataclass(frozen=True)
class SegmentInfo:
    """What the index says of one segment.

    Attributes:
        number: 0, 1, ...
        offset: of its chunk in the file.
        bytes: of the chunk, framing included.
        pts: of its first frame, in ticks.
        end_pts: first tick after its last frame (equals that frame's pts where its duration is
            unknown).
        start: seconds from the video's first frame to its own.
        seconds: that it is shown.
        frames: how many.
        qp: quality step 0 (best) .. 63.
        tokens: how many.
        bits_per_token: of the whole chunk.
        bpp: bits of the whole chunk for each displayed pixel of each frame.
    """

    number: int
    offset: int
    bytes: int
    pts: int
    end_pts: int
    start: float
    seconds: float
    frames: int
    qp: int
    tokens: int
    bits_per_token: float
    bpp: float


def segment_infos(reader: bitstream.Reader) -> tuple[SegmentInfo, ...]:
    """A row for each segment, from the index alone."""
    header, base = reader.header, time_base_of(reader.header)
    origin = reader.segments[0].first_pts
    rows = []
    for number, s in enumerate(reader.segments):
        size, tokens = s.size + CHUNK_OVERHEAD, prod(header.token_shape(s.frame_count))
        rows.append(SegmentInfo(
            number=number, offset=s.offset, bytes=size, pts=s.first_pts, end_pts=s.end_pts,
            start=round(float((s.first_pts - origin) * base), 6),
            seconds=round(float((s.end_pts - s.first_pts) * base), 6), frames=s.frame_count,
            qp=s.qp, tokens=tokens, bits_per_token=round(8 * size / tokens, 4),
            bpp=round(8 * size / (s.frame_count * header.width * header.height), 6)))
    return tuple(rows)


def inspect(path: str | Path, segments: bool = False) -> dict[str, Any]:
    """Facts from the header and the index, without reading the segments.

    `segments` adds a `SegmentInfo` for each segment, as a dict. Raises CorruptFileError,
    UnsupportedFileError, InputError.
    """
    with plain_errors(str(path)), bitstream.Reader(path) as reader:
        h = reader.header
        seconds = float(
            (reader.segments[-1].end_pts - reader.segments[0].first_pts) * time_base_of(h))
        facts: dict[str, Any] = {
            "file": str(path), "bytes": reader.file_bytes, "version": bitstream.VERSION,
            "width": h.width, "height": h.height, "frames": reader.frames,
            "fps": float(fps_of(h)), "vfr": h.vfr, "seconds": round(seconds, 6),
            "time_base": f"{h.time_base_num}/{h.time_base_den}", "bpp": reader.bpp,
            "kbit_per_s": round(
                8e-3 * (reader.file_bytes - reader.index.audio_bytes) / max(seconds, 1e-9), 3),
            "model": h.model, "weights_sha256": h.model_sha256.hex(),
            "coder": bitstream.CODER_NAMES[h.coder], "prior": h.prior,
            "prior_sha256": h.prior_sha256.hex() if h.prior else "",
            "keyint": h.keyint, "segments": len(reader.segments),
            "qp": [min(s.qp for s in reader.segments), max(s.qp for s in reader.segments)],
            "color": {"primaries": h.primaries, "transfer": h.transfer, "matrix": h.matrix,
                      "full_range": h.full_range},
            "rotation": h.rotation, "sample_aspect_ratio": f"{h.sar_num}/{h.sar_den}",
            "source_bits": h.source_bits, "audio_bytes": reader.index.audio_bytes,
            "audio": _audio(reader), "meta": reader.meta, "index_rebuilt": reader.rebuilt,
        }
        if segments:
            facts["segment_list"] = [asdict(row) for row in segment_infos(reader)]
        return facts


def _audio(reader: bitstream.Reader) -> list[dict[str, Any]]:
    out = []
    for entry in reader.index.audio:
        if not entry.is_packets:
            s = reader.read_audio(entry)
            assert isinstance(s, bitstream.AudioStream)
            out.append({"codec": s.codec, "sample_rate": s.sample_rate, "channels": s.channels,
                        "layout": s.layout, "language": s.language})
    return out


def verify(path: str | Path, listen: Listener = ignore) -> dict[str, Any]:
    """Check every CRC and entropy-decode every segment.

    Returns totals; tokens are decoded under the table or prior that the header names. Raises
    CorruptFileError at the first fault, naming its segment, and UnsupportedFileError.
    """
    with plain_errors(str(path)), bitstream.Reader(path) as reader:
        coder = coder_for(reader.header)
        count = len(reader.segments)
        for i in range(count):
            try:
                segment = reader.read_segment(i)
                shape = reader.header.token_shape(segment.frame_count)
                coder.decode(segment.payload, shape, segment.qp)
            except bitstream.CorruptError as error:
                raise CorruptFileError(f"{path}: segment {i} of {count}: {error.message}",
                                       "other segments may be whole: decode --recover") from error
            listen(Progress(i + 1, count, None, "verify"))
        packets = sum(len(r.packets) for r in reader.audio()
                      if isinstance(r, bitstream.AudioPackets))
        meta = reader.meta
        known = _weights_here(reader.header)
        return {"file": str(path), "ok": True, "segments": count, "frames": reader.frames,
                "audio_packets": packets, "meta_keys": sorted(meta), "weights_here": known}


def _weights_here(header: bitstream.Header) -> bool:
    try:
        registry.find_by_hash(header.model, header.model_sha256)
    except registry.ModelError:
        return False
    return True
