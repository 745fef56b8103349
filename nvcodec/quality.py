"""Picture quality of a decoded video against its source: PSNR, MS-SSIM and LPIPS.

Every figure is computed on 8-bit RGB after decoding, frame by frame, then averaged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nvcodec.errors import UsageError
from nvcodec.models.perceptual import load_lpips
from nvcodec.models.registry import ModelError

RGB = NDArray[np.uint8]
#: PSNR of equal frames, in dB; the true value is infinite and would spoil every mean.
PSNR_CAP = 100.0
#: MS-SSIM halves pictures four times under an 11-pixel window.
MSSSIM_SIDE = 161


@dataclass(frozen=True)
class Quality:
    """Means over frames.  lpips is None without backbone weights, msssim below 161 pixels."""

    frames: int
    psnr: float
    msssim: float | None
    lpips: float | None

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)


class Meter:
    """Takes pairs of frames, gives their mean quality.

    Args:
        net: LPIPS backbone, or None to leave LPIPS out.
        weights: folder or file of the backbone's weights; None looks where it may lie.
        download: let the lpips package fetch a backbone that is not here.
    """

    def __init__(self, net: str | None = "alex", weights: Path | None = None,
                 download: bool = False) -> None:
        self._lpips = None
        if net is not None:
            try:
                self._lpips = load_lpips(net, weights, download)
            except ModelError:
                if weights is not None:
                    raise
        self._rows: list[tuple[float, float, float]] = []

    @property
    def has_lpips(self) -> bool:
        """Whether LPIPS is measured."""
        return self._lpips is not None

    @torch.inference_mode()
    def add(self, source: RGB, decoded: RGB) -> tuple[float, float, float]:
        """Measure one pair, uint8 [H, W, 3] each: (PSNR dB, MS-SSIM, LPIPS), NaN where missing."""
        if source.shape != decoded.shape:
            raise UsageError(f"frames of {source.shape[:2]} and {decoded.shape[:2]} pixels",
                             "compare videos of one size")
        error = float(np.mean(np.square(source.astype(np.float32) - decoded)))
        psnr = min(PSNR_CAP, 10 * math.log10(255**2 / error)) if error else PSNR_CAP
        a, b = (torch.from_numpy(np.ascontiguousarray(f)).permute(2, 0, 1)[None].float()
                for f in (source, decoded))
        row = (psnr, self._msssim(a, b), self._perceptual(a, b))
        self._rows.append(row)
        return row

    def result(self) -> Quality:
        """Means of what was added."""
        if not self._rows:
            raise UsageError("there are no frames to compare", "give videos with frames")
        psnr, msssim, lpips = (float(v) for v in np.mean(self._rows, axis=0))
        return Quality(len(self._rows), psnr, None if math.isnan(msssim) else msssim,
                       None if math.isnan(lpips) else lpips)

    @staticmethod
    def _msssim(a: torch.Tensor, b: torch.Tensor) -> float:
        from pytorch_msssim import ms_ssim

        if min(a.shape[-2:]) < MSSSIM_SIDE:
            return math.nan
        return float(ms_ssim(a, b, data_range=255))

    def _perceptual(self, a: torch.Tensor, b: torch.Tensor) -> float:
        if self._lpips is None:
            return math.nan
        return float(self._lpips(a / 127.5 - 1, b / 127.5 - 1))


def zip_frames(a: Iterable[RGB], b: Iterable[RGB]) -> Iterable[tuple[RGB, RGB]]:
    """Pairs of frames; UsageError where one video is longer."""
    try:
        yield from zip(a, b, strict=True)
    except ValueError:
        raise UsageError("the videos have different numbers of frames",
                         "compare a decode with the very clip it came from") from None


def side_by_side(frames: Iterable[RGB]) -> RGB:
    """Pictures of one height next to each other, with a thin white bar between."""
    parts: list[RGB] = []
    for frame in frames:
        if parts:
            parts.append(np.full((frame.shape[0], 4, 3), 255, np.uint8))
        parts.append(frame)
    return np.concatenate(parts, axis=1)
