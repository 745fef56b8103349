"""`.mvt` <-> `.npz`: the tokens of a file as arrays, with all that rebuilds the file.

The arrays of a token file (S segments, N frames, R audio records):

    version       uint32 [1]        that of the `.mvt` file, 1 to 5
    tokens        uint32 [T',H',W'] the grids of all segments, one after the other in time
    low, high     uint16 [T',H',W'] their 9-bit factors: tokens = low + 512 * high
    token_bounds  int64 [S+1]       segment i is tokens[token_bounds[i]:token_bounds[i + 1]]
    frame_bounds  int64 [S+1]       its frames are pts[frame_bounds[i]:frame_bounds[i + 1]]
    pts           int64 [N]         of each frame, in ticks
    last_duration int64 [S]         ticks that a segment's last frame is shown, 0 where unknown
    qp            uint8 [S]
    spacing       uint8 [S]         frames from one coded frame to the next; in version 2 alone
    spacing       float32 [S]       the same from version 3 on
    background    uint8 [bytes]     bytes of the segments' backgrounds, one after the other; from
                                    version 4 on
    background_bytes uint32 [S]     of each, 0 where a segment has none
    time_base     uint32 [2]        seconds per tick, as numerator and denominator
    head          uint8 [bytes]     payload of the file's HEAD chunk
    meta          uint8 [bytes]     payload of its META chunk; empty where it has none
    audio         uint8 [bytes]     payloads of its AUDI chunks, one after the other
    audio_bytes   uint32 [R]        bytes of each
    audio_after   uint32 [R]        segments that come before each

Going back, `tokens` may be left out, or `low` and `high`; where all are there they have to agree.
"""

from __future__ import annotations

import tempfile
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

import bitstream
from bitstream.audio import parse_audio
from bitstream.caps import (
    CHUNK_CAPS,
    MAX_INDEX_AUDIO,
    MAX_SEGMENT_FRAMES,
    MAX_SEGMENT_TOKENS,
    MAX_SEGMENTS,
    SPACINGS,
)
from bitstream.meta import pack_meta, parse_meta
from nvcodec.codec.coders import coder_for
from nvcodec.codec.events import Listener, Progress, TokensReport, ignore
from nvcodec.codec.file import open_file
from nvcodec.codec.npz import MAGIC, Member, NpzReader, NpzWriter
from nvcodec.codec.plain import plain_errors, writing_to
from nvcodec.errors import CorruptFileError, UnsupportedFileError, UsageError
from nvcodec.models.factors import LOW_BITS, factorize, unfactorize
from nvcodec.video.atomic import atomic_output

#: Tokens that are taken from the spool at once.
_BLOCK = 1 << 15
#: How spacings are stored, by version.
_SPACING_TYPES = {2: "u1"} | dict.fromkeys(range(3, bitstream.VERSION + 1), "<f4")
Tokens: TypeAlias = NDArray[np.uint32]


def convert_tokens(source: str | Path, target: str | Path, force: bool = False,
                   listen: Listener = ignore) -> TokensReport:
    """`export_tokens` for a `.mvt` file and `import_tokens` for a `.npz`, told by first bytes."""
    for path in (source, target):
        if str(path) == "-":
            raise UsageError("tokens are not read from or written to pipes", "name a file")
    with plain_errors(str(source)), Path(source).open("rb") as file:
        is_npz = file.read(len(MAGIC)) == MAGIC
    return (import_tokens if is_npz else export_tokens)(source, target, force, listen)


def export_tokens(source: str | Path, target: str | Path, force: bool = False,
                  listen: Listener = ignore) -> TokensReport:
    """Write the tokens of a `.mvt` file, and all that rebuilds it, to a `.npz` file.

    Needs the file's table or prior, not its weights. Memory stays that of one segment; a copy of
    the tokens lies beside the target meanwhile. The module's text lists the arrays.

    Raises CorruptFileError, UnsupportedFileError, InputError, OutputError.
    """
    with (plain_errors(str(source)), bitstream.Reader(source) as reader,
          atomic_output(target, force) as path, writing_to(str(target)), NpzWriter(path) as out,
          tempfile.TemporaryFile(dir=path.parent) as spool):
        _add_lists(out, reader)
        _add_backgrounds(out, reader)
        _add_audio(out, reader)
        count = _add_grids(out, reader, str(source), spool, listen)
    return TokensReport(str(source), str(target), len(reader.segments), reader.frames, count,
                        Path(target).stat().st_size)


