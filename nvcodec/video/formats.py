"""What each output extension means: container, codec, pixel format, quality.

    .mp4 .mov .m4v  H.264, CRF 12, preset superfast, tune psnr, no B-frames, 4:2:0. Odd sizes use
                    4:4:4 (profile High 4:4:4 Predictive), because H.264 4:2:0 cannot hold an odd
                    width or height: the size read back is exactly the source's.
    .mkv            FFV1, lossless RGB.
    .webm           VP9, CRF 16, 4:2:0 (VP9 holds odd sizes in 4:2:0).
    .y4m, "-"       raw 4:2:0, 4:4:4 for odd sizes; constant frame rate only. y4m names no matrix,
                    so pixels are converted by the one that readers guess from the size, whatever
                    the source's was.
    .png            lossless RGB stills: one, or numbered files where the name has %05d.

The aspect of non-square pixels is stored by .mp4, .mov, .m4v and .png; the others log its loss.

CRF 12 tuned for PSNR gives 41 to 48 dB against pictures as smooth as a tokenizer's (39 to 41 on
grainy camera pictures), far above the network's own loss; superfast has the same quality per bit
as veryfast there and leaves more of the processor to the network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePath

from nvcodec.errors import UsageError
from nvcodec.video.color import ColorTags, resolve

__all__ = ["DEFAULT_CRF", "OutputFormat", "choose_format", "encoder_options", "output_color"]

DEFAULT_CRF = {"libx264": 12, "libvpx-vp9": 16}
_MP4_AUDIO = frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "opus", "flac", "alac", "dts"})
_PCM = frozenset(
    {"pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_s16be", "pcm_s24be", "pcm_f32le",
     "pcm_f64le"}
)  # fmt: skip


@dataclass(frozen=True)
class OutputFormat:
    """One way of writing video.

    Attributes:
        muxer: FFmpeg's muxer name; "" for png, which needs none.
        codec: FFmpeg's encoder name.
        audio: canonical names of the audio codecs that can be copied into it.
        exact_ticks: the container keeps the source's time base; otherwise times are rounded to 1
            ms.
        constant_rate: the container holds no timestamps at all.
        names_matrix: the container or codec says by which matrix YUV was made.
    """

    muxer: str
    codec: str
    audio: frozenset[str] = frozenset()
    exact_ticks: bool = False
    constant_rate: bool = False
    names_matrix: bool = True

    def pix_fmt(self, width: int, height: int) -> str:
        """The pixel format to encode a picture of this size in."""
        fixed = {"ffv1": "bgr0", "png": "rgb24", "libvpx-vp9": "yuv420p"}.get(self.codec)
        return fixed or ("yuv420p" if width % 2 == height % 2 == 0 else "yuv444p")


_MKV_AUDIO = _MP4_AUDIO | _PCM | {"vorbis", "truehd"}
_FORMATS = {
    ".mp4": OutputFormat("mp4", "libx264", _MP4_AUDIO, exact_ticks=True),
    ".m4v": OutputFormat("mp4", "libx264", _MP4_AUDIO, exact_ticks=True),
    ".mov": OutputFormat(
        "mov", "libx264", frozenset({"aac", "mp3", "ac3", "eac3", "alac"}) | _PCM, exact_ticks=True
    ),
    ".mkv": OutputFormat("matroska", "ffv1", _MKV_AUDIO),
    ".webm": OutputFormat("webm", "libvpx-vp9", frozenset({"opus", "vorbis"})),
    ".y4m": OutputFormat("yuv4mpegpipe", "rawvideo", constant_rate=True, names_matrix=False),
    ".png": OutputFormat("", "png", constant_rate=True),
}


def choose_format(path: str) -> OutputFormat:
    """The format for a path, by its extension; "-" (standard output) is y4m.

    Raises:
        UsageError: no such extension.
    """
    suffix = ".y4m" if path == "-" else PurePath(path).suffix.lower()
    if suffix not in _FORMATS:
        raise UsageError(
            f"{path}: unknown output format {suffix or '(no extension)'}",
            f"use one of {' '.join(sorted(_FORMATS))}",
        )
    return _FORMATS[suffix]


def output_color(form: OutputFormat, color: ColorTags, width: int, height: int) -> ColorTags:
    """The tags to convert and label the output by: the source's own, made definite.

    RGB sources (png, gif) get the matrix that a reader who ignores tags would guess from the size,
    in limited range; so does every source in a format that cannot name the matrix.
    """
    if color.matrix == 0:
        color = replace(color, matrix=2, full_range=False)
    if not form.names_matrix:
        color = replace(color, matrix=2)
    return resolve(color, width, height, form.pix_fmt(width, height))


def encoder_options(codec: str, crf: float | None, threads: int) -> dict[str, str]:
    """Options for FFmpeg's encoder `codec`; `crf` None is the default of `DEFAULT_CRF`."""
    quality = f"{DEFAULT_CRF.get(codec, 0) if crf is None else crf:g}"
    # Written into the H.264 and VP9 headers and the y4m line: where RgbToYuv puts the chroma
    # samples.
    options = {"chroma_sample_location": "left", "threads": str(threads)}
    if codec == "libx264":
        options |= {"crf": quality, "preset": "superfast", "tune": "psnr", "bf": "0"}
    elif codec == "libvpx-vp9":
        options |= {
            "crf": quality, "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1",
            "lag-in-frames": "0", "auto-alt-ref": "0",
        }  # fmt: skip
    elif codec == "ffv1":
        options = {"level": "3", "slicecrc": "1", "threads": str(threads)}
    elif codec == "png":
        options = {"threads": "1"}
    return options
