"""Optimizers: Muon for kernels, AdamW for the rest.

Muon (Jordan 2024) orthogonalizes the momentum of each weight matrix by a few Newton-Schulz steps;
updates are scaled to the size AdamW's would have (arXiv 2502.16982), so that both share one
learning rate. torch.optim.Muon takes matrices alone; convolution kernels are flattened here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

#: Quintic iteration that pushes every singular value towards 1 (Jordan 2024).
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalized; for parameters of two or more dimensions, as [out, rest]."""

    def __init__(self, params: Iterable[nn.Parameter], lr: float, momentum: float = 0.95,
                 steps: int = 5) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "steps": steps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient; `closure` is not used."""
        del closure
        for group in self.param_groups:
            alike: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    alike[p.flatten(1).shape].append(p)
            for shape, params in alike.items():
                # Matrices of one shape together: hundreds of small products keep no GPU busy.
                updates = orthogonalize(self._ahead(params, group["momentum"]), group["steps"])
                views = [u.view_as(p) for p, u in zip(params, updates, strict=True)]
                torch._foreach_add_(params, views, alpha=-group["lr"] * 0.2 * max(shape) ** 0.5)

    def _ahead(self, params: Sequence[Tensor], share: float) -> Tensor:
        """Gradients with Nesterov's momentum, [params, out, rest]."""
        grads = [p.grad for p in params if p.grad is not None]
        momenta = []
        for p in params:
            state = self.state[p]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(p)
            momenta.append(state["momentum"])
        torch._foreach_lerp_(momenta, grads, 1 - share)
        return torch.stack([g.flatten(1) for g in torch._foreach_lerp(grads, momenta, share)])


def orthogonalize(g: Tensor, steps: int) -> Tensor:
    """[..., m, n] -> about U V^T of each matrix's singular value decomposition.

    Every step multiplies by a polynomial of the Gram matrix. Those commute, so the steps are taken
    on the small square matrix and the wide one is touched twice, not twice a step.
    """
    a, b, c = COEFFICIENTS
    tall = g.shape[-2] > g.shape[-1]
    x = g.mT if tall else g
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    gram = x @ x.mT
    product = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    for step in range(steps):
        factor = torch.add(b * gram, gram @ gram, alpha=c)
        factor.diagonal(dim1=-2, dim2=-1).add_(a)
        product = factor @ product
        if step < steps - 1:
            gram = factor @ (factor @ gram)
    x = product @ x
    return x.mT if tall else x


def build_optimizers(module: nn.Module, name: str, lr: float,
                     betas: tuple[float, float]) -> list[torch.optim.Optimizer]:
    """"adamw", or "muon" for every kernel of 16 or more rows and AdamW for the rest."""
    wanted = [p for p in module.parameters() if p.requires_grad]
    kernels = [p for p in wanted if name == "muon" and p.ndim > 1 and min(p.flatten(1).shape) >= 16]
    taken = {id(p) for p in kernels}
    rest = [p for p in wanted if id(p) not in taken]
    out: list[torch.optim.Optimizer] = [torch.optim.AdamW(rest, lr, betas, weight_decay=0.0,
                                                          fused=True)]
    return [*out, Muon(kernels, lr)] if kernels else out
