"""Lookup-free quantization (paper, section 3.1): the sign of each latent value is one bit.

Token index = sum over i of 2**i * [z_i > 0]. No table of 2**18 codes exists anywhere: the entropy
terms are computed bit by bit and in groups of bits.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: Steepness of the soft assignment p(bit = 1) = sigmoid(STEEPNESS * z), from squared distances.
STEEPNESS = 4.0


def quantize(z: Tensor) -> Tensor:
    """z [..., bits] -> its sign in {-1, +1} with a straight-through gradient; 0 counts as -1."""
    hard = torch.where(z > 0, 1.0, -1.0).to(z.dtype)
    return z + (hard - z).detach()


def bits_to_tokens(q: Tensor) -> Tensor:
    """q [..., bits], positive means 1 -> int32 [...] in 0 .. 2**bits - 1."""
    weights = 2 ** torch.arange(q.shape[-1], device=q.device, dtype=torch.int32)
    return ((q > 0).int() * weights).sum(-1, dtype=torch.int32)


def tokens_to_bits(tokens: Tensor, bits: int = 18, dtype: torch.dtype = torch.float32) -> Tensor:
    """int [...] in 0 .. 2**bits - 1 -> [..., bits] in {-1, +1}."""
    shifts = torch.arange(bits, device=tokens.device, dtype=torch.int32)
    ones = (tokens.int()[..., None] >> shifts) & 1
    return ones.to(dtype) * 2 - 1


def commitment(z: Tensor) -> Tensor:
    """Mean squared distance between latent values and their signs."""
    return (z.abs() - 1).square().mean()


def entropy_terms(z: Tensor, group: int = 9, samples: int = 1024) -> tuple[Tensor, Tensor]:
    """E[H(q(z))] and H(E[q(z)]) in bits per token, from z [..., bits].

    The first is analytic: bits are independent given z. The second needs the joint distribution
    of the mean, taken over groups of `group` bits (paper, appendix A) from at most `samples`
    positions, so that at most samples * 2**group values exist at once.
    """
    flat = z.reshape(-1, z.shape[-1]).float()
    if flat.shape[0] > samples:
        flat = flat[torch.randperm(flat.shape[0], device=z.device)[:samples]]
    logits = STEEPNESS * flat
    p = torch.sigmoid(logits)
    nats = F.softplus(logits) - p * logits
    per_sample = nats.sum(-1).mean() / 0.6931471805599453
    total = per_sample.new_zeros(())
    for ones in p.split(group, dim=-1):
        mean = _joint(ones).mean(0)
        total = total - (mean * (mean + 1e-9).log2()).sum()
    return per_sample, total


def _joint(p: Tensor) -> Tensor:
    """p(bit = 1) [N, g] -> joint probabilities of all 2**g patterns [N, 2**g]."""
    out = torch.ones_like(p[:, :1])
    for i in range(p.shape[1]):
        one = p[:, i:i + 1]
        out = torch.cat((out * (1 - one), out * one), dim=1)
    return out
