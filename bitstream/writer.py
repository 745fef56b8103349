"""Writes a `.mvt` stream front to back; the sink needs nothing but write()."""

from __future__ import annotations

import copy
from types import TracebackType
from typing import Any, Protocol

from .audio import AudioPackets, AudioStream, check_audio_order
from .caps import MAX_SEGMENT_TOKENS
from .chunks import CHUNK_OVERHEAD, pack_chunk, pack_preamble
from .errors import BadIndex, BadMeta, BadSegment, CapExceeded
from .header import Header
from .index import TAIL_SIZE, IndexBuilder, Totals
from .meta import pack_meta
from .segment import Segment

__all__ = ["SupportsWrite", "Writer"]


class SupportsWrite(Protocol):
    """What Writer needs of its sink; raw pipes that take only a part of the data are fine."""

    def write(self, data: bytes | memoryview, /) -> Any:
        """Take bytes; return how many were taken, or None for all."""


class Writer:
    """Writes the header at once, then what it is given, then INDX and ENDS on close().

    Used as a context manager it closes on success, and on an exception leaves the stream without
    ENDS, so that nobody takes it for a whole file.

    Args:
        sink: object with write(bytes).
        header: stream parameters.
    """

    def __init__(self, sink: SupportsWrite, header: Header) -> None:
        self.header = header
        self.bytes_written = 0
        self._sink = sink
        self._builder = IndexBuilder()
        self._streams: set[int] = set()
        self._totals: Totals | None = None
        self._emit(pack_preamble(header.version))
        self._emit(pack_chunk(b"HEAD", header.pack()))

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()

    def rehearse(self) -> Writer:
        """Return a twin that goes on from here and counts, but writes nothing to the sink.

        Its close() tells what the file would come to; this writer stays as it is.
        """
        twin = copy.copy(self)
        twin._sink = _Nowhere()
        twin._builder = copy.deepcopy(self._builder)
        twin._streams = set(self._streams)
        return twin

    def write_meta(self, meta: dict[str, Any]) -> None:
        """Write the META chunk; at most one per file.

        Raises:
            BadMeta: not a JSON object of at most 64 KiB, or a second one.
        """
        if self._builder.meta_offset:
            raise BadMeta("META: a file holds one; merge the two objects")
        offset = self.bytes_written
        self._chunk(b"META", pack_meta(meta))
        self._builder.meta_offset = offset

    def write_audio(self, record: AudioStream | AudioPackets) -> None:
        """Write a stream's configuration (once, before its packets) or a batch of its packets.

        Raises:
            BadAudio: packets before their configuration, a second configuration, or > 16 MiB.
        """
        check_audio_order(record, self._streams)
        payload = record.pack()
        self._builder.add_audio(record, self.bytes_written, len(payload))
        self._chunk(b"AUDI", payload)

    def write_segment(self, segment: Segment) -> None:
        """Write one SEGM chunk; segments come in time order.

        Raises:
            BadIndex: it begins at or before its predecessor.  CapExceeded: too many tokens.
            BadSegment: the header does not allow its spacing or its background.
        """
        if not self.header.allows(segment.spacing):
            raise BadSegment(f"SEGM: spacing is {segment.spacing}, which HEAD does not allow")
        if segment.background and not self.header.backgrounds:
            raise BadSegment("SEGM: it has a background, which HEAD does not allow")
        shape = self.header.token_shape(segment.frame_count, segment.spacing)
        latents, rows, columns = shape
        if latents * rows * columns > MAX_SEGMENT_TOKENS:
            raise CapExceeded(
                f"SEGM: {latents * rows * columns} tokens are above the cap "
                f"{MAX_SEGMENT_TOKENS}; use a shorter keyint"
            )
        payload = segment.pack()
        chunk = pack_chunk(b"SEGM", payload)
        self._builder.add_segment(segment, self.bytes_written, len(payload))
        self._emit(chunk)

    def close(self) -> Totals:
        """Write INDX and ENDS; a second call does nothing. The sink stays open.

        Raises:
            BadIndex: no segment was written.
        """
        if self._totals is None:
            index = self._builder.build()
            if not index.segments:
                raise BadIndex("the stream has no segment; write at least one frame")
            offset = self.bytes_written
            payload = index.pack()
            end = offset + len(payload) + CHUNK_OVERHEAD + TAIL_SIZE
            totals = Totals(offset, index.frames, len(index.segments), index.audio_bytes, end)
            self._chunk(b"INDX", payload)
            self._chunk(b"ENDS", totals.pack())
            self._totals = totals
        return self._totals

    def _chunk(self, tag: bytes, payload: bytes) -> None:
        self._emit(pack_chunk(tag, payload))

    def _emit(self, data: bytes) -> None:
        if self._totals is not None:
            raise ValueError("the stream is closed; open another Writer")
        view = memoryview(data)
        while len(view):
            taken = self._sink.write(view)
            view = view[len(view) if taken is None else taken :]
        self.bytes_written += len(data)


class _Nowhere:
    """Takes everything and keeps nothing."""

    def write(self, data: bytes | memoryview, /) -> int:
        return len(data)
