"""Between the words of `video` and those of `bitstream`: stream parameters and audio."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import bitstream
from nvcodec.errors import CorruptFileError
from nvcodec.models.registry import Release
from nvcodec.video.audio import AudioPacket
from nvcodec.video.color import ColorTags
from nvcodec.video.info import AudioStream, Chapter, VideoInfo

WORD = 2**32 - 1
#: Tags that describe the source's container, and would be wrong in another.
CONTAINER_TAGS = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}


def make_header(info: VideoInfo, release: Release, coder: int, keyint: int,
                spacing: int = 1, density: int = 1,
                backgrounds: bool = False) -> bitstream.Header:
    """Stream parameters for a source. The colour tags are the ones its pixels were read by."""
    config = release.config
    rows, columns = config.latent_size(info.height, info.width)
    prior = {bitstream.CODER_TABLE: release.table_sha256,
             bitstream.CODER_LEARNED: release.prior_sha256}.get(coder, "")
    fps, base = _bounded(info.fps), _bounded(info.time_base)
    aspect = _bounded(info.sample_aspect_ratio)
    return bitstream.Header(
        width=info.width, height=info.height,
        padded_width=columns * config.spatial_stride, padded_height=rows * config.spatial_stride,
        fps_num=fps.numerator, fps_den=fps.denominator,
        time_base_num=base.numerator, time_base_den=base.denominator,
        model=release.id, model_sha256=bytes.fromhex(release.sha256), coder=coder,
        prior=release.id if prior else "",
        prior_sha256=bytes.fromhex(prior) if prior else bytes(32),
        vfr=info.is_vfr, primaries=info.color.primaries, transfer=info.color.transfer,
        matrix=info.color.matrix, full_range=bool(info.color.full_range), rotation=info.rotation,
        sar_num=aspect.numerator, sar_den=aspect.denominator, source_bits=info.bit_depth,
        source_alpha=info.has_alpha, time_stride=config.time_stride,
        spatial_stride=config.spatial_stride, token_bits=config.token_bits, keyint=keyint,
        spacing=spacing, density=density, backgrounds=bitstream.BACKGROUNDS * backgrounds)


def check_matches(header: bitstream.Header, release: Release) -> None:
    """Refuse a header that does not describe the release's token grid (a forged file)."""
    c = release.config
    if (header.time_stride, header.spatial_stride, header.token_bits) != (
            c.time_stride, c.spatial_stride, c.token_bits):
        raise CorruptFileError("the header's strides are not those of its model",
                               "get another copy of the file")


def color_of(header: bitstream.Header) -> ColorTags:
    """Colour tags for the output."""
    return ColorTags(header.matrix, header.primaries, header.transfer, header.full_range)


def make_meta(info: VideoInfo) -> dict[str, Any]:
    """The source's tags and chapters as the META object; empty where it has none.

    Long tags are cut so that the object stays far below its cap.
    """
    meta: dict[str, Any] = {}
    tags = {k[:64]: v[:1024] for k, v in info.metadata.items() if k.lower() not in CONTAINER_TAGS}
    if tags:
        meta["tags"] = dict(list(tags.items())[:24])
    if info.chapters:
        meta["chapters"] = [[str(c.start), str(c.end), c.title[:64]] for c in info.chapters[:200]]
    return meta


def tags_of(meta: dict[str, Any]) -> dict[str, str]:
    """Container tags from a META object of whatever origin."""
    tags = meta.get("tags")
    return {str(k): str(v) for k, v in tags.items()} if isinstance(tags, dict) else {}


def chapters_of(meta: dict[str, Any]) -> tuple[Chapter, ...]:
    """Chapters from a META object; entries that make no sense are left out."""
    out = []
    entries = meta.get("chapters")
    for entry in entries if isinstance(entries, list) else []:
        try:
            start, end, title = entry
            out.append(Chapter(Fraction(start), Fraction(end), str(title)))
        except (TypeError, ValueError, ZeroDivisionError):
            continue
    return tuple(out)


def pack_stream(stream: AudioStream) -> bitstream.AudioStream:
    """Audio track -> its record in the file."""
    base = _bounded(stream.time_base)
    return bitstream.AudioStream(
        index=stream.index, codec=stream.codec, time_base_num=base.numerator,
        time_base_den=base.denominator, sample_rate=stream.sample_rate, channels=stream.channels,
        layout=stream.layout[:64], language=(stream.language or "")[:16],
        extradata=stream.extradata)


def unpack_stream(record: bitstream.AudioStream) -> AudioStream:
    """Record in the file -> audio track."""
    return AudioStream(
        record.index, record.codec, Fraction(record.time_base_num, record.time_base_den),
        record.sample_rate, record.channels, record.layout, record.extradata,
        record.language or None)


def pack_packet(packet: AudioPacket, shift: int) -> bitstream.Packet:
    """Audio packet -> record, `shift` ticks earlier."""
    pts, dts = (None if v is None else v - shift for v in (packet.pts, packet.dts))
    return bitstream.Packet(packet.data, pts, dts, max(0, packet.duration), packet.is_key)


def unpack_packets(record: bitstream.AudioPackets) -> Iterator[AudioPacket]:
    """Record -> audio packets."""
    for p in record.packets:
        yield AudioPacket(record.index, p.pts, p.dts, p.duration, p.key, p.data)


def _bounded(value: Fraction) -> Fraction:
    """The nearest fraction whose parts fit 32 bits."""
    value = Fraction(value)
    if value.numerator <= WORD and value.denominator <= WORD:
        return value
    return value.limit_denominator(WORD >> 8)
