"""Range coder over exact integer probabilities, as a pair of push and pull objects.

A probability is an integer k in 1..65535 and stands for P(bit = 1) = k / 65536, which float64
holds exactly; nothing that could round differently on another machine enters the coder. The
payload is constriction's queue coder output as little-endian 32-bit words (FORMAT.md has the
arithmetic). Encoder and decoder must be given the same probabilities in the same order; how they
are cut into push and pull calls does not matter.
"""

from __future__ import annotations

from typing import Any

import constriction
import numpy as np
import numpy.typing as npt

from .errors import BadTokens

__all__ = ["PROBABILITY_ONE", "BitDecoder", "BitEncoder"]

PROBABILITY_ONE = 65536

_MODEL: Any = constriction.stream.model.Bernoulli(perfect=False)
_WORD = np.dtype("<u4")


def _probabilities(p1: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float64]:
    """Exact dyadic float64 of integer probabilities; ValueError outside 1..65535."""
    if p1.ndim != 1 or p1.dtype.kind not in "iu":
        raise ValueError("probabilities must be one integer array of rank 1")
    if p1.size and (int(p1.min()) < 1 or int(p1.max()) >= PROBABILITY_ONE):
        raise ValueError("a probability is outside 1..65535; clamp it")
    return p1.astype(np.float64) / PROBABILITY_ONE


class BitEncoder:
    """Collects bits under given probabilities."""

    def __init__(self) -> None:
        self._coder: Any = constriction.stream.queue.RangeEncoder()

    def push(self, bits: npt.NDArray[np.uint8], p1: npt.NDArray[np.integer[Any]]) -> None:
        """Encode uint8 bits [N] in {0, 1}, each with P(1) = p1[n] / 65536, p1 in 1..65535.

        Raises:
            ValueError: shapes differ, or a value is out of range.
        """
        if bits.shape != p1.shape or (bits.size and int(bits.max()) > 1):
            raise ValueError("bits must be 0 or 1 and as many as probabilities")
        if bits.size:
            self._coder.encode(bits.astype(np.int32), _MODEL, _probabilities(p1))

    @property
    def size(self) -> int:
        """Bytes of the payload if this were all."""
        return _WORD.itemsize * int(self._coder.num_words())

    def finish(self) -> bytes:
        """Return the payload, a whole number of 32-bit words."""
        words: npt.NDArray[np.uint32] = self._coder.get_compressed()
        return words.astype(_WORD).tobytes()


class BitDecoder:
    """Gives back the bits of a payload.

    Args:
        payload: what BitEncoder.finish returned.

    Raises:
        BadTokens: it is not a whole number of 32-bit words.
    """

    def __init__(self, payload: bytes) -> None:
        if len(payload) % 4:
            raise BadTokens("an entropy payload is cut inside a word; get another copy of the file")
        words = np.frombuffer(payload, _WORD).astype(np.uint32)
        self._coder: Any = constriction.stream.queue.RangeDecoder(words)

    def pull(self, p1: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.uint8]:
        """Decode as many bits as there are probabilities (p1 as for push): uint8 [N].

        Raises:
            BadTokens: no encoder produces this payload under these probabilities.
            ValueError: a probability is out of range.
        """
        if not p1.size:
            return np.zeros(0, np.uint8)
        floats = _probabilities(p1)
        try:
            bits: npt.NDArray[np.int32] = self._coder.decode(_MODEL, floats)
        except AssertionError:
            raise BadTokens("an entropy payload is damaged; get another copy of the file") from None
        return bits.astype(np.uint8)

    def finish(self) -> None:
        """Check that the payload is used up.

        Raises:
            BadTokens: words are left over.
        """
        if not self._coder.maybe_exhausted():
            raise BadTokens("an entropy payload has bytes left over; get another copy of the file")
