"""ffmpeg: what a video is, browser-safe encodes of it, how far these are from it.

One recipe for every method, for the source and for the gold distortion: 8-bit 4:2:0, BT.709
limited range, constant frame rate, no B frames, no audio, no metadata.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from benchmarks.ffmpeg import INSTALL, QUIET, find_ffmpeg
from rater_study.errors import StudyError

#: ffmpeg's options by codec: near lossless, first frame a key frame so that a loop starts at once.
CODECS = {
    "h264": ("-c:v", "libx264", "-preset", "medium", "-crf", "8", "-bf", "0", "-profile:v", "high",
             # Without the encoder's note about itself.
             "-bsf:v", "filter_units=remove_types=6"),
    "vp9": ("-c:v", "libvpx-vp9", "-crf", "8", "-b:v", "0", "-deadline", "good", "-cpu-used", "4",
            "-row-mt", "1", "-auto-alt-ref", "0", "-lag-in-frames", "0"),
}
SUFFIX = {"h264": ".mp4", "vp9": ".webm"}
#: The gold pair's distortion: resolution divided by this, then stretched back.
GOLD_DIVISOR = 10
_TAGS = ("setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709:"
         "chroma_location=left")


@dataclass(frozen=True)
class Video:
    """A video's size in pixels, frames, rate as a fraction, and whether it names its matrix."""

    width: int
    height: int
    frames: int
    fps: str
    tagged: bool


def run(argv: Sequence[str], about: Path) -> str:
    """A command's two outputs together; StudyError about `about` where it fails."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, errors="replace",
                              stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        raise StudyError(f"{argv[0]}: cannot be run ({error.strerror})", INSTALL) from None
    if done.returncode:
        said = " / ".join(done.stderr.strip().splitlines()[-2:]) or f"status {done.returncode}"
        raise StudyError(f"{about}: {said}", "check that it is a whole video, or leave it out")
    return done.stdout + done.stderr


def probe(path: Path) -> Video:
    """Decode the whole file and say what it is. StudyError where it is damaged or no video."""
    said = run([find_ffmpeg(), "-hide_banner", "-nostdin", "-v", "info", "-xerror", "-i", str(path),
                "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framecrc", "-"], path)
    size = re.search(r"#dimensions 0: (\d+)x(\d+)", said)
    base = re.search(r"#tb 0: (\d+)/(\d+)", said)
    pixels = re.search(r"Stream #0.*?: Video: [^\n]*?, (\w+)\(([^)]*)\)", said)
    frames = len(re.findall(r"^0, .*0x", said, re.MULTILINE))
    if not size or not base or not frames:
        raise StudyError(f"{path}: holds no frames", "check that it is a whole video")
    tagged = bool(pixels and re.search(r"bt709|bt470bg|smpte170m|bt2020|gbr", pixels[2]))
    rgb = bool(pixels and re.match(r"(gbr|rgb|bgr|argb|abgr)", pixels[1]))
    rate = Fraction(int(base[2]), int(base[1]))
    return Video(int(size[1]), int(size[2]), frames, str(rate), tagged or rgb)


def filters(video: Video, fps: str, gold: bool = False) -> str:
    """The chain from decoded samples to what the browser gets. Untagged YUV counts as BT.709."""
    source = "" if video.tagged else ":in_color_matrix=bt709"
    width, height = video.width // 2 * 2, video.height // 2 * 2
    chain = [f"crop={width}:{height}:0:0:exact=1"]
    if gold:
        small = [max(2, side // GOLD_DIVISOR) for side in (width, height)]
        chain += [f"scale={small[0]}:{small[1]}:flags=area",
                  f"scale={width}:{height}:flags=bilinear"]
    return ",".join([*chain, f"scale=flags=lanczos+accurate_rnd+full_chroma_int{source}"
                     ":out_color_matrix=bt709:out_range=tv:out_chroma_loc=left",
                     "format=yuv420p", _TAGS, f"settb={1 / Fraction(fps)}", "setpts=N"])


def encode(path: Path, video: Video, target: Path, fps: str, frames: int, codec: str,
           gold: bool = False) -> None:
    """Write the first `frames` frames of `path` to `target` at `fps`, by the recipe."""
    run([find_ffmpeg(), *QUIET, "-i", str(path),
         "-map", "0:v:0", "-an", "-frames:v", str(frames), "-vf", filters(video, fps, gold),
         "-fps_mode", "passthrough", *CODECS[codec], "-g", str(frames), "-map_metadata", "-1",
         "-fflags", "+bitexact", "-flags:v", "+bitexact", "-movflags", "+faststart",
         "-pix_fmt", "yuv420p", str(target)], path)


def psnr(path: Path, video: Video, encoded: Path, fps: str) -> float:
    """PSNR in dB of an encode against the 4:2:0 samples it was made from; 100 where identical."""
    graph = (f"[0:v]{filters(video, fps)}[a];[1:v]settb={1 / Fraction(fps)},setpts=N[b];"
             "[b][a]psnr=shortest=1")
    said = run([find_ffmpeg(), "-hide_banner", "-nostdin", "-v", "info", "-i", str(path),
                "-i", str(encoded), "-lavfi", graph, "-f", "null", "-"], encoded)
    found = re.search(r"PSNR .*average:(\S+)", said)
    if not found:
        raise StudyError(f"{encoded}: its PSNR could not be measured", "prepare the study again")
    return 100.0 if found[1] == "inf" else float(found[1])


def plain_copy(path: Path, target: Path, frames: int) -> None:
    """The decode of any video as lossless FFV1, in its own pixel format."""
    run([find_ffmpeg(), "-hide_banner", "-nostdin", "-v", "error", "-y", "-i", str(path),
         "-map", "0:v:0", "-an", "-frames:v", str(frames), "-fps_mode", "passthrough",
         "-vf", "setparams=chroma_location=left", "-c:v", "ffv1", "-level", "3", str(target)],
        path)


def decode_mvt(path: Path, target: Path) -> None:
    """A .mvt file through nvcodec's own command, the one way this package reaches the codec."""
    run([sys.executable, "-m", "nvcodec", "decode", str(path), "-o", str(target), "-f", "--quiet"],
        path)