def _add_lists(out: NpzWriter, reader: bitstream.Reader) -> None:
    """Everything that the index, HEAD and META tell; pts come from the segments."""
    header, entries = reader.header, reader.segments
    latents = (header.token_shape(e.frame_count, e.spacing)[0] for e in entries)
    out.add("version", np.array([header.version], np.uint32))
    out.add("token_bounds", np.array([*accumulate(latents, initial=0)], np.int64))
    frames = (e.frame_count for e in entries)
    out.add("frame_bounds", np.array([*accumulate(frames, initial=0)], np.int64))
    out.add("qp", np.array([e.qp for e in entries], np.uint8))
    if header.version > 1:
        out.add("spacing", np.array([e.spacing for e in entries], _SPACING_TYPES[header.version]))
    out.add("time_base", np.array([header.time_base_num, header.time_base_den], np.uint32))
    out.add("head", np.frombuffer(header.pack(), np.uint8))
    meta = pack_meta(reader.meta) if reader.index.meta_offset else b""
    out.add("meta", np.frombuffer(meta, np.uint8))


def _add_backgrounds(out: NpzWriter, reader: bitstream.Reader) -> None:
    if reader.header.version < 4:
        return
    sizes = [len(s.background) for s in reader.iter_segments()]
    out.add("background_bytes", np.array(sizes, np.uint32))
    out.stream("background", np.dtype(np.uint8), (sum(sizes),),
               (np.frombuffer(s.background, np.uint8) for s in reader.iter_segments()))


def _add_audio(out: NpzWriter, reader: bitstream.Reader) -> None:
    records, offsets = reader.index.audio, [e.offset for e in reader.segments]
    out.add("audio_bytes", np.array([r.size for r in records], np.uint32))
    out.add("audio_after", np.array([bisect_left(offsets, r.offset) for r in records], np.uint32))
    out.stream("audio", np.dtype(np.uint8), (sum(r.size for r in records),),
               (np.frombuffer(reader.read_audio(r).pack(), np.uint8) for r in records))


def _add_grids(out: NpzWriter, reader: bitstream.Reader, source: str, spool: BinaryIO,
               listen: Listener) -> int:
    """Tokens, factors and times; the tokens go by way of `spool`, as a zip takes one array at once.

    Returns the number of tokens.
    """
    header, segments = reader.header, len(reader.segments)
    pts, last = [], []
    latents = 0
    with open_file(source) as video:
        for grid in video.tokens():
            spool.write(grid.tokens.astype("<u4").tobytes())
            latents += len(grid.tokens)
            pts.append(np.array(grid.pts, np.int64))
            last.append(grid.last_duration)
            listen(Progress(grid.number + 1, segments, None, "tokens"))
    shape = (latents, header.latent_height, header.latent_width)
    out.add("last_duration", np.array(last, np.int64))
    out.stream("pts", np.dtype(np.int64), (reader.frames,), pts)
    parts: dict[str, tuple[type, Callable[[Tokens], NDArray[np.generic]]]] = {
        "tokens": (np.uint32, lambda t: t),
        "low": (np.uint16, lambda t: factorize(t)[0].astype(np.uint16)),
        "high": (np.uint16, lambda t: factorize(t)[1].astype(np.uint16))}
    for name, (dtype, part) in parts.items():
        out.stream(name, np.dtype(dtype), shape, map(part, _unspool(spool)))
    return latents * shape[1] * shape[2]


def _unspool(spool: BinaryIO) -> Iterator[Tokens]:
    spool.seek(0)
    while data := spool.read(4 * _BLOCK):
        yield np.frombuffer(data, "<u4")


# -- back ----------------------------------------------------------------------------------------


