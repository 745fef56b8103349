"""Bits under integer probabilities by context, which learn from what was coded; both ways.

What codes by them is written once: on a `Sink` it is told the bits and codes them, on a `Source` it
gets them back.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from .bitpack import Bits
from .entropy import PROBABILITY_ONE, BitDecoder, BitEncoder
from .errors import BadSegment
from .table import PROBABILITY_MIN

__all__ = ["Adaptive", "BitPlace", "Index", "Sink", "Source"]

# Bits that one byte of payload can hold at most, as for tokens.
_BITS_PER_BYTE = 11400
# Bits that a context's first guess counts for.
_STRENGTH = 4
# What is coded at once learns after so many bits, and again whenever they have doubled.
_PART = 16

Index: TypeAlias = npt.NDArray[np.int64]


class BitPlace(Protocol):
    """Where bits go to or come from; `wanted` are the bits [K] when coding, ignored otherwise."""

    def given(self, p1: Index, wanted: Bits | None, /) -> Bits:
        """The next bits, uint8 [K], under probabilities as in entropy.py."""

    def expect(self, count: int, /) -> None:
        """So many bits at least are to follow; refused where there cannot be as many."""


class Sink:
    """Codes the bits that are wanted."""

    def __init__(self) -> None:
        self.encoder = BitEncoder()

    def given(self, p1: Index, wanted: Bits | None) -> Bits:
        """Code bits; returns them."""
        assert wanted is not None
        self.encoder.push(wanted, p1)
        return wanted

    def expect(self, _count: int) -> None:
        """Any number of bits may follow."""


class Source:
    """Gives back the bits of a payload.

    Raises:
        BadTokens: it is not a whole number of words.
    """

    def __init__(self, body: bytes) -> None:
        self.decoder = BitDecoder(body)
        #: Most bits that may still come: what has run out goes on with cheap ones for ever.
        self.left = (len(body) + 8) * _BITS_PER_BYTE

    def given(self, p1: Index, _wanted: Bits | None) -> Bits:
        """Decode bits; BadSegment or BadTokens where the payload cannot hold them."""
        self.expect(len(p1))
        self.left -= len(p1)
        return self.decoder.pull(p1)

    def expect(self, count: int) -> None:
        """Refuse what needs more bits than the payload can still hold; BadSegment."""
        if count > self.left:
            raise BadSegment("a background is too short; get another copy of the file")


class Adaptive:
    """Bits of one kind.

    Args:
        bits: where they go to or come from.
        first: probabilities of each context in 1/65536, int64 [contexts].
    """

    def __init__(self, bits: BitPlace, first: Index) -> None:
        self.bits = bits
        self.ones = first * _STRENGTH
        self.seen = np.full(len(first), _STRENGTH, np.int64)

    def code(self, contexts: Index, wanted: Bits | None) -> Bits:
        """The next bits, uint8 [K], in their contexts."""
        got = np.zeros(len(contexts), np.uint8)
        start, stop = 0, _PART
        while start < len(contexts):
            part = slice(start, stop)
            got[part] = self._part(contexts[part], None if wanted is None else wanted[part])
            start, stop = stop, 2 * stop
        return got

    def _part(self, contexts: Index, wanted: Bits | None) -> Bits:
        p1 = self.ones[contexts] // self.seen[contexts]
        np.maximum(p1, PROBABILITY_MIN, out=p1)
        np.minimum(p1, PROBABILITY_ONE - PROBABILITY_MIN, out=p1)
        got = self.bits.given(p1, wanted)
        count = len(self.seen)
        split = contexts + got * np.int64(count)
        zeros, ones = np.bincount(split, minlength=2 * count).reshape(2, count)
        self.seen += zeros + ones
        self.ones += ones * PROBABILITY_ONE
        return got
