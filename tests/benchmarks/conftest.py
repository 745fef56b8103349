from __future__ import annotations

import os
import subprocess
import warnings
from pathlib import Path

import pytest
import torch
from lpips import LPIPS

from benchmarks.cache import Row
from benchmarks.ffmpeg import find_ffmpeg
from nvcodec.models.perceptual import FEATURES, VARIABLE
from tests.optional import missing

#: (point, bpp, LPIPS, PSNR, MS-SSIM) of each codec's made-up curve on its first clip.
CURVES = {
    "nvcodec": [(0, 0.10, 0.08, 29.0, 0.93), (21, 0.05, 0.12, 27.5, 0.91),
                (42, 0.02, 0.20, 25.5, 0.87), (63, 0.007, 0.33, 23.0, 0.80)],
    "hevc": [(25, 0.12, 0.09, 34.0, 0.97), (32, 0.05, 0.17, 31.0, 0.95),
             (39, 0.02, 0.28, 28.0, 0.90), (46, 0.006, 0.45, 25.0, 0.82)],
    "vvc": [(25, 0.11, 0.08, 34.5, 0.975), (32, 0.045, 0.14, 31.5, 0.955),
            (39, 0.018, 0.25, 28.5, 0.91), (46, 0.005, 0.42, 25.5, 0.83)],
}


def make_row(clip: str, codec: str, point: int, bpp: float, lpips: float, psnr: float,
             msssim: float) -> Row:
    return {
        "key": f"{clip}-{codec}-{point}", "clip": clip, "clip_sha256": "0" * 64,
        "source_width": 640, "source_height": 360, "frames": 12, "fps": 25.0, "width": 640,
        "height": 360, "master_pixels": f"{clip:0<24}"[:24], "codec": codec,
        "scale": "qp" if codec != "hevc" else "crf", "point": point, "version": f"{codec} 1",
        "settings": {"threads": 2, "preset": "medium"},
        "metrics": {"every": 1, "lpips": "alex v0.1", "lpips_weights": "abc"},
        "encode_command": ["ffmpeg"], "decode_command": ["ffmpeg"],
        "bytes": round(bpp * 12 * 640 * 360 / 8), "bpp": bpp, "lpips": lpips, "psnr": psnr,
        "msssim": msssim, "vmaf": None, "flicker": 3.0, "lpips_vgg": None, "metric_frames": 12,
        "encode_seconds": 2.0, "decode_seconds": 0.5,
        "encode_inner_seconds": 1.0 if codec == "nvcodec" else None,
        "decode_inner_seconds": 0.4 if codec == "nvcodec" else None,
        "encode_rss_mib": 100.0, "decode_rss_mib": 50.0, "jobs": 1, "processor": "a processor",
    }


@pytest.fixture
def rows() -> list[Row]:
    """Two clips, three codecs, four points; the second clip costs 1.5 times the bits."""
    return [make_row(clip, codec, point, bpp * scale, *quality)
            for clip, scale in (("alpha", 1.0), ("beta", 1.5))
            for codec, curve in CURVES.items() for point, bpp, *quality in curve]


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    return find_ffmpeg()


@pytest.fixture(scope="session")
def make_clip(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory):
    """make_clip(width, height, frames) -> a moving test pattern as H.264, index in front."""
    folder = tmp_path_factory.mktemp("clips")

    def make(width: int = 640, height: int = 360, frames: int = 5, name: str = "") -> Path:
        path = folder / (name or f"pattern-{width}x{height}-{frames}.mp4")
        if not path.exists():
            subprocess.run(
                [ffmpeg, "-v", "error", "-f", "lavfi", "-i", f"testsrc2=s={width}x{height}:r=25",
                 "-frames:v", str(frames), "-c:v", "libx264", "-qp", "8", "-bf", "0", "-g", "1",
                 "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-threads", "1",
                 "-vf", "setparams=range=tv:colorspace=bt709:color_primaries=bt709:"
                 "color_trc=bt709", "-movflags", "+faststart", str(path)], check=True)
        return path

    return make


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with random features in place of AlexNet's: LPIPS of another scale, 0 for equals."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision's, about how lpips calls it
        network = LPIPS(net="alex", pnet_rand=True, verbose=False).net
    folder = tmp_path_factory.mktemp("backbone")
    torch.save({f"features.{name.split('.', 1)[1]}": value
                for name, value in network.state_dict().items()}, folder / FEATURES["alex"])
    return folder


@pytest.fixture(scope="session")
def lpips_weights() -> Path:
    """The folder with LPIPS's real backbones: from the environment, or in shared/ beside the
    checkout. They are too large for the repository, and only its known values need them."""
    beside = Path(__file__).parents[3] / "shared" / "lpips"
    for place in (os.environ.get(VARIABLE), beside):
        if place and all((Path(place) / file).exists() for file in FEATURES.values()):
            return Path(place)
    missing(f"no LPIPS backbone weights here (set {VARIABLE} to a folder with "
            f"{', '.join(FEATURES.values())})", "NVCODEC_REQUIRE_LPIPS")
