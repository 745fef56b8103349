"""Token factorization (paper, section 3.1): an 18-bit token as two sub-tokens of 9 bits.

A language model then predicts from two vocabularies of 512 in place of one of 262144. Free of
torch; numpy arrays and torch tensors both go in, and the same kind comes out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

#: Bits of the low sub-token.
LOW_BITS = 9


@overload
def factorize(tokens: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]: ...
@overload
def factorize(tokens: Tensor) -> tuple[Tensor, Tensor]: ...
def factorize(tokens: Any) -> tuple[Any, Any]:
    """Tokens [...] in 0 .. 2**18 - 1 -> (low, high) [...] in 0 .. 511: bits 0-8 and bits 9-17."""
    return tokens & (2**LOW_BITS - 1), tokens >> LOW_BITS


@overload
def unfactorize(low: NDArray[np.unsignedinteger], high: NDArray[np.unsignedinteger],
                ) -> NDArray[np.uint32]: ...
@overload
def unfactorize(low: Tensor, high: Tensor) -> Tensor: ...
def unfactorize(low: Any, high: Any) -> Any:
    """The inverse of `factorize`: uint32 arrays, or int32 tensors. Narrower types are widened."""
    return _wide(low) | (_wide(high) << LOW_BITS)


def _wide(factors: Any) -> Any:
    # A 16-bit factor shifted by 9 would lose its upper bits without a word.
    return factors.astype("uint32") if hasattr(factors, "astype") else factors.int()
