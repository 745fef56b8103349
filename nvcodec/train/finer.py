"""A prior goes on from one with fewer passes, channels or frames."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from nvcodec.models.prior import Prior, known_taps
from nvcodec.models.quant import QuantLinear


def go_on_from(prior: Prior, saved: Mapping[str, Tensor]) -> None:
    """Load the float weights of a prior like this one, or of a smaller one: `prior` says the same
    at first, as far as weights on its grids can, and learns in all that it has more.

    Raises RuntimeError where the other one is larger, or has other bits.
    """
    smaller = _prior_of(saved, prior)
    smaller.load_state_dict(saved)
    if prior.around and not smaller.around:
        smaller = _refined(smaller, prior)
    mine, theirs = prior.layers(), smaller.layers()
    if mine.keys() != theirs.keys():
        raise RuntimeError("the weights to go on from have a layer `around`, and these have none")
    with torch.no_grad():
        for name, layer in mine.items():
            _widen(layer, theirs[name], _columns(name, prior, smaller))


def _prior_of(saved: Mapping[str, Tensor], prior: Prior) -> Prior:
    """One as large as saved weights are, with the bits and the grids of `prior`."""
    sized = ("past_in", "mix", "start")
    if missing := [k for k in sized if f"{k}.weight" not in saved]:
        raise RuntimeError(f"the weights to go on from have no layer {missing[0]}")
    rows = {k: len(saved[f"{k}.weight"]) for k in sized}
    around = len(saved["around_in.0.weight"]) if "around_in.0.weight" in saved else 0
    frames = saved["past_in.weight"].shape[1] // (9 * (prior.bits + 1))
    return Prior(prior.bits, rows["past_in"], rows["mix"], rows["start"], around, frames,
                 prior.finest)


def _widen(layer: QuantLinear, old: QuantLinear, columns: Tensor) -> None:
    """Give a layer's first outputs what `old` has for them, its inputs being `columns` here; what
    other inputs add to these is nothing at first."""
    rows = len(old.weight)
    if rows > len(layer.weight) or len(columns) != old.weight.shape[1]:
        raise RuntimeError(f"size mismatch: the weights to go on from have {rows} outputs of "
                           f"{old.weight.shape[1]} inputs where these have {len(layer.weight)} "
                           f"of {layer.weight.shape[1]}")
    layer.weight[:rows] = 0
    layer.weight[:rows, columns] = old.weight
    layer.bias[:rows] = old.bias
    if layer.by_qp is not None and old.by_qp is not None:
        layer.by_qp[:, :rows] = old.by_qp


def _columns(name: str, prior: Prior, smaller: Prior) -> Tensor:
    """Where the inputs of a layer of `smaller` are in that of `prior`."""
    bits, frames = prior.bits, prior.frames
    sizes = {"past_out": "narrow", "around_out": "around", "out": "units", "here": "width",
             "mix": "width", "start": "width", "direct": "width"}
    places = 9 if name.startswith(("past", "around")) else 1
    kind = name.split(".")[0]
    if kind == "past_in":
        # Signs of one frame after the other, then whether each is there.
        each = torch.cat((torch.arange(bits * smaller.frames),
                          bits * frames + torch.arange(smaller.frames)))
        step = frames * (bits + 1)
    elif kind in sizes:
        each, step = torch.arange(getattr(smaller, sizes[kind])), getattr(prior, sizes[kind])
    else:
        return torch.arange(prior.layers()[name].weight.shape[1])
    if int(each[-1]) >= step:
        raise RuntimeError(f"size mismatch: layer {name} of the weights to go on from has more "
                           "inputs")
    return (step * torch.arange(places)[:, None] + each).flatten()


def _refined(coarse: Prior, like: Prior) -> Prior:
    """`coarse`, which has no layer `around`, with the passes and that layer of `like`."""
    prior = Prior(coarse.bits, coarse.narrow, coarse.width, coarse.units, like.around,
                  coarse.frames, like.finest)
    shared = {k: v for k, v in coarse.state_dict().items() if not k.startswith(("here.", "near."))}
    prior.load_state_dict({**prior.state_dict(), **shared})
    with torch.no_grad():
        for number in range(len(prior.passes)):
            _refine(prior, number, coarse)
    return prior


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
