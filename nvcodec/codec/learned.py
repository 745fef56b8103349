"""Coder 2: tokens under the integer prior, which refines the table coder's probabilities.

Tokens are walked in the table coder's order. For every bit the table's probability, refined by
what this segment showed so far, goes into the network as a hint; the network's logit is coded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

import bitstream
from nvcodec.models.prior import LatentFrame, Pass, Prior, TokenState
from nvcodec.models.prior_int8 import Int8Frame, Int8Prior, fastest
from nvcodec.models.quant import LOGIT_BITS, LOGIT_LEVELS

Tokens: TypeAlias = NDArray[np.uint32]
Bits: TypeAlias = NDArray[np.uint8]
#: Where a bit is: number, and the slices (frame, rows, columns) of its pass.
Place: TypeAlias = tuple[int, slice, slice]
#: Called with the bit's number, its place and P(1) * 65536, int64 [K] in row order; returns the
#: K bits.
Choose: TypeAlias = Callable[[int, Place, NDArray[np.int64]], Bits]
HALF = LOGIT_LEVELS // 2


@dataclass(frozen=True)
class LearnedPrior:
    """A frozen network with the tables around it.

    Attributes:
        network: the integer prior.
        table: static probabilities, where hints begin.
        p1: int64 [1024], P(1) * 65536 of each logit level.
        hints: int16 [4096], 64 times the logit of a table probability k / 65536, at k >> 4.
    """

    network: Prior
    table: bitstream.StaticTable
    p1: NDArray[np.int64]
    hints: NDArray[np.int16]

    @cached_property
    def contexts(self) -> Prior | Int8Prior:
        """What says the same of what comes before a pass, and is fastest here."""
        return fastest(self.network)


class _Walk:
    """One segment on its way through the prior, as `bitstream.code_frames` calls it."""

    #: The pass's place in this frame's signs, and its signs as they come, [bits, K].
    target: torch.Tensor
    signs: torch.Tensor
    known: LatentFrame | Int8Frame

    def __init__(self, prior: LearnedPrior, size: tuple[int, int], qp: int,
                 choose: Choose) -> None:
        self.prior, self.choose = prior, choose
        self.statistics = bitstream.Statistics(prior.table, qp)
        network = prior.network
        self.device = network.mix.weight.device
        self.qp = torch.tensor([qp], device=self.device)
        self.now = torch.zeros(1, *size, network.bits, device=self.device)
        #: The last one first.
        self.before = [torch.zeros_like(self.now) for _ in range(network.frames)]
        self.frame = -1
        self.hints = prior.hints.astype(np.float32) / 2**LOGIT_BITS

    def __call__(self, bit: int, place: Place, contexts: NDArray[np.int64]) -> Bits:
        """Code one bit of one pass."""
        if bit == 0:
            self._begin(place)
        table_p1 = self.statistics.p1(bit, contexts)
        hints = torch.from_numpy(self.hints[table_p1 >> 4]).to(self.device)
        # Within the levels none is below zero, so that the whole part of each is the next one down.
        levels = self.state.logits(bit, hints).mul_(2.0**LOGIT_BITS).add_(HALF)
        p1 = self.prior.p1.take(levels.clamp_(0, LOGIT_LEVELS - 1).int().cpu().numpy())
        bits = self.choose(bit, place, p1)
        self.statistics.learn(bit, contexts, bits)
        signs = self.signs[bit]
        signs.copy_(torch.from_numpy(bits)).mul_(2).sub_(1)
        self.state.learn(bit, signs)
        if bit + 1 == len(self.signs):
            self.target.copy_(self.signs.mT.view(self.target.shape))
        return bits

    def _begin(self, place: Place) -> None:
        """The first bit of a pass: what the network knows before it."""
        frame, rows, columns = place
        network = self.prior.network
        if frame != self.frame:
            self._next_frame(frame)
        self.target = self.now[:, rows, columns]
        self.signs = self.target.new_empty(network.bits, self.target[0, ..., 0].numel())
        number = network.passes.index((rows.start, columns.start, rows.step))
        self.state = TokenState(network, *self.known.context(number, self.now))

    def _next_frame(self, frame: int) -> None:
        if self.frame >= 0:
            self.before = [self.now, *self.before[:-1]]
            self.now = torch.zeros_like(self.now)
        self.frame = frame
        self.known = self.prior.contexts.frame(self.before, self.qp)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch's operations of the calling thread stay on it.

    A walk is thousands of small ones: sharing them out costs more processor time than it saves
    seconds, and the network works beside it.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def walk_frames(prior: LearnedPrior, size: tuple[int, int], qp: int,
                choose: Choose) -> Iterator[Tokens]:
    """Go through grids of `size` H', W' in coding order, a latent frame each time one is asked for.

    Gives its tokens uint32 [H', W'] as `choose`'s answers make them. There is no end.
    """
    with torch.inference_mode():
        steps = _Walk(prior, size, qp, choose)
    frames = bitstream.code_frames(size, prior.network.bits, steps, prior.network.passes)
    while True:
        with _one_thread(), torch.inference_mode():  # not for what happens between two frames
            frame = next(frames)
        yield frame


def encode_learned(tokens: Tokens, prior: LearnedPrior, qp: int) -> bytes:
    """Code one segment's tokens uint32 [T', H', W'] at qp 0..63."""
    planes = bitstream.split_bits(tokens, prior.network.bits)
    encoder = bitstream.BitEncoder()

    def push(bit: int, place: Place, p1: NDArray[np.int64]) -> Bits:
        bits = _at(planes, bit, place)
        encoder.push(bits, p1)
        return bits

    for _ in islice(walk_frames(prior, tokens.shape[1:], qp, push), len(tokens)):
        pass
    return bitstream.seal_payload(tokens, encoder.finish())


def decode_learned(payload: bytes, shape: tuple[int, int, int], prior: LearnedPrior,
                   qp: int) -> Iterator[Tokens]:
    """Decode the tokens of one segment [T', H', W'] = shape, each latent frame uint32 [H', W'].

    Raises bitstream.BadTokens where the payload is damaged or was made under another prior: after
    the last frame, if it shows no earlier.
    """
    crc, body = bitstream.open_payload(payload)
    bitstream.check_plausible(body, shape, prior.network.bits)
    decoder = bitstream.BitDecoder(body)

    def pull(_bit: int, _place: Place, p1: NDArray[np.int64]) -> Bits:
        return decoder.pull(p1)

    def frames() -> Iterator[Tokens]:
        yield from islice(walk_frames(prior, shape[1:], qp, pull), shape[0])
        decoder.finish()

    yield from bitstream.checked_frames(frames(), crc)


class SignCoder:
    """Codes a segment's latent values as they come.

    Rate-distortion optimized quantization: where |z| is small, the cheaper sign. A bit is 1 where
    z + strength * logit > 0: its two values differ by the logit in nats, so this minimizes |z|
    lost plus strength times nats spent, one bit at a time in coding order. Values with |z| >= reach
    keep their sign; those of 0 take the likelier one.

    Args:
        prior: the prior that codes the tokens.
        size: H', W' of the grid.
        qp: of the segment, 0..63.
        strength: |z| that a nat is worth; 0 takes signs as they are.
        reach: |z| from which on signs are kept.
    """

    def __init__(self, prior: LearnedPrior, size: tuple[int, int], qp: int, strength: float = 0.0,
                 reach: float = 0.0) -> None:
        self.strength, self.reach = strength, reach
        self._encoder = bitstream.BitEncoder()
        self._frames = walk_frames(prior, size, qp, self._pick)
        self._planes: NDArray[np.float32]
        self._tokens: list[Tokens] = []

    @property
    def size(self) -> int:
        """Bytes of the payload so far."""
        return self._encoder.size

    def push(self, z: NDArray[np.float32]) -> Tokens:
        """Code the next latent frames, values [t, H', W', bits]; tokens uint32 [t, H', W']."""
        for values in z:
            self._planes = np.moveaxis(values, -1, 0)
            self._tokens.append(next(self._frames))
        return np.stack(self._tokens[-len(z):])

    def finish(self) -> tuple[Tokens, bytes]:
        """The chosen tokens uint32 [T', H', W'] and their payload."""
        tokens = np.stack(self._tokens)
        return tokens, bitstream.seal_payload(tokens, self._encoder.finish())

    def _pick(self, bit: int, place: Place, p1: NDArray[np.int64]) -> Bits:
        values = np.ravel(self._planes[bit][place[1:]])
        if self.strength:
            logits = np.log(p1 / (65536 - p1)) * self.strength
            values = values + np.where(np.abs(values) < self.reach, logits, 0)
        likely = p1 > 32768
        bits: Bits = np.where(values == 0, likely, values > 0).view(np.uint8)
        self._encoder.push(bits, p1)
        return bits


def _at(planes: Bits, bit: int, place: Place) -> Bits:
    """Values of planes [bits, T', H', W'] at one pass's positions, in row order."""
    return np.ascontiguousarray(planes[bit][place]).reshape(-1)


def table_hints(grid: Tokens, table: bitstream.StaticTable, hints: NDArray[np.int16],
                qp: int, passes: Sequence[Pass]) -> NDArray[np.int16]:
    """The hints that coding a grid in such passes would see, in 1/64, [T', H', W', bits], to train
    with."""
    planes = bitstream.split_bits(grid, table.token_bits)
    statistics = bitstream.Statistics(table, qp)
    out = np.zeros(planes.shape, np.int16)

    def visit(bit: int, place: Place, contexts: NDArray[np.int64]) -> Bits:
        bits = _at(planes, bit, place)
        view = out[bit][place]
        view[...] = hints[statistics.p1(bit, contexts) >> 4].reshape(view.shape)
        statistics.learn(bit, contexts, bits)
        return bits

    bitstream.code_tokens(grid.shape, table.token_bits, visit, passes)
    return np.moveaxis(out, 0, -1)
