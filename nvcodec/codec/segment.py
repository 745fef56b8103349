"""One segment on its way from frames to a chunk."""

from __future__ import annotations

import zlib
from collections import deque

import numpy as np
import torch
from torch import Tensor

import bitstream
from nvcodec.codec.background import BackgroundFinder
from nvcodec.codec.coders import TokenCoder, Tokens
from nvcodec.codec.refine import Refiner
from nvcodec.models import lfq
from nvcodec.models.background import BLOCK
from nvcodec.models.config import KEEP
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
            Where signs are chosen by cost, tokens of what it will cover say next to nothing.
    """

    def __init__(self, model: Tokenizer, coder: TokenCoder, qp: float, header: bitstream.Header,
                 rdo: float = 0.0, refiner: Refiner | None = None, spacing: float = 1,
                 fast: bool = False, finder: BackgroundFinder | None = None) -> None:
        self.stream = EncoderStream(model, qp, fast)
        self.qp, self.header, self.spacing = round(qp), header, spacing
        self.packer = coder.packer((header.latent_height, header.latent_width), self.qp,
                                   rdo * strength_at(qp))
        self.refiner, self.finder = refiner, finder
        self.spares = rdo > 0 and coder.prior is not None and header.spatial_stride == BLOCK
        #: Frames of this piece by turns, those whose tokens are still to be chosen; of the last
        #: that were chosen.
        self.turns: deque[Tensor] = deque()
        self.turn = torch.empty(0)
        self.pts: list[int] = []
        self.last_duration = 0

    def note(self, frame: Frame, shift: int) -> None:
        """Take down a frame's time, `shift` ticks earlier; every frame's, coded or not."""
        self.pts.append(frame.pts - shift)
        self.last_duration = max(0, frame.duration)

    def add(self, piece: Piece[Frame]) -> None:
        """Code a piece."""
        stride = self.header.time_stride
        frames = pad_piece(piece.frames, piece.first, stride)
        pixels = torch.from_numpy(np.stack([f.rgb for f in frames]))
        lengths = [1] * (len(pixels) % stride) + [stride] * (len(pixels) // stride)
        self.turns.extend(torch.split(pixels, lengths))
        self.stream.push(pixels, self._send, self._look if self.finder else None)

    def _look(self, made: Tensor) -> None:
        """The last picture of the turn whose tokens were chosen last, as decoders have it."""
        assert self.finder is not None
        self.finder.add(self.turn, made, self.packer.size)

    def _send(self, z: Tensor) -> Tensor:
        """The next latent values [1, t, H', W', bits] -> the signs that the file has for them."""
        values = z[0]
        turns = [self.turns.popleft() for _ in values]
        self.turn = turns[-1]
        if self.refiner:
            values = self.refiner.push(values, torch.cat(turns))
        if self.finder and self.spares:
            values = self._spared(values, self.finder)
        tokens = self.packer.push(values.float().cpu().numpy())
        signs = signs_of(tokens, z)
        if self.refiner:
            self.refiner.learn(signs[0])
        return signs

    def _spared(self, values: Tensor, finder: BackgroundFinder) -> Tensor:
        """0 for values that are of no account, as the turn's blocks will be covered."""
        blocks = finder.spared(self.turn)
        if blocks is None:
            return values
        cells = blocks[:values.shape[1], :values.shape[2]].to(values.device)
        values = values.masked_fill(cells[..., None], 0)
        if self.stream.model.config.keeps:
            values[..., KEEP].masked_fill_(cells, 1)
        return values

    def finish(self) -> tuple[bitstream.Segment, int]:
        """The chunk, and the CRC-32 of its tokens."""
        tokens, payload = self.packer.finish()
        found = self.finder.find(len(payload)) if self.finder else None
        chunk = bitstream.Segment(
            tuple(self.pts), payload, self.qp, self.last_duration, self.spacing,
            found.pack() if found else b"")
        return chunk, zlib.crc32(tokens.tobytes())
