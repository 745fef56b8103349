"""Random crops of clips uint8 [T, H, W, 3], cut on the device that holds them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

#: Share of crops that are shrunk by two, which makes sharper content of large pictures.
SHRUNK = 0.35


@dataclass(frozen=True)
class ClipShape:
    """What a batch looks like: frames of size x size pixels."""

    batch: int
    frames: int
    size: int
    #: Share of clips that are photos, standing still or panned over.
    panned: float = 0.0


def pan(rng: np.random.Generator, photo: Tensor, shape: ClipShape) -> Tensor | None:
    """A crop [T, size, size, 3] that stands still or moves over a photo [H, W, 3] at one speed.

    Few real clips do either for long, and a memory has most to learn from them. A third of the
    crops are shrunk by two as they move, so that steps of half a pixel occur.
    """
    factor = _factor(rng, photo.shape[:2], shape.size)
    side = shape.size * factor
    room = np.array(photo.shape[:2]) - side
    if room.min() < 0:
        return None
    speed = rng.uniform(-4, 4, 2) * rng.random() * (rng.random() < 0.6)
    travel = np.clip(speed * (shape.frames - 1), -room, room)
    start = np.maximum(-travel, 0) + rng.random(2) * (room - np.abs(travel))
    path = (start + np.linspace(0, 1, shape.frames)[:, None] * travel).round().astype(int).tolist()
    flipped = rng.random() < 0.5
    steps = path if any(p != path[0] for p in path) else path[:1]
    frames = [_finished(photo[y:y + side, x:x + side], factor, flipped) for y, x in steps]
    return torch.stack(frames).expand(shape.frames, -1, -1, -1)


def random_crop(rng: np.random.Generator, clip: Tensor, shape: ClipShape) -> Tensor | None:
    """A crop [T, size, size, 3], a third of them shrunk by two, strides 1-2, flipped at will.

    A clip of at least half the length that is wanted is played forth and back.
    """
    length = len(clip)
    stride = int(rng.integers(1, 3)) if length >= 2 * shape.frames else 1
    factor = _factor(rng, clip.shape[1:3], shape.size)
    span, side = (shape.frames - 1) * stride + 1, shape.size * factor
    if 2 * length < span or min(clip.shape[1:3]) < side:
        return None
    t = int(rng.integers(max(length - span, 0) + 1))
    y = int(rng.integers(clip.shape[1] - side + 1))
    x = int(rng.integers(clip.shape[2] - side + 1))
    part = clip[:, y:y + side, x:x + side]
    if t + span <= length:
        crop = part[t:t + span:stride]
    else:
        last = length - 1
        steps = t + stride * torch.arange(shape.frames, device=clip.device)
        crop = part[last - (last - steps % max(2 * last, 1)).abs()]
    crop = _finished(crop, factor, rng.random() < 0.5)
    return crop.flip(0) if rng.random() < 0.1 else crop


def _factor(rng: np.random.Generator, picture: tuple[int, ...], size: int) -> int:
    """By how much a crop is shrunk."""
    return 2 if rng.random() < SHRUNK and min(picture) >= 2 * size else 1


def _finished(crop: Tensor, factor: int, flipped: bool) -> Tensor:
    if factor == 2:
        crop = halved(crop)
    return crop.flip(-2) if flipped else crop


def halved(pictures: Tensor) -> Tensor:
    """uint8 [..., H, W, 3] -> [..., H / 2, W / 2, 3], means of 2x2 pixels."""
    *_, height, width, channels = pictures.shape
    blocks = pictures.short().reshape(-1, height // 2, 2, width // 2, 2, channels)
    means = (blocks.sum((2, 4), dtype=torch.int16) + 2) // 4
    return means.to(torch.uint8).view(*pictures.shape[:-3], height // 2, width // 2, channels)
