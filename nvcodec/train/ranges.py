"""What the 8-bit form of a trained tokenizer must know: the ranges of its convolutions' inputs."""

from __future__ import annotations

import torch

from nvcodec.models import int8, lfq
from nvcodec.models.tokenizer import Tokenizer
from nvcodec.train.crops import ClipShape
from nvcodec.train.data import ClipPool

#: Quality steps that the ranges are measured at.
LEVELS = (0, 21, 42, 63)
#: Crops to look at, how many at once, and their frames.
CROPS, BATCH, FRAMES = 24, 8, 9


def tokenizer_ranges(model: Tokenizer, pool: ClipPool, side: int) -> int8.Ranges:
    """Ranges while crops of training clips go through the encoder and back through the decoder.

    `side` is that of the crops, in pixels.
    """
    clips = pool.batch(0, ClipShape(CROPS, FRAMES, side))

    @torch.inference_mode()
    def run() -> None:
        for qp in LEVELS:
            for part in clips.split(BATCH):
                z = model.encode(part / 127.5 - 1, qp)
                model.decode(lfq.quantize(z), qp)

    return int8.measure_ranges(model, run)
