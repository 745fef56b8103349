"""Which spacing a segment is coded with, from trials on its beginning.

Half of the frames, coded better for the same bits, beat all of them wherever the others can be made
from their neighbours: pans over towns and leaves, slow drawings. Where bodies turn and cameras
shake it is the other way round: with a picture more between each two frames, coded worse, what is
seen comes out better. No measure of the source tells the cases apart as well as trying does
(docs/rate-control.md has the figures).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log

import numpy as np
import torch
from torch import Tensor

from nvcodec.codec.coders import Packer, TokenCoder
from nvcodec.codec.options import LEAST_QP
from nvcodec.codec.segment import signs_of, strength_at
from nvcodec.models.between import between
from nvcodec.models.tokenizer import Sent, Tokenizer, pad_frames
from nvcodec.video.info import Frame

#: What a trial looks at: so many frames, the middle of them, at most so many pixels a side.
TRIED_FRAMES, TRIED_SIDE = 25, 320
#: A trial needs two turns of every other frame; and frames wait for it in memory, in bytes.
LEAST_FRAMES, WAITING_BYTES = 17, 128 << 20
#: For each spacing, qp as it is asked for, and the qp of equal bits that the network is given.
#: Below 42 every other frame cannot spend the bits.
EQUAL_RATES = {
    0.5: ((0.0, 39.5), (20.0, 41.7)),
    1: ((0.0, 0.0), (63.0, 63.0)),
    2: ((42.0, 20.0), (47.0, 40.0), (52.0, 48.0), (60.0, 56.0), (63.0, 60.0)),
}
#: The same below 0, where every frame cannot spend the bits. It begins a third above those of qp 0:
#: fewer, on twice as many pictures, look worse than qp 0 on half of all clips.
FINEST_QP = float(LEAST_QP)
FINER = ((FINEST_QP, 0.0), (0.0, 30.0))
#: From each first qp on, up to the next, the one that trials are made at, the spacing that is tried
#: beside 1, if another, and the least gain that counts: a search for a rate asks many times.
TRIALS = ((0.0, 8.0, 0.5, 0.04), (20.0, 20.0, 1, 0.0),
          (42.0, 44.0, 2, 0.1), (47.0, 50.0, 2, 0.015), (53.5, 57.0, 2, 0.0))
#: By which power of the bits an error falls along the scale of qp.
SLOPE = {2: 0.35, 0.5: 0.6}
#: Every so many-th picture is compared, of those that are coded and of those between, by what the
#: encoder sees in it at this qp.
COMPARED, EYES_QP = 3, 24.0


@dataclass(frozen=True)
class Trial:
    """Bits of one way to code some frames, and how far off its pictures are for the encoder."""

    bits: float
    error: float


class Chooser:
    """Chooses between all frames, fewer and more; remembers each segment's answer.

    Args:
        model, coder: what the segments are coded with.
        rdo: strength of signs chosen by cost.
    """

    def __init__(self, model: Tokenizer, coder: TokenCoder, rdo: float) -> None:
        self.model, self.coder, self.rdo = model, coder, rdo
        self._known: dict[tuple[float, ...], float] = {}

    def choose(self, frames: list[Frame], qp: float) -> tuple[float, float]:
        """The first `tried_frames` of a segment and the qp that is asked for, FINEST_QP..63 -> the
        network's qp and the spacing. Where that is no question of `open_spacings`, frames are not
        looked at."""
        if qp < 0:
            return _taken(qp, FINER), 0.5
        spacing = 1 if len(frames) < LEAST_FRAMES else self._best(frames, qp)
        return equal_rate(qp, spacing), spacing

    def _best(self, frames: list[Frame], qp: float) -> float:
        """The spacing that serves a segment best at a qp from 0 on."""
        tried, spacing, margin = _trial(qp)
        if spacing == 1:
            return 1
        key = (tried, *(f.pts for f in frames))
        if key not in self._known:
            pixels = _middle(frames, self.model.config.spatial_stride)
            gain = self.gain(pixels, tried, spacing)
            self._known[key] = spacing if gain > margin else 1
        return self._known[key]

    @torch.inference_mode()
    def gain(self, pixels: Tensor, qp: float, spacing: float) -> float:
        """Frames uint8 [1 + 8k, H, W, 3] in whole strides -> by how much the error is smaller for
        the same bits with a spacing than with 1, as a logarithm."""
        weight = self.model.decoder.stem.weight
        source = pixels.to(weight.device, weight.dtype)[None] / 127.5 - 1
        seen = self._look(source)
        every, other = (self._try(source, seen, equal_rate(qp, s), s) for s in (1, spacing))
        return log(every.error / other.error) + SLOPE[spacing] * log(every.bits / other.bits)

    def _try(self, source: Tensor, seen: Tensor, qp: float, spacing: float) -> Trial:
        packer = self.coder.packer(self.model.config.latent_size(*source.shape[2:4]), round(qp),
                                   self.rdo * strength_at(qp))
        coded = _filled(source) if spacing < 1 else source[:, ::int(spacing)]
        made = self.model(coded, qp, _sender(packer), every=ceil(1 / spacing)).pictures.clamp(-1, 1)
        if spacing == 2:
            made = _filled(made)
        error = float((self._look(made) - seen).square_().mean())
        return Trial(8.0 * len(packer.finish()[1]), max(error, 1e-6))

    def _look(self, pictures: Tensor) -> Tensor:
        """The encoder's latent values of some of the pictures [1, T, H, W, 3], each as if a segment
        began with it: [n, 1, H/8, W/8, bits].

        Differences of pixels think too well of what is soft, and the encoder is here anyway.
        """
        alone = pictures[0, COMPARED - 1::COMPARED, None]
        z: Tensor = self.model.encoder(alone, self.model.embed(EYES_QP))
        return z


def open_spacings(qp: float | None) -> set[float]:
    """What a segment's spacing may come out as at a qp; None is one that is still to be found."""
    if qp is None:
        return set(EQUAL_RATES)
    return {0.5} if qp < 0 else {1, _trial(qp)[1]}


