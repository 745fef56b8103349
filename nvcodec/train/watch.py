"""Looking at a run: validation figures at several qp and a sheet of picture pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nvcodec.models.tokenizer import pad_frames
from nvcodec.train.losses import bit_costs
from nvcodec.train.objective import Objective

WATCHED_QP = (0, 24, 48, 60)


@torch.no_grad()
def evaluate(objective: Objective, weights: Mapping[str, Tensor],
             clips: Sequence[Tensor]) -> tuple[list[dict[str, float]], list[Tensor]]:
    """Averaged weights on uint8 clips [T, H, W, 3] -> (a row for each qp, picture pairs).

    LPIPS is the first backbone's of the recipe, over every frame, and of the first and the last
    one alone (does a memory gain or lose over time?); pairs are each clip's last frame and what
    comes of it at the second qp, uint8 [2, H, W, 3].
    """
    tokenizer = objective.tokenizer
    current = {k: v.detach().clone() for k, v in tokenizer.state_dict().items()}
    tokenizer.load_state_dict(dict(weights))
    rows, pairs = [], []
    for qp in WATCHED_QP:
        measured = [_measure(objective, clip, qp) for clip in clips]
        rows.append({"qp": qp, **{name: round(float(np.mean([m[0][name] for m in measured])), 5)
                                  for name in measured[0][0]}})
        if qp == WATCHED_QP[1]:
            pairs = [torch.stack((c[-1].cpu(), m[1])) for c, m in zip(clips, measured, strict=True)]
    tokenizer.load_state_dict(current)
    return rows, pairs


def _measure(objective: Objective, clip: Tensor, qp: int) -> tuple[dict[str, float], Tensor]:
    """Figures of one clip, and its last frame decoded."""
    metric = objective.perceptual.metrics[0]
    x = clip.float() / 127.5 - 1
    level = torch.full((1,), qp, device=clip.device)
    padded = pad_frames(x, objective.tokenizer.config.spatial_stride)[None]
    passage = objective.tokenizer(padded, level, objective.sender(level))
    y = passage.pictures[0, :, :x.shape[1], :x.shape[2]].float().clamp(-1, 1)
    q = passage.signs
    bits = bit_costs(objective.prior(q, level), q)[0].mean()
    lpips = torch.cat([metric(*(v.permute(0, 3, 1, 2) for v in pair)).flatten()
                       for pair in zip(x.split(8), y.split(8), strict=True)])
    figures = {"bpp": bits * q[..., 0].numel() / x[..., 0].numel(), "lpips": lpips.mean(),
               "psnr": -10 * ((x - y).square().mean() / 4).log10(),
               "lpips_first": lpips[0], "lpips_last": lpips[-1]}
    return ({name: float(value) for name, value in figures.items()},
            ((y[-1] + 1) * 127.5).round().to(torch.uint8).cpu())


def write_sheet(pairs: Sequence[Tensor], path: Path) -> None:
    """uint8 pairs [2, H, W, 3] -> PNG, sources above; what is larger than the smallest is cut."""
    from nvcodec.video.stills import write_png

    height, width = (min(p.shape[axis] for p in pairs) for axis in (1, 2))
    rows = [np.concatenate([p[i, :height, :width].numpy() for p in pairs], axis=1)
            for i in range(2)]
    write_png(path, np.concatenate(rows, axis=0), force=True)
