"""Motion in decoded pictures, carried on to the next ones. It costs no bits: whoever decodes sees
the same pictures.

Lucas and Kanade's registration on a pyramid ("An iterative image registration technique", IJCAI
1981; Bouguet, "Pyramidal implementation", Intel 2000). Its answer changes little where pictures
change little, as the choice among blocks would not: a decoder whose arithmetic differs in the last
digits sees the same motion.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: Levels of the pyramid that are looked at, coarse to fine: powers of two that sides shrink by.
LEVELS = (5, 4, 3, 2)
#: Steps on each level, and the side of the windows that share a motion, in pixels of the level.
STEPS, WINDOW = 2, 5
#: The side of the windows that motion is averaged over after each step.
SMOOTH = 9
#: Pull towards the coarser level's answer, in squared gradients of luma from -1 to 1.
CALM = 1e-3
#: No step is longer, in pixels of the level.
STRIDE = 1.5
#: Motion below this many pixels is taken for none the more the smaller it is: pictures that stand
#: still would be smoothed away by steps of a tenth of a pixel.
TREMBLE = 0.3
#: Motion is believed where it explains a picture better than standing still does, by so many nats,
#: and how sharply that is taken.
MARGIN, PROOF = 0.1, 20.0
#: The side of the windows in which the two are compared, in steps of four pixels, and what is added
#: to distances (a level of 8 bits).
AROUND, FLOOR = 5, 0.008
LUMA = (0.299, 0.587, 0.114)


@torch.no_grad()
def motion(older: Tensor, last: Tensor) -> Tensor:
    """Two pictures [B, H, W, 3] in [-1, 1] -> how far what is in `last` has come since `older`, in
    pixels (x, y): [B, 2, H/4, W/4], so that last(p) is about older(p - motion(p)).

    H and W are whole multiples of 4, at least 8.
    """
    return _registered(luma(older), luma(last))


@torch.no_grad()
def moved_on(a: Tensor, b: Tensor) -> Tensor:
    """Planes [B, 1, H, W] -> `a` moved along what `motion` finds from it to `b`, of that shape."""
    return shifted(a, _resized(_registered(a, b), a.shape[2:]))


def _registered(a: Tensor, b: Tensor) -> Tensor:
    """`motion` of two planes [B, 1, H, W], some 2 from black to white."""
    found: Tensor | None = None
    for level in _levels(min(a.shape[2:])):
        first, second = (F.avg_pool2d(v, 2**level) for v in (a, b))
        found = a.new_zeros(a.shape[0], 2, *first.shape[2:]) if found is None else 2 * _resized(
            found, first.shape[2:])
        for _ in range(STEPS):
            found = averaged(found + _step(shifted(first, found), second), SMOOTH)
    assert found is not None
    found = 2**LEVELS[-1] * found
    size = found.square().sum(1, keepdim=True)
    return found * (size / (size + TREMBLE**2)) * _believed(a, b, found)


def carried_on(last: Tensor, flow: Tensor, shares: Tensor) -> Tensor:
    """A picture [B, H, W, 3] moved on by shares [T] or [B, T] of a motion [B, 2, H/4, W/4] ->
    float32 [B, T, H, W, 3], with gradients to the picture."""
    full = _resized(flow, last.shape[1:3])
    planes = last.float().permute(0, 3, 1, 2)[:, None].expand(-1, shares.shape[-1], -1, -1, -1)
    moves = full[:, None] * shares.to(full)[..., None, None, None]
    # All at once: threads share out the pictures of a batch.
    moved = shifted(planes.flatten(0, 1), moves.flatten(0, 1), "bicubic")
    # Contiguous: mixing layouts takes half again as long in all that comes after.
    return moved.permute(0, 2, 3, 1).contiguous().unflatten(0, moves.shape[:2])


def shifted(planes: Tensor, moves: Tensor, mode: str = "bilinear") -> Tensor:
    """[N, C, H, W] at p - moves(p), moves [N, 2, H, W] in pixels (x, y); edges repeat."""
    height, width = planes.shape[2:]
    x, y = (torch.arange(1, 2 * n, 2, device=moves.device) / n - 1 for n in (width, height))
    grid = torch.stack((x - moves[:, 0] * (2 / width), y[:, None] - moves[:, 1] * (2 / height)), -1)
    return F.grid_sample(planes, grid, mode=mode, padding_mode="border", align_corners=False)


def _believed(a: Tensor, b: Tensor, found: Tensor) -> Tensor:
    """Luma of two pictures [B, 1, H, W] and the motion found -> what to believe of it, 0 to 1,
    [B, 1, H/4, W/4]: nothing where standing still explains the second one as well.

    A window that shares a motion may hold a body and the background that it passes.
    """
    moved = shifted(a, _resized(found, a.shape[2:]))
    gone, stood = (averaged(F.avg_pool2d((v - b).abs(), 4), AROUND) + FLOOR for v in (moved, a))
    return torch.sigmoid(PROOF * ((stood / gone).log() - MARGIN))


def _levels(side: int) -> list[int]:
    """Those on which the shorter side has four pixels, and the finest."""
    return [n for n in LEVELS if side >> n >= 4 or n == LEVELS[-1]]


def luma(picture: Tensor) -> Tensor:
    """[B, H, W, 3] -> float32 [B, 1, H, W]."""
    p = picture.float()
    return (LUMA[0] * p[..., 0] + LUMA[1] * p[..., 1] + LUMA[2] * p[..., 2])[:, None]


def _step(a: Tensor, b: Tensor) -> Tensor:
    """Planes [B, 1, h, w] -> how far b lies from a around each pixel, [B, 2, h, w]."""
    wide = F.pad((a + b) / 2, (1, 1, 1, 1), mode="replicate")
    x = (wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2]) / 2
    y = (wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]) / 2
    e = b - a
    products = torch.cat((x * x, x * y, y * y, x * e, y * e), 1)
    xx, xy, yy, xe, ye = averaged(products, WINDOW).split(1, dim=1)
    xx, yy = xx + CALM, yy + CALM
    found = torch.cat((xy * ye - yy * xe, xy * xe - xx * ye), 1) / (xx * yy - xy * xy)
    return found.clamp(-STRIDE, STRIDE)


def averaged(planes: Tensor, side: int) -> Tensor:
    """Means over `side` by `side` pixels around each one of [N, C, H, W]; fewer at the edges."""
    return F.avg_pool2d(planes, side, 1, side // 2, count_include_pad=False)


def _resized(planes: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(planes, size, mode="bilinear", align_corners=False)