def import_tokens(source: str | Path, target: str | Path, force: bool = False,
                  listen: Listener = ignore) -> TokensReport:
    """Rebuild a `.mvt` file from its token file, or from one whose values were changed.

    The coders are exact, so an unchanged token file of a file that nvcodec wrote gives that file
    byte for byte. Memory stays that of one segment.

    Raises CorruptFileError, UnsupportedFileError, InputError, OutputError.
    """
    name = str(source)
    with (plain_errors(name), NpzReader(Path(source)) as npz,
          atomic_output(target, force) as path, writing_to(str(target)), path.open("wb") as sink):
        plan = _Plan.read(npz, name)
        grids = _Grids(npz, plan, name)
        coder = coder_for(plan.header)
        audio = _Audio(npz, plan.segments, name)
        backgrounds = _backgrounds(npz, plan, name)
        pts = npz.open("pts", "<i8", (plan.frame_bounds[-1],))
        with bitstream.Writer(sink, plan.header) as writer:
            if plan.meta:
                writer.write_meta(parse_meta(plan.meta))
            for i in range(plan.segments):
                audio.write(writer, i)
                times = tuple(pts.take(plan.frames(i)).tolist())
                payload = coder.encode(grids.take(plan.shape(i)), plan.qp[i])
                writer.write_segment(bitstream.Segment(
                    times, payload, plan.qp[i], plan.last_duration[i], plan.spacing[i],
                    next(backgrounds)))
                listen(Progress(i + 1, plan.segments, None, "tokens"))
            audio.write(writer, plan.segments)
        count = plan.token_bounds[-1] * plan.header.latent_height * plan.header.latent_width
        totals = writer.close()
    return TokensReport(name, str(target), totals.segments, totals.frames, count,
                        totals.file_bytes)


@dataclass(frozen=True)
class _Plan:
    """What a token file says of its segments, checked."""

    header: bitstream.Header
    meta: bytes
    token_bounds: list[int]
    frame_bounds: list[int]
    qp: list[int]
    spacing: list[float]
    last_duration: list[int]

    @classmethod
    def read(cls, npz: NpzReader, name: str) -> _Plan:
        """CorruptFileError where the arrays do not fit each other or their caps."""
        version = int(npz.list_of("version", "<u4", 1).sum())
        if not 1 <= version <= bitstream.VERSION:
            raise UnsupportedFileError(f"{name}: token file version {version}, this is "
                                       f"{bitstream.VERSION}", "update nvcodec")
        head = npz.list_of("head", "u1", CHUNK_CAPS[b"HEAD"]).tobytes()
        header = bitstream.Header.parse(head, version=version)
        if npz.list_of("time_base", "<u4", 2).tolist() != [header.time_base_num,
                                                           header.time_base_den]:
            raise _bad(f"{name}: time_base is not that of head")
        qp = npz.list_of("qp", "u1", MAX_SEGMENTS).tolist()
        spacing = [1] * len(qp) if version == 1 else npz.list_of(
            "spacing", _SPACING_TYPES[version], MAX_SEGMENTS).tolist()
        plan = cls(
            header, npz.list_of("meta", "u1", CHUNK_CAPS[b"META"]).tobytes(),
            token_bounds=npz.list_of("token_bounds", "<i8", MAX_SEGMENTS + 1).tolist(),
            frame_bounds=npz.list_of("frame_bounds", "<i8", MAX_SEGMENTS + 1).tolist(),
            qp=qp, spacing=spacing,
            last_duration=npz.list_of("last_duration", "<i8", MAX_SEGMENTS).tolist())
        plan._check(name)
        return plan

    def _check(self, name: str) -> None:
        count = self.segments
        if count < 1 or {len(self.token_bounds), len(self.frame_bounds), len(self.spacing) + 1,
                         len(self.last_duration) + 1} != {count + 1}:
            raise _bad(f"{name}: bounds, qp, spacing and last_duration are not of one number of "
                       "segments")
        if not {1}.union(self.spacing) <= set(filter(self.header.allows, SPACINGS)):
            raise _bad(f"{name}: a spacing is not one that head allows")
        if self.token_bounds[0] or self.frame_bounds[0]:
            raise _bad(f"{name}: bounds do not begin at 0")
        for i, (a, b) in enumerate(pairwise(self.token_bounds)):
            if not 1 <= self.frames(i) <= MAX_SEGMENT_FRAMES:
                raise _bad(f"{name}: segment {i} has {self.frames(i)} frames")
            latents, rows, columns = self.shape(i)
            if latents * rows * columns > MAX_SEGMENT_TOKENS:
                raise _bad(f"{name}: segment {i} has more tokens than a segment may have")
            if b - a != latents:
                raise _bad(f"{name}: {b - a} token frames of segment {i} where its "
                           f"{self.frames(i)} frames take {latents}")

    @property
    def segments(self) -> int:
        return len(self.qp)

    def frames(self, segment: int) -> int:
        return self.frame_bounds[segment + 1] - self.frame_bounds[segment]

    def shape(self, segment: int) -> tuple[int, int, int]:
        return self.header.token_shape(self.frames(segment), self.spacing[segment])


