"""A prior that goes through a frame in ten passes goes on from one with four."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from nvcodec.models.prior import Prior, known_taps


def go_on_from(prior: Prior, saved: Mapping[str, Tensor]) -> None:
    """Load the float weights of a prior like this one, or of one with fewer passes.

    Raises RuntimeError where other sizes differ.
    """
    if not prior.around or any(name.startswith("around_in") for name in saved):
        prior.load_state_dict(saved)
        return
    coarse = Prior(prior.bits, prior.narrow, prior.width, prior.units)
    coarse.load_state_dict(saved)
    shared = {k: v for k, v in saved.items() if not k.startswith(("here.", "near."))}
    prior.load_state_dict({**prior.state_dict(), **shared})
    with torch.no_grad():
        for number in range(len(prior.passes)):
            _refine(prior, number, coarse)


def _refine(prior: Prior, number: int, coarse: Prior) -> None:
    """Have one pass of `prior` say what the one of `coarse` says that it was cut from."""
    row, column, _ = prior.passes[number]
    old = next(n for n, (r, c, step) in enumerate(coarse.passes)
               if (row - r) % step == 0 and (column - c) % step == 0)
    prior.here[number].load_state_dict(coarse.here[old].state_dict())
    if not number:
        return
    for layer in (prior.near[number - 1], prior.around_out[number - 1]):
        for p in layer.parameters():
            p.zero_()
    if not old:
        return
    near, before = prior.near[number - 1].state_dict(), coarse.near[old - 1].state_dict()
    near["bias"].copy_(before["bias"])
    taps = known_taps(prior.passes, number)
    for i, tap in enumerate(known_taps(coarse.passes, old)):
        mine, theirs = (slice(k * prior.bits, (k + 1) * prior.bits) for k in (taps.index(tap), i))
        near["weight"][:, mine] = before["weight"][:, theirs]
