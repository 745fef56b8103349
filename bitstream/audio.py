"""The AUDI chunk: audio copied packet by packet from the source, with what a muxer needs to know.

A chunk is one record: the configuration of a stream, or a batch of one stream's packets.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .caps import CHUNK_CAPS, MAX_AUDIO_STREAMS, MAX_EXTRADATA, MAX_PACKETS
from .errors import BadAudio, CapExceeded
from .fields import I64_MAX, I64_MIN, Cursor, pack_str8, pack_svarint, pack_varint

__all__ = [
    "KIND_PACKETS",
    "KIND_STREAM",
    "AudioPackets",
    "AudioStream",
    "Packet",
    "check_audio_order",
    "parse_audio",
]

KIND_STREAM = 0
KIND_PACKETS = 1

_STREAM = struct.Struct("<IIIB")
_KEY = 1
_PTS = 2
_DTS = 4


@dataclass(frozen=True)
class AudioStream:
    """Configuration of one audio stream.

    Attributes:
        index: stream number 0..31, unique in the file.
        codec: codec name, 1..32 bytes, such as "aac".
        time_base_num, time_base_den: seconds per tick; both 1..2^32-1.
        sample_rate: 1..2^32-1 Hz.
        channels: 1..255.
        layout: channel layout name, 0..64 bytes, such as "stereo".
        language: language tag, 0..16 bytes.
        extradata: codec configuration bytes, at most 1 MiB.

    Raises:
        BadAudio: a field is out of range.
    """

    index: int
    codec: str
    time_base_num: int
    time_base_den: int
    sample_rate: int
    channels: int
    layout: str = ""
    language: str = ""
    extradata: bytes = b""

    def __post_init__(self) -> None:
        if not 0 <= self.index < MAX_AUDIO_STREAMS:
            raise _bad(f"stream {self.index}, allowed are 0..{MAX_AUDIO_STREAMS - 1}")
        word = 2**32 - 1
        for name in ("time_base_num", "time_base_den", "sample_rate"):
            if not 1 <= getattr(self, name) <= word:
                raise _bad(f"{name} is {getattr(self, name)}, allowed are 1..{word}")
        if not 1 <= self.channels <= 255:
            raise _bad(f"{self.channels} channels, allowed are 1..255")
        for name, least, cap in (("codec", 1, 32), ("layout", 0, 64), ("language", 0, 16)):
            text = getattr(self, name)
            if not least <= len(text.encode()) <= cap or not text.isprintable():
                raise _bad(f"{name} needs {least}..{cap} bytes of printable text")
        if len(self.extradata) > MAX_EXTRADATA:
            raise _bad(f"{len(self.extradata)} bytes of extradata, at most {MAX_EXTRADATA}")

    def pack(self) -> bytes:
        """Return the AUDI payload of this configuration."""
        fixed = _STREAM.pack(
            self.time_base_num, self.time_base_den, self.sample_rate, self.channels
        )
        names = pack_str8(self.codec) + pack_str8(self.layout) + pack_str8(self.language)
        extra = pack_varint(len(self.extradata)) + self.extradata
        return bytes([KIND_STREAM, self.index]) + fixed + names + extra


@dataclass(frozen=True)
class Packet:
    """One audio packet in its stream's time base.

    Attributes:
        data: the packet's bytes.
        pts, dts: signed 64-bit ticks, None where the source had none.
        duration: ticks, 0 where unknown.
        key: the packet decodes alone.
    """

    data: bytes
    pts: int | None
    dts: int | None
    duration: int = 0
    key: bool = True


@dataclass(frozen=True)
class AudioPackets:
    """A batch of 1..4096 packets of one stream, in decode order; at most 16 MiB packed.

    Raises:
        BadAudio: a field is out of range.
    """

    index: int
    packets: tuple[Packet, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.index < MAX_AUDIO_STREAMS:
            raise _bad(f"stream {self.index}, allowed are 0..{MAX_AUDIO_STREAMS - 1}")
        if not 1 <= len(self.packets) <= MAX_PACKETS:
            raise _bad(f"{len(self.packets)} packets in one batch, allowed are 1..{MAX_PACKETS}")
        for packet in self.packets:
            for stamp in (packet.pts, packet.dts):
                if stamp is not None and not I64_MIN <= stamp <= I64_MAX:
                    raise _bad("a timestamp does not fit 64 bits")
            if not 0 <= packet.duration <= I64_MAX:
                raise _bad("a duration does not fit 63 bits")

    @property
    def first_pts(self) -> int:
        """First known timestamp of the batch, 0 where there is none; what the index stores."""
        for packet in self.packets:
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is not None:
                return stamp
        return 0

    def pack(self) -> bytes:
        """Return the AUDI payload of this batch.

        Raises:
            BadAudio: above 16 MiB; use smaller batches.
        """
        parts = [bytes([KIND_PACKETS, self.index]), pack_varint(len(self.packets))]
        for packet in self.packets:
            parts.append(_pack_packet(packet))
        payload = b"".join(parts)
        if len(payload) > CHUNK_CAPS[b"AUDI"]:
            raise _bad(f"a batch of {len(payload)} bytes, at most {CHUNK_CAPS[b'AUDI']}")
        return payload


def _pack_packet(packet: Packet) -> bytes:
    flags = _KEY * packet.key
    stamps = b""
    for bit, stamp in ((_PTS, packet.pts), (_DTS, packet.dts)):
        if stamp is not None:
            flags |= bit
            stamps += pack_svarint(stamp)
    sizes = pack_varint(packet.duration) + pack_varint(len(packet.data))
    return bytes([flags]) + stamps + sizes + packet.data


def parse_audio(payload: bytes, base: int | None = None) -> AudioStream | AudioPackets:
    """Read an AUDI payload.

    Raises:
        BadAudio: a field is out of range.  CapExceeded: a count is above its cap.
    """
    cursor = Cursor(payload, BadAudio, "AUDI", base)
    kind = cursor.u8()
    index = cursor.u8()
    record: AudioStream | AudioPackets
    try:
        if kind == KIND_STREAM:
            record = _parse_stream(cursor, index)
        elif kind == KIND_PACKETS:
            record = _parse_packets(cursor, index)
        else:
            raise cursor.fail(f"record kind {kind} is unknown")
    except BadAudio as error:
        error.offset = base
        raise
    cursor.finish()
    return record


def _parse_stream(cursor: Cursor, index: int) -> AudioStream:
    num, den, rate, channels = _STREAM.unpack(cursor.take(_STREAM.size))
    codec, layout, language = cursor.str8(32, least=1), cursor.str8(64), cursor.str8(16)
    size = cursor.varint()
    if size > MAX_EXTRADATA:
        raise CapExceeded(f"AUDI: {size} bytes of extradata; get another copy of the file")
    return AudioStream(index, codec, num, den, rate, channels, layout, language, cursor.take(size))


def _parse_packets(cursor: Cursor, index: int) -> AudioPackets:
    count = cursor.varint()
    if count > MAX_PACKETS:
        raise CapExceeded(f"AUDI: {count} packets in one batch; get another copy of the file")
    packets = []
    for _ in range(count):
        flags = cursor.u8()
        if flags & ~(_KEY | _PTS | _DTS):
            raise cursor.fail(f"has unknown packet flags {flags:#04x}")
        pts = cursor.svarint() if flags & _PTS else None
        dts = cursor.svarint() if flags & _DTS else None
        duration = cursor.varint()
        data = cursor.take(cursor.varint())
        packets.append(Packet(data, pts, dts, duration, bool(flags & _KEY)))
    return AudioPackets(index, tuple(packets))


def check_audio_order(record: AudioStream | AudioPackets, seen: set[int]) -> None:
    """Refuse packets of a stream not yet configured and a second configuration; note new ones.

    Raises:
        BadAudio.
    """
    known = record.index in seen
    if isinstance(record, AudioPackets) and not known:
        raise _bad(f"stream {record.index} has packets before its configuration")
    if isinstance(record, AudioStream):
        if known:
            raise _bad(f"stream {record.index} is configured twice")
        seen.add(record.index)


def _bad(message: str) -> BadAudio:
    return BadAudio(f"AUDI: {message}; get another copy or leave the audio out")