class _Grids:
    """The tokens, from whichever arrays are there."""

    def __init__(self, npz: NpzReader, plan: _Plan, name: str) -> None:
        header = plan.header
        shape = (plan.token_bounds[-1], header.latent_height, header.latent_width)
        self._name, self._bits = name, header.token_bits
        self._factors: tuple[Member, Member] | None = None
        self._tokens: Member | None = None
        if "low" in npz or "high" in npz:
            self._factors = npz.open("low", "<u2", shape), npz.open("high", "<u2", shape)
        if self._factors is None or "tokens" in npz:
            self._tokens = npz.open("tokens", "<u4", shape)

    def take(self, shape: tuple[int, int, int]) -> Tokens:
        """The next segment's tokens; CorruptFileError where they are no tokens."""
        tokens: Tokens | None = None if self._tokens is None else self._tokens.take(*shape)
        if self._factors is not None:
            low, high = (member.take(*shape) for member in self._factors)
            if int(low.max()) >> LOW_BITS:
                raise _bad(f"{self._name}: a value of low is above {2**LOW_BITS - 1}")
            joined = unfactorize(low, high)
            if tokens is not None and not np.array_equal(tokens, joined):
                raise CorruptFileError(f"{self._name}: tokens are not those that low and high give",
                                       "leave out the ones you did not change")
            tokens = joined
        assert tokens is not None
        if int(tokens.max()) >> self._bits:
            raise _bad(f"{self._name}: a token is above {2**self._bits - 1}")
        return tokens


def _backgrounds(npz: NpzReader, plan: _Plan, name: str) -> Iterator[bytes]:
    """The background of each segment; CorruptFileError where they do not decode."""
    if plan.header.version < 4:
        yield from [b""] * plan.segments
        return
    sizes = npz.list_of("background_bytes", "<u4", MAX_SEGMENTS).tolist()
    if len(sizes) != plan.segments or max(sizes) > CHUNK_CAPS[b"SEGM"]:
        raise _bad(f"{name}: background_bytes does not fit the segments")
    data = npz.open("background", "u1", (sum(sizes),))
    for size in sizes:
        yield data.take(size).tobytes()


class _Audio:
    """The audio records, each at its place between segments."""

    def __init__(self, npz: NpzReader, segments: int, name: str) -> None:
        self._sizes = npz.list_of("audio_bytes", "<u4", MAX_INDEX_AUDIO).tolist()
        self._after = npz.list_of("audio_after", "<u4", MAX_INDEX_AUDIO).tolist()
        if len(self._sizes) != len(self._after) or self._after != sorted(self._after) or (
                self._after and self._after[-1] > segments):
            raise _bad(f"{name}: audio_after does not fit audio_bytes and the segments")
        if max(self._sizes, default=0) > CHUNK_CAPS[b"AUDI"]:
            raise _bad(f"{name}: an audio record is above {CHUNK_CAPS[b'AUDI']} bytes")
        self._data = npz.open("audio", "u1", (sum(self._sizes),))
        self._done = 0

    def write(self, writer: bitstream.Writer, segments: int) -> None:
        """Write the records that come after so many segments."""
        while self._done < len(self._after) and self._after[self._done] == segments:
            payload = self._data.take(self._sizes[self._done]).tobytes()
            writer.write_audio(parse_audio(payload))
            self._done += 1


def _bad(problem: str) -> CorruptFileError:
    return CorruptFileError(problem, "export the tokens anew, and change values only")
