"""Token grids of training clips under given weights: what the prior and the table learn from."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nvcodec.models.lfq import bits_to_tokens
from nvcodec.models.second_look import FADES, SHARE
from nvcodec.models.tokenizer import EncoderStream, Tokenizer
from nvcodec.train.data import Frames
from nvcodec.train.signs import Signs, sender
from nvcodec.video.atomic import atomic_output

#: Frames that go through the encoder at once, after the first.
STEP = 8
#: Frames, rows and columns of a clip's part, at most.
FRAMES, HEIGHT, WIDTH = 33, 352, 480
Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Grid:
    """Tokens uint32 [T', H', W'] of one clip at one qp."""

    tokens: NDArray[np.uint32]
    qp: int


def encode_grids(model: Tokenizer, clips: Sequence[Frames], each: int = 1, seed: int = 0,
                 signs: Signs | None = None, tell: Tell = lambda *_: None) -> list[Grid]:
    """`each` parts of every clip (uint8 [T, H, W, 3]), at qp spread evenly over 0..63.

    The first part is the clip's first frames, the others come from anywhere in it; a quarter of
    those has every second frame, as segments that leave frames out. The first qp of clip i is a
    fixed permutation's, so that few clips cover all qp.
    """
    out = []
    for i, clip in enumerate(clips):
        first, draw = (37 * (i + seed) + 5) % 64, np.random.default_rng((seed, i))
        for k in range(each):
            qp = (first + k * 64 // each) % 64
            part = _anywhere(clip[::1 + ((i + k) % 4 == 0)], draw) if k else clip[:FRAMES]
            out.append(Grid(tokens_of(model, part, qp, signs), qp))
        tell(i + 1, len(clips))
    return out


def _anywhere(clip: Frames, draw: np.random.Generator) -> Frames:
    """Some part of a clip [T, H, W, 3], as large as it may be."""
    sides = zip(clip.shape, (FRAMES, HEIGHT, WIDTH), strict=False)
    starts = [(int(draw.integers(max(1, there - most + 1))), most) for there, most in sides]
    return clip[tuple(slice(start, start + most) for start, most in starts)]


def tokens_of(model: Tokenizer, clip: Frames, qp: int,
              signs: Signs | None = None) -> NDArray[np.uint32]:
    """Tokens uint32 [T', H', W'] of uint8 frames [T, H, W, 3], cut to whole latent frames.

    `signs` makes tokens of latent values where it is not their own signs that count.
    """
    stream, stride = EncoderStream(model, qp), model.config.time_stride
    sent = sender(signs, torch.tensor([qp]))
    usable = len(clip) - (len(clip) - 1) % stride
    edges = sorted({0, *range(1, usable, STEP), usable})
    made: list[Tensor] = []

    def keep(z: Tensor) -> Tensor:
        made.append(sent(z))
        return made[-1]

    for a, b in itertools.pairwise(edges):
        stream.push(torch.from_numpy(np.array(clip[a:b])), keep)
    return bits_to_tokens(torch.cat(made, 1)[0]).cpu().numpy().astype(np.uint32)


def cached_grids(path: Path, model: Tokenizer, clips: Sequence[Frames], each: int = 1,
                 signs: Signs | None = None, key_of_signs: bytes = b"",
                 tell: Tell = lambda *_: None) -> list[Grid]:
    """`encode_grids`, kept in the .npz file `path` for as long as weights and signs are the same.

    `key_of_signs` is what tells one `signs` from another.
    """
    key = np.frombuffer(_fingerprint(model) + bytes([each]) + len(clips).to_bytes(4, "little")
                        + key_of_signs + repr((SHARE, FADES)).encode(), np.uint8)
    if path.exists():
        with np.load(path) as saved:
            if np.array_equal(saved["key"], key):
                count = len(saved["qp"])
                return [Grid(saved[f"g{i}"], int(saved["qp"][i])) for i in range(count)]
    grids = encode_grids(model, clips, each, signs=signs, tell=tell)
    arrays: dict[str, NDArray[Any]] = {f"g{i}": g.tokens for i, g in enumerate(grids)}
    arrays |= {"key": key, "qp": np.array([g.qp for g in grids])}
    with atomic_output(path, force=True) as partial, partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    return grids


def _fingerprint(model: Tokenizer) -> bytes:
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode() + value.detach().cpu().numpy().tobytes())
    return digest.digest()
