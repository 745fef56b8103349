"""What a `.mvt` file says about itself, and whether it is whole. Loads no network library."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from itertools import accumulate
from math import ceil, prod
from pathlib import Path
from typing import Any

import bitstream
from bitstream.chunks import CHUNK_OVERHEAD
from nvcodec.codec.coders import coder_for
from nvcodec.codec.damage import gap_of, origin_of, other_problems, slots_of
from nvcodec.codec.events import Gap, Listener, Progress, ignore
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
        spacing: frames from one coded frame to the next; those between are made from them. 0.5:
            more pictures are coded than are shown.
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
    spacing: float
    tokens: int
    bits_per_token: float
    bpp: float


def segment_infos(reader: bitstream.Reader) -> tuple[SegmentInfo, ...]:
    """A row for each segment, from the index alone."""
    header, base = reader.header, time_base_of(reader.header)
    origin = origin_of(reader)
    rows = []
    for number, s in enumerate(reader.segments):
        size, tokens = s.size + CHUNK_OVERHEAD, prod(header.token_shape(s.frame_count, s.spacing))
        rows.append(SegmentInfo(
            number=number, offset=s.offset, bytes=size, pts=s.first_pts, end_pts=s.end_pts,
            start=round(float((s.first_pts - origin) * base), 6),
            seconds=round(float((s.end_pts - s.first_pts) * base), 6), frames=s.frame_count,
            qp=s.qp, spacing=s.spacing, tokens=tokens, bits_per_token=round(8 * size / tokens, 4),
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
            "file": str(path), "bytes": reader.file_bytes, "version": h.version,
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
            "coded_frames": sum(_coded(s) for s in reader.segments),
            "color": {"primaries": h.primaries, "transfer": h.transfer, "matrix": h.matrix,
                      "full_range": h.full_range},
            "rotation": h.rotation, "sample_aspect_ratio": f"{h.sar_num}/{h.sar_den}",
            "source_bits": h.source_bits, "audio_bytes": reader.index.audio_bytes,
            "audio": _audio(reader), "meta": reader.meta, "index_rebuilt": reader.rebuilt,
        }
        if segments:
            facts["segment_list"] = [asdict(row) for row in segment_infos(reader)]
        return facts


def _coded(segment: bitstream.SegmentEntry) -> int:
    """Pictures that have tokens of their own."""
    return 1 + ceil((segment.frame_count - 1) / segment.spacing)


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
    CorruptFileError that names every damaged segment with its frames, and UnsupportedFileError.
    """
    result = examine(path, listen)
    if not result["ok"]:
        raise damaged(result)
    return result


def examine(path: str | Path, listen: Listener = ignore) -> dict[str, Any]:
    """As `verify`, but a file with damage inside is told of in the result.

    "ok" is then False, "damaged" has a row for each segment that is lost, and "problems" the rest.
    Raises CorruptFileError where no segment can be found, and UnsupportedFileError.
    """
    with plain_errors(str(path)), ExitStack() as stack:
        reader, problems = _open_to_examine(path, stack)
        coder = coder_for(reader.header)
        slots = slots_of(reader)
        lost: dict[int, bitstream.LostSegment] = {}
        for i, slot in enumerate(slots):
            found = slot.read()
            if isinstance(found, bitstream.Segment):
                shape = reader.header.token_shape(found.frame_count, found.spacing)
                try:
                    coder.decode(found.payload, shape, found.qp)
                    bitstream.background_of(found, reader.header)
                except bitstream.CorruptError as error:
                    found = bitstream.LostSegment(found.pts, found.end_pts, error)
            if isinstance(found, bitstream.LostSegment):
                lost[i] = found
            listen(Progress(i + 1, len(slots), None, "verify"))
        numbers = [0, *accumulate(s.frame_count for s in slots)]
        rows = [{"segment": i} | asdict(gap_of(one, numbers[i], slots[0].first_pts, reader.header))
                for i, one in lost.items()]
        packets, others = _rest(reader)
        problems += other_problems(reader.problems, (x.error for x in lost.values())) + others
        return {"file": str(path), "ok": not rows and not problems, "segments": len(slots),
                "frames": numbers[-1], "audio_packets": packets,
                "meta_keys": [] if problems else sorted(reader.meta),
                "weights_here": _weights_here(reader.header),
                "damaged": rows, "problems": problems}


def damaged(result: dict[str, Any]) -> CorruptFileError:
    """The error, in one line, of a result of `examine` that is not ok."""
    rows, problems = result["damaged"], result["problems"]
    if not rows:
        problem, _, remedy = problems[0].partition("; ")
        return CorruptFileError(f"{result['file']}: {problem}", remedy)
    parts = [f"segment {r['segment']} of {result['segments']}, "
             f"{Gap(*(r[f.name] for f in fields(Gap))).where}: {r['problem']}" for r in rows]
    parts += [p.partition("; ")[0] for p in problems]
    return CorruptFileError(
        f"{result['file']}: {' | '.join(parts)}",
        "all else is whole: decode with --conceal or --recover")


def _open_to_examine(path: str | Path, stack: ExitStack) -> tuple[bitstream.Reader, list[str]]:
    """The file by its index, or what recovery finds where that is refused.

    Also returns why it is refused where recovery notes nothing: chunks that contradict each other.
    """
    try:
        return stack.enter_context(bitstream.Reader(path)), []
    except bitstream.CorruptError as error:
        try:
            reader = stack.enter_context(bitstream.Reader(path, recover=True))
        except bitstream.CorruptError:
            raise error from None
        return reader, [] if reader.problems else [str(error)]


def _rest(reader: bitstream.Reader) -> tuple[int, list[str]]:
    """Audio packets, and what is wrong with audio and META."""
    problems: list[str] = []
    packets = 0
    try:
        packets = sum(len(r.packets) for r in reader.audio()
                      if isinstance(r, bitstream.AudioPackets))
    except bitstream.CorruptError as error:
        problems.append(str(error))
    try:
        _ = reader.meta
    except bitstream.CorruptError as error:
        problems.append(str(error))
    return packets, problems


def _weights_here(header: bitstream.Header) -> bool:
    try:
        registry.find_by_hash(header.model, header.model_sha256)
    except registry.ModelError:
        return False
    return True
