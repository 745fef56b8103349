"""Quality of a decode against its master: LPIPS, PSNR, MS-SSIM, VMAF and temporal flicker.

LPIPS, PSNR and MS-SSIM come from nvcodec.quality.Meter, per frame in 8-bit RGB, averaged over the
measured frames. VMAF (Netflix, model vmaf_v0.6.1) comes from ffmpeg's libvmaf, on luma. Flicker is
ours: the root mean square over all pixels and pairs of neighbouring frames of
(decoded[t] - decoded[t-1]) - (source[t] - source[t-1]), in 8-bit levels: 0 where motion is kept
exactly, and growing with pumping, shimmer and lost motion alike.
"""

from __future__ import annotations

import json
import math
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.clips import file_sha256
from benchmarks.ffmpeg import QUIET, ffmpeg_version, has_vmaf
from benchmarks.process import Runner, Stopped
from nvcodec.errors import InputError, UsageError
from nvcodec.models.perceptual import find_weights, load_lpips
from nvcodec.models.registry import ModelError
from nvcodec.quality import Meter
from nvcodec.video.reader import open_video

RGB = NDArray[np.uint8]
#: Called with each frame's index, source and decoded frame.
Watcher = Callable[[int, RGB, RGB], None]


@dataclass(frozen=True)
class Settings:
    """What is measured.

    Attributes:
        every: LPIPS, PSNR, MS-SSIM and VMAF on each Nth frame; flicker on all.
        weights: file or folder with LPIPS backbones; None looks where they may lie.
        vgg: also LPIPS with the VGG backbone.
        ffmpeg: binary for VMAF; "" leaves VMAF out.
    """

    every: int = 1
    weights: Path | None = None
    vgg: bool = False
    ffmpeg: str = ""

    def identity(self) -> dict[str, Any]:
        """What decides the figures, for a row and its key: never a path of this machine."""
        file = find_weights("alex", self.weights)
        return {
            "every": self.every, "colour": "8-bit RGB from BT.709", "lpips": "alex v0.1",
            "lpips_weights": file_sha256(file)[:16] if file else "the lpips package's own",
            "lpips_vgg": self.vgg, "msssim": "pytorch-msssim, RGB",
            "vmaf": f"vmaf_v0.6.1, ffmpeg {ffmpeg_version(self.ffmpeg)}"
            if self.ffmpeg and has_vmaf(self.ffmpeg) else None,
        }


class Metrics:
    """Measures decodes; one per benchmark. Safe across threads: each gets networks of its own."""

    def __init__(self, settings: Settings, runner: Runner) -> None:
        self.settings, self.runner = settings, runner
        self._local = threading.local()

    def check(self) -> None:
        """Load the networks once, to fail early. UsageError where LPIPS has no weights."""
        if not self._meter().has_lpips:
            raise UsageError("LPIPS has no backbone weights, and they could not be downloaded",
                             "name them with --lpips-weights or NVCODEC_LPIPS_WEIGHTS")
        if self.settings.vgg:
            self._vgg()

    def measure(self, master: Path, decoded: Path, watch: Watcher | None = None
                ) -> dict[str, float | int | None]:
        """Figures of one decode. InputError where it has not the master's number of frames."""
        meter, vgg = self._meter(), self._vgg() if self.settings.vgg else None
        figures: list[tuple[float, float, float]] = []
        vggs: list[float] = []
        flicker = Flicker()
        for i, (x, y) in enumerate(self._pairs(master, decoded)):
            flicker.add(x, y)
            if i % self.settings.every == 0:
                figures.append(meter.add(x, y))
                if vgg is not None:
                    vggs.append(_distance(vgg, x, y))
            if watch:
                watch(i, x, y)
        psnr, msssim, lpips = (float(v) for v in np.mean(figures, axis=0))
        return {"lpips": lpips, "psnr": psnr, "msssim": msssim,
                "vmaf": self._vmaf(master, decoded), "flicker": flicker.result(),
                "lpips_vgg": float(np.mean(vggs)) if vggs else None,
                "metric_frames": len(figures)}

    def _pairs(self, master: Path, decoded: Path) -> Iterator[tuple[RGB, RGB]]:
        with open_video(master) as a, open_video(decoded) as b:
            for count, (x, y) in enumerate(zip_longest(a.frames(), b.frames())):
                if self.runner.stopped:
                    raise Stopped
                if x is None or y is None:
                    raise InputError(f"{decoded.name}: has not as many frames as its master "
                                     f"(the first {count} match)",
                                     "its codec dropped or added frames")
                yield x.rgb, y.rgb

    def _meter(self) -> Meter:
        """This thread's own; its running means are not used, so one serves every decode."""
        if not hasattr(self._local, "meter"):
            try:
                self._local.meter = Meter("alex", self.settings.weights, download=True)
            except ModelError as error:
                problem, _, remedy = str(error).partition("; ")
                raise UsageError(problem, remedy or "name them with --lpips-weights") from error
        meter: Meter = self._local.meter
        return meter

    def _vgg(self) -> nn.Module:
        if not hasattr(self._local, "vgg"):
            try:
                self._local.vgg = load_lpips("vgg", self.settings.weights)
            except ModelError as error:
                problem, _, remedy = str(error).partition("; ")
                raise UsageError(problem, remedy or "leave --vgg out") from error
        network: nn.Module = self._local.vgg
        return network

    def _vmaf(self, master: Path, decoded: Path) -> float | None:
        if not self.settings.ffmpeg or not has_vmaf(self.settings.ffmpeg):
            return None
        with tempfile.TemporaryDirectory(prefix="nvcodec-vmaf-") as folder:
            log = Path(folder) / "vmaf.json"
            self.runner.run(vmaf_argv(self.settings.ffmpeg, master, decoded, log,
                                      self.settings.every))
            score = json.loads(log.read_text())["pooled_metrics"]["vmaf"]["mean"]
        return float(score)


class Flicker:
    """Error of frame differences; see the module's docstring."""

    def __init__(self) -> None:
        self._last: NDArray[np.int16] | None = None
        self._squares: list[float] = []

    def add(self, source: RGB, decoded: RGB) -> None:
        """The next pair of frames, uint8 [H, W, 3] each."""
        # The difference of differences is the change of the error between two frames.
        error = decoded.astype(np.int16) - source
        if self._last is not None:
            change = (error - self._last).astype(np.float32)
            self._squares.append(float(np.mean(np.square(change))))
        self._last = error

    def result(self) -> float | None:
        """In 8-bit levels; None for a single frame."""
        return math.sqrt(float(np.mean(self._squares))) if self._squares else None


def vmaf_argv(ffmpeg: str, master: Path, decoded: Path, log: Path, every: int) -> list[str]:
    """The command that scores `decoded` into a JSON `log`. Frames pair by number, not by time."""
    alike = ("setpts=N/25/TB,scale=out_color_matrix=bt709:out_range=tv:"
             "flags=accurate_rnd+full_chroma_int+bicubic,format=yuv420p")
    graph = (f"[0:v]{alike}[d];[1:v]{alike}[r];"
             f"[d][r]libvmaf=log_fmt=json:log_path={log}:n_subsample={every}:n_threads=1")
    return [ffmpeg, *QUIET, "-i", str(decoded), "-i", str(master), "-lavfi", graph,
            "-f", "null", "-"]


def _distance(network: nn.Module, source: RGB, decoded: RGB) -> float:
    with torch.inference_mode():
        a, b = (torch.from_numpy(f).permute(2, 0, 1)[None].float() / 127.5 - 1
                for f in (source, decoded))
        return float(network(a, b))
