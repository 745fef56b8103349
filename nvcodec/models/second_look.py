"""Analysis by synthesis without gradients: the encoder looks at what its own signs will show.

It sees the decoded pictures of a turn as it saw the source, and latent values move by what it
misses there. No backbone of a metric takes part, and decoders need not know. docs/encoder-search.md
has the figures.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: What is missed counts by this much up to the first of two qp, and by nothing from the second on:
#: where a bit is dear, signs that turn cost more than they mend.
SHARE, FADES = 0.3, (44.0, 62.0)
#: Added to the squares of values, which are about 1, where they are divided by.
FLOOR = 1e-4


def share(qp: float) -> float:
    """How much of what is missed is added at the network's qp 0..63, 0..SHARE."""
    first, last = FADES
    return SHARE * min(1.0, max(0.0, (last - qp) / (last - first)))


def looked_again(z: Tensor, q: Tensor, seen: Tensor, part: float) -> Tensor:
    """Latent values after a second look.

    Args:
        z: what the encoder made of the source, [..., bits].
        q: their signs in {-1, +1}.
        seen: what it made of the pictures that these signs give.
        part: of what is missed to add, 0..1.

    Decoded pictures are seen more clearly than sources, whatever they are of. So what is missed is
    what `seen` falls short of the mixture of z and q that, bit by bit, comes nearest to it (least
    squares over all positions).
    """
    a, b, c = (v.float().flatten(0, -2) for v in (z, q, seen))
    aa, ab, bb = a.square().mean(0) + FLOOR, (a * b).mean(0), b.square().mean(0) + FLOOR
    ac, bc = (a * c).mean(0), (b * c).mean(0)
    area = aa * bb - ab.square()
    expected = (a * ((ac * bb - bc * ab) / area)).addcmul_(b, (bc * aa - ac * ab) / area)
    return torch.add(z, (expected - c).to(z.dtype).view_as(z), alpha=part)
