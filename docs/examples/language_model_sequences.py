"""Sequences for a language model from the tokens of `.mvt` files, and a video from a sequence.

    python language_model_sequences.py OUT.npz FILE.mvt...

A segment's grid [T', H', W'] becomes a row of 2 T' H' W' numbers: for each token, in order of
frame, row and column, its low 9 bits and then its high 9 bits moved up by 512. So one vocabulary
of 1024 holds both, and where a number stands tells which it is (paper, section 3.1: two small
vocabularies in place of one of 262144). `tokens_of` is the way back; a model's sample becomes a
video when it replaces `tokens` in the file that `nvcodec tokens` writes.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

import nvcodec

HIGH = 512


def sequence_of(grid: nvcodec.TokenGrid) -> NDArray[np.int64]:
    """A segment as a sequence in 0..1023, int64 [2 T' H' W']."""
    low, high = grid.factors
    return np.stack((low, high + HIGH), axis=-1).reshape(-1).astype(np.int64)


def tokens_of(sequence: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.uint32]:
    """The way back: tokens uint32 of this shape [T', H', W']."""
    pairs = sequence.reshape(*shape, 2).astype(np.uint32)
    return nvcodec.unfactorize(pairs[..., 0], pairs[..., 1] - HIGH)


def main(out: str, *sources: str) -> None:
    """Write one row for each segment, by file and number, and tell how many numbers occur."""
    rows: dict[str, NDArray[np.int64]] = {}
    for source in sources:
        with nvcodec.open(source) as video:
            for grid in video.tokens():
                sequence = sequence_of(grid)
                assert np.array_equal(tokens_of(sequence, grid.tokens.shape), grid.tokens)
                rows[f"{video.name.replace('/', '_')}_{grid.number}"] = sequence
    np.savez_compressed(out, **rows)
    seen = np.unique(np.concatenate(list(rows.values())))
    print(f"{out}: {len(rows)} sequences, {sum(map(len, rows.values()))} numbers, "
          f"{len(seen)} of 1024 values occur")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
