"""Looking at a run: validation figures at several qp and a sheet of picture pairs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nvcodec.train.losses import bit_costs
from nvcodec.train.objective import Objective
from nvcodec.train.signs import sender

WATCHED_QP = (0, 24, 48, 60)


@torch.no_grad()
def evaluate(objective: Objective, weights: Mapping[str, Tensor],
             clips: Tensor) -> tuple[list[dict[str, float]], Tensor]:
    """Averaged weights on uint8 clips [N, T, H, W, 3] -> (a row for each qp, picture pairs).

    LPIPS is the first backbone's of the recipe, over every frame, and of the first and the last
    one alone (does a memory gain or lose over time?); pairs are the last frames of up
    to 8 clips at the second qp, uint8 [N, 2, H, W, 3].
    """
    tokenizer = objective.tokenizer
    current = {k: v.detach().clone() for k, v in tokenizer.state_dict().items()}
    tokenizer.load_state_dict(dict(weights))
    rows, pairs = [], torch.empty(0)
    for qp in WATCHED_QP:
        figures, made = _measure(objective, clips, qp)
        rows.append({"qp": qp, **figures})
        if qp == WATCHED_QP[1]:
            pairs = torch.stack((clips[:8, -1].cpu(), made[:8]), dim=1)
    tokenizer.load_state_dict(current)
    return rows, pairs


def _measure(objective: Objective, clips: Tensor, qp: int) -> tuple[dict[str, float], Tensor]:
    metric = objective.perceptual.metrics[0]
    sums = np.zeros(5)
    last = []
    for clip in clips.split(4):
        x = clip.float() / 127.5 - 1
        level = torch.full((len(clip),), qp, device=clip.device)
        passage = objective.tokenizer(x, level, sender(objective.signs, level))
        y, q = passage.pictures.float().clamp(-1, 1), passage.signs
        bits = bit_costs(objective.prior(q, level), q)[0].mean(1)
        bpp = bits * q[0, ..., 0].numel() / x[0, ..., 0].numel()
        pair = [v.flatten(0, 1).permute(0, 3, 1, 2) for v in (x, y)]
        mse = (x - y).square().mean((1, 2, 3, 4)) / 4
        psnr = -10 * mse.log10()
        lpips = metric(*pair).view(len(clip), -1)
        sums += [float(v.sum()) for v in (bpp, lpips.mean(1), psnr, lpips[:, 0], lpips[:, -1])]
        last.append(((y[:, -1] + 1) * 127.5).round().to(torch.uint8).cpu())
    names = ("bpp", "lpips", "psnr", "lpips_first", "lpips_last")
    return {n: round(float(v) / len(clips), 5)
            for n, v in zip(names, sums, strict=True)}, torch.cat(last)


def write_sheet(pairs: Tensor, path: Path) -> None:
    """uint8 pairs [N, 2, H, W, 3] -> PNG, source above reconstruction."""
    from nvcodec.video.stills import write_png

    rows = [np.concatenate(list(pairs[:, i].numpy()), axis=1) for i in range(2)]
    write_png(path, np.concatenate(rows, axis=0), force=True)