def _trial(qp: float) -> tuple[float, float, float]:
    """The qp and the spacing that are tried for one from 0 on, and the least gain that counts."""
    return [trial for trial in TRIALS if trial[0] <= qp][-1][1:]


def tried_frames(width: int, height: int) -> int:
    """Frames of such pictures that a trial waits for; 0 where too few fit into memory."""
    fit = WAITING_BYTES // (3 * width * height)
    most = min(TRIED_FRAMES, fit - 1) // 8 * 8 + 1
    return most if most >= LEAST_FRAMES else 0


def equal_rate(qp: float, spacing: float) -> float:
    """The network's qp that takes, with a spacing, the bits of `qp` with every frame coded."""
    return _taken(qp, EQUAL_RATES[spacing])


def _taken(qp: float, rates: tuple[tuple[float, float], ...]) -> float:
    asked, taken = (list(column) for column in zip(*rates, strict=True))
    return float(np.interp(qp, asked, taken))


def _sender(packer: Packer) -> Sent:
    return lambda z: signs_of(packer.push(z[0].float().cpu().numpy()), z)


def _filled(made: Tensor) -> Tensor:
    """Pictures [1, T, H, W, 3] with one more between each two, [1, 2T - 1, H, W, 3]."""
    middle = between(made[0, :-1], made[0, 1:], [0.5])[:, 0]
    both = torch.stack((made[0, :-1], middle), 1).flatten(0, 1)
    return torch.cat((both, made[0, -1:]))[None]


def _middle(frames: list[Frame], stride: int) -> Tensor:
    """uint8 [T, H, W, 3]: the middle of each frame, at most TRIED_SIDE pixels a side, in whole
    strides; T = 1 + 8k."""
    frames = frames[:(len(frames) - 1) // 8 * 8 + 1]
    top, left = (max(n - TRIED_SIDE, 0) // 2 for n in frames[0].rgb.shape[:2])
    middle = [f.rgb[top:top + TRIED_SIDE, left:left + TRIED_SIDE] for f in frames]
    return pad_frames(torch.from_numpy(np.stack(middle)), stride)
