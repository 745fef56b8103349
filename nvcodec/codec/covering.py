"""Backgrounds, laid over the pictures of segments when these are decoded."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

import bitstream
from nvcodec.models import background as arithmetic
from nvcodec.models.background import CHROMA_STEP, EARLY_CHROMA_STEP, Cover


def covered(pictures: Iterator[Tensor], background: bitstream.Background, stride: int
            ) -> Iterator[Tensor]:
    """A segment's coded pictures, uint8 [H, W, 3], with its background over them.

    Latent frames after the first stand for `stride` of them each. Those before the reference wait
    for it.
    """
    waiting: list[Tensor] = []
    cover: Cover | None = None
    for number, picture in enumerate(pictures):
        waiting.append(picture)
        if number < background.turn * stride:
            continue
        if cover is None:
            cover = _cover(background, picture)
        for place, one in enumerate(waiting, number + 1 - len(waiting)):
            shown = _shown(background, -(-place // stride))
            moves = None if background.moves is None else background.moves[place]
            yield cover.over(one, shown, moves)
        waiting.clear()


def _shown(background: bitstream.Background, turn: int) -> Tensor | None:
    """Blocks that are shown in a latent frame whatever is decoded, and those that are not told of,
    whose neighbours may be."""
    if background.shown is None:
        return None
    return torch.from_numpy(background.shown[turn] | ~background.planes[0].told).float()


def _cover(background: bitstream.Background, reference: Tensor) -> Cover:
    size = background.step_size
    chroma = size * (CHROMA_STEP if background.fade else EARLY_CHROMA_STEP)
    told = torch.from_numpy(background.planes[0].told)
    quarters = arithmetic.quarters(told)
    less = arithmetic.faded(reference, background.fade)
    planes = [step * torch.from_numpy(plane.levels) - without * there[..., None, None]
              for plane, step, without, there in zip(
                  background.planes, (size, chroma, chroma), less, (told, quarters, quarters),
                  strict=True)]
    return Cover(reference, arithmetic.difference_of(*planes), told.float())
