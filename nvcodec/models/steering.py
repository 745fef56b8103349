"""How far motion departs from what decoded pictures foretell: a vector for each square of 64
pixels, told by one bit of the tokens in it.

Video codecs call this a motion vector difference. The bit is 1 in few of the cells of a square: the
cells of `PLACES` spell sign and size of both components in binary, all others say nothing. So what
moves on as it did costs next to no bits, and tokens stay all that a decoder needs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nvcodec.models.motion import averaged, luma, shifted

#: Cells of a token along the side of a square, and pixels of the motion's grid along a cell.
SQUARE, CELL = 8, 2
#: Pixels that the lowest digit stands for, over one turn of the loop, and the number of digits.
UNIT, DIGITS = 0.5, 5
#: Cells of a square that are looked at: sign and digits, lowest first, of x and of y. Apart from
#: each other, so that the network fills in what their tokens lack.
PLACES = tuple((row, column) for row in (1, 3, 5, 7) for column in (1, 4, 7))
#: By how much a square has to get better, in luma from -1 to 1, to be worth its bits: at the least,
#: and at qp 48, from where it doubles with every eight.
LEAST_WORTH, WORTH = 0.001, 0.004


def told(bits: Tensor) -> Tensor:
    """One bit of each token, bool [B, H/8, W/8] -> vectors (x, y) in pixels, [B, 2, rows, columns].

    There are as many rows and columns as whole squares fit in.
    """
    b, height, width = bits.shape
    rows, columns = height // SQUARE, width // SQUARE
    whole = bits[:, :rows * SQUARE, :columns * SQUARE].float()
    squares = whole.view(b, rows, SQUARE, columns, SQUARE)
    digits = torch.stack([squares[:, :, y, :, x] for y, x in PLACES], 1)
    digits = digits.view(b, 2, 1 + DIGITS, rows, columns)
    weights = UNIT * 2.0 ** torch.arange(DIGITS, device=bits.device)
    return (1 - 2 * digits[:, :, 0]) * (digits[:, :, 1:] * weights[:, None, None]).sum(2)


def spelled(vectors: Tensor, height: int, width: int) -> Tensor:
    """Vectors as in `told`, rounded to units -> the bit of each token, bool [B, H/8, W/8]."""
    b, _, rows, columns = vectors.shape
    size = (vectors.abs() / UNIT).round().clamp(0, 2**DIGITS - 1).int()
    sign = (vectors < 0) & (size > 0)
    digits = torch.stack([sign, *((size >> i & 1).bool() for i in range(DIGITS))], 2).flatten(1, 2)
    squares = torch.zeros(b, rows, SQUARE, columns, SQUARE, dtype=torch.bool, device=size.device)
    for i, (y, x) in enumerate(PLACES):
        squares[:, :, y, :, x] = digits[:, i]
    bits = squares.new_zeros(b, height, width)
    bits[:, :rows * SQUARE, :columns * SQUARE] = squares.view(b, rows * SQUARE, columns * SQUARE)
    return bits


def spread(vectors: Tensor, size: torch.Size) -> Tensor:
    """Vectors of squares -> motion [B, 2, H/4, W/4] of that size, smooth from square to square."""
    if not vectors.numel():
        return vectors.new_zeros(len(vectors), 2, *size)
    side = SQUARE * CELL
    wide = vectors.repeat_interleave(side, 2).repeat_interleave(side, 3)
    beyond = (0, size[1] - wide.shape[3], 0, size[0] - wide.shape[2])
    return averaged(F.pad(wide, beyond, mode="replicate"), side + 1)


@torch.no_grad()
def departure(last: Tensor, foretold: Tensor, true: Tensor, coming: Tensor,
              qp: Tensor) -> Tensor:
    """Vectors for the squares in which `true` motion departs from the `foretold` one, in whole
    units; zero where that makes the picture no better.

    Args:
        last: decoded picture [B, H, W, 3] that moves.
        foretold, true: motion [B, 2, H/4, W/4] in pixels.
        coming: source picture [B, H, W, 3] that it should come to.
        qp: [B] or one number, 0..63.
    """
    side = SQUARE * CELL
    rows, columns = (n // side for n in foretold.shape[2:])
    if not rows * columns:
        return foretold.new_zeros(len(last), 2, rows, columns)
    most = UNIT * (2**DIGITS - 1)
    wanted = F.avg_pool2d(true - foretold, side).clamp(-most, most)
    vectors = (wanted / UNIT).round() * UNIT
    small, goal = (F.avg_pool2d(luma(p), 4) for p in (last, coming))
    steered = foretold + spread(vectors, foretold.shape[2:])
    plain, better = (F.avg_pool2d((shifted(small, flow / 4) - goal).abs(), side)
                     for flow in (foretold, steered))
    worth = (WORTH * 2 ** ((qp.float() - 48) / 8)).clamp_min(LEAST_WORTH)
    return vectors * (plain - better > worth.view(-1, 1, 1, 1))
