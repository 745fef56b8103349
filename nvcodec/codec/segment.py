"""One segment on its way from frames to a chunk."""

from __future__ import annotations

import zlib
from functools import partial

import numpy as np
import torch
from torch import Tensor

import bitstream
from nvcodec.codec.background import BackgroundFinder
from nvcodec.codec.coders import TokenCoder, Tokens
from nvcodec.codec.refine import Refiner
from nvcodec.models import lfq
from nvcodec.models.tokenizer import EncoderStream, Tokenizer
from nvcodec.segments import Piece, pad_piece
from nvcodec.video.info import Frame


def strength_at(qp: float) -> float:
    """How much of a release's RDO strength a qp takes, 0..0.477.

    None at qp 0, and little near it: a higher qp saves bits there at less loss. Most at qp 42; then
    it falls, as the price of bits that the network was trained under rises.
    """
    return min(qp / 88, 1 - qp / 80)


def signs_of(tokens: Tokens, z: Tensor) -> Tensor:
    """Tokens uint32 [t, H', W'] of latent values z [1, t, H', W', bits] -> their signs, in {-1, 1},
    of the shape and kind of z."""
    whole = torch.from_numpy(tokens.astype(np.int32)).to(z.device)
    return lfq.tokens_to_bits(whole, z.shape[-1], z.dtype)[None]


class SegmentEncoder:
    """Takes a segment's frames piece by piece and packs their tokens as they are chosen.

    Args:
        model: the tokenizer.
        coder: what packs its tokens.
        qp: real number 0..63 for the network; file and coder go by the nearest whole one.
        header: of the file.
        rdo: strength of signs chosen by cost (`strength_at`); 0 takes them as they are.
        refiner: improves the latent values before their signs are taken; fresh for each segment.
        spacing: of the segment; pieces have what is coded of its frames.
        fast: look at everything once (`EncoderStream`).
        finder: finds the segment's background, where it is to have one; fresh for each segment.
    """

    def __init__(self, model: Tokenizer, coder: TokenCoder, qp: float, header: bitstream.Header,
                 rdo: float = 0.0, refiner: Refiner | None = None, spacing: float = 1,
                 fast: bool = False, finder: BackgroundFinder | None = None) -> None:
        self.stream = EncoderStream(model, qp, fast)
        self.qp, self.header, self.spacing = round(qp), header, spacing
        self.packer = coder.packer((header.latent_height, header.latent_width), self.qp,
                                   rdo * strength_at(qp))
        self.refiner, self.finder = refiner, finder
        #: Frames of this piece whose tokens are still to be chosen.
        self.pixels = torch.empty(0)
        self.pts: list[int] = []
        self.last_duration = 0

    def note(self, frame: Frame, shift: int) -> None:
        """Take down a frame's time, `shift` ticks earlier; every frame's, coded or not."""
        self.pts.append(frame.pts - shift)
        self.last_duration = max(0, frame.duration)

    def add(self, piece: Piece[Frame]) -> None:
        """Code a piece."""
        frames = pad_piece(piece.frames, piece.first, self.header.time_stride)
        self.pixels = torch.from_numpy(np.stack([f.rgb for f in frames]))
        look = partial(self._look, self.finder, self.pixels) if self.finder else None
        self.stream.push(self.pixels, self._send, look)

    def _look(self, finder: BackgroundFinder, pixels: Tensor, made: Tensor) -> None:
        """Pictures of this piece's turns [T, H, W, 3], and the last of each as decoded."""
        stride = self.header.time_stride
        lengths = [1] * (len(pixels) % stride) + [stride] * (len(pixels) // stride)
        for turn in zip(torch.split(pixels, lengths), made, strict=True):
            finder.add(*turn)

    def _send(self, z: Tensor) -> Tensor:
        """The next latent values [1, t, H', W', bits] -> the signs that the file has for them."""
        values = z[0]
        if self.refiner:
            stride = self.header.time_stride
            count = stride * len(values) - -len(self.pixels) % stride
            now, self.pixels = self.pixels[:count], self.pixels[count:]
            values = self.refiner.push(values, now)
        tokens = self.packer.push(values.float().cpu().numpy())
        signs = signs_of(tokens, z)
        if self.refiner:
            self.refiner.learn(signs[0])
        return signs

    def finish(self) -> tuple[bitstream.Segment, int]:
        """The chunk, and the CRC-32 of its tokens."""
        tokens, payload = self.packer.finish()
        found = self.finder.find() if self.finder else None
        chunk = bitstream.Segment(
            tuple(self.pts), payload, self.qp, self.last_duration, self.spacing,
            found.pack() if found else b"")
        return chunk, zlib.crc32(tokens.tobytes())
