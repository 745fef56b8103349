"""A small float context model that estimates the bits of a token grid during training.

It predicts every bit from the two previous latent frames, from the tokens already sent in this
frame (two checkerboard passes) and from qp: the same kind of context as the integer prior, at a
cost that training can carry. It never codes a file.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LN2 = 0.6931471805599453


class RateModel(nn.Module):
    """Estimates bits per token of signs q [B, T, H, W, bits]."""

    def __init__(self, bits: int = 18, width: int = 96, qp_levels: int = 64) -> None:
        super().__init__()
        self.qp = nn.Embedding(qp_levels, width)
        self.past = nn.Conv2d(3 * bits + 2, width, 3, padding=1)
        self.mix = nn.Conv2d(width, width, 1)
        self.near = nn.Conv2d(width, width, 3, padding=1)
        self.out = nn.Conv2d(width, bits, 1)

    def forward(self, q: Tensor, qp: Tensor) -> Tensor:
        """Logits of p(bit = 1) [B, T, H, W, bits] from signs and qp [B]."""
        b, t, h, w, _ = q.shape
        q = q.detach()
        past = F.pad(q, (0, 0, 0, 0, 0, 0, 2, 0))
        first = torch.zeros(t, device=q.device, dtype=q.dtype)
        first[0] = 1
        first = first.view(1, t, 1, 1, 1).expand(b, t, h, w, 1)
        rows = torch.arange(h, device=q.device)[:, None] + torch.arange(w, device=q.device)
        even = (rows % 2 == 0).to(q.dtype).view(1, 1, h, w, 1)
        out = q.new_zeros(())
        for now in (0, 1):  # the even squares see no token of this frame, the odd ones the even
            known = q * even * now
            flag = torch.full_like(first, float(now))
            x = torch.cat((past[:, 1:-1], past[:, :-2], known, first, flag), -1).flatten(0, 1)
            logits = self._net(x.permute(0, 3, 1, 2), qp, t).permute(0, 2, 3, 1)
            logits = logits.unflatten(0, (b, t))
            out = out + logits * (even if now == 0 else 1 - even)
        return out

    def _net(self, x: Tensor, qp: Tensor, t: int) -> Tensor:
        rate = self.qp(qp).repeat_interleave(t, 0)[:, :, None, None]
        h = self.mix(F.silu(self.past(x) + rate))
        h = h + self.near(F.silu(h))
        return self.out(F.silu(h))


def bit_costs(logits: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """Bits per token [B], twice: with gradient to the model only, and to the encoder only.

    Splitting them keeps the context model learning at full speed while lambda is still zero.
    """
    ones = (q + 1) / 2
    logits = logits.float()
    model = F.softplus(logits) - ones.detach() * logits
    fixed = logits.detach()
    encoder = F.softplus(fixed) - ones * fixed
    scale = 1.0 / LN2
    return (model.sum(-1).mean((1, 2, 3)) * scale, encoder.sum(-1).mean((1, 2, 3)) * scale)
