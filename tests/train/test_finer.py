"""A prior with more passes, channels or frames begins as the one that it goes on from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nvcodec.models.prior import Prior
from nvcodec.models.prior_file import prior_bytes, thawed
from nvcodec.train.finer import go_on_from

BITS = 6


def coarse_prior() -> Prior:
    """Weights that lie on the grid of every layer, whatever its inputs."""
    torch.manual_seed(1)
    prior = Prior(BITS, 8, 12, 8)
    with torch.no_grad():
        for name, p in prior.named_parameters():
            p.copy_((torch.randn_like(p) * 8).round_().clamp_(-15, 15) / 64)
            if name.endswith("by_qp"):
                p.zero_()
    return prior


def logits(prior: Prior) -> torch.Tensor:
    draw = torch.Generator().manual_seed(2)
    q = torch.randn(2, 3, 7, 9, BITS, generator=draw).sign()
    hints = torch.randint(-200, 200, q.shape, generator=draw) / 64
    with torch.no_grad():
        out: torch.Tensor = prior(q, torch.tensor([5, 44]), hints)
    return out


def test_it_says_the_same_at_first_and_learns_in_all_that_is_new() -> None:
    coarse, fine = coarse_prior(), Prior(BITS, 8, 12, 8, 6)
    go_on_from(fine, coarse.state_dict())
    assert torch.equal(logits(fine), logits(coarse))
    q = torch.randn(1, 2, 9, 9, BITS, generator=torch.Generator().manual_seed(3)).sign()
    fine(q, torch.tensor([9])).square().mean().backward()
    assert all(bool(layer.weight.grad.any()) for layer in fine.around_out)


@pytest.mark.parametrize("around", [0, 6])
def test_a_file_can_be_gone_on_from(around: int, tmp_path: Path) -> None:
    saved = coarse_prior()
    if around:
        fine = Prior(BITS, 8, 12, 8, around)
        go_on_from(fine, saved.state_dict())
        saved = fine
    (tmp_path / "p").write_bytes(prior_bytes(saved, "0" * 64))
    prior = Prior(BITS, 8, 12, 8, 6)
    go_on_from(prior, thawed(tmp_path / "p").state_dict())
    assert torch.equal(logits(prior), logits(saved))


@pytest.mark.parametrize("around", [0, 6])
@pytest.mark.parametrize("sizes", [(10, 12, 8, 6, 2), (8, 16, 8, 6, 2), (8, 12, 9, 6, 2),
                                   (8, 12, 8, 8, 2), (8, 12, 8, 6, 3), (9, 14, 11, 7, 4)])
def test_a_wider_one_says_the_same_at_first_and_learns(sizes: tuple[int, ...],
                                                       around: int) -> None:
    saved = coarse_prior()
    if around:
        fine = Prior(BITS, 8, 12, 8, around)
        go_on_from(fine, saved.state_dict())
        saved = fine
    prior = Prior(BITS, *sizes)
    go_on_from(prior, saved.state_dict())
    assert torch.equal(logits(prior), logits(saved))
    q = torch.randn(1, 5, 9, 9, BITS, generator=torch.Generator().manual_seed(3)).sign()
    prior(q, torch.tensor([9])).square().mean().backward()
    for name in ("past_in", "past_out", "mix", "out", "around_out.8"):
        more = prior.get_submodule(name).weight.grad != 0
        there = dict(saved.named_parameters()).get(f"{name}.weight", more[:0, :0])
        assert bool(more[:, there.shape[1]:].any()) or more.shape[1] == there.shape[1], name


@pytest.mark.parametrize("sizes", [(8, 10, 8, 6), (6, 12, 8, 6), (8, 12, 7, 6)])
def test_a_narrower_one_is_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(RuntimeError, match="size mismatch"):
        go_on_from(Prior(BITS, *sizes), coarse_prior().state_dict())


def test_fewer_passes_or_frames_and_other_networks_are_refused() -> None:
    with pytest.raises(RuntimeError, match="no layer past_in"):
        go_on_from(Prior(BITS, 8, 12, 8), {"x": torch.zeros(1)})
    with pytest.raises(RuntimeError, match="have none"):
        go_on_from(Prior(BITS, 8, 12, 8), Prior(BITS, 8, 12, 8, 6).state_dict())
    with pytest.raises(RuntimeError, match="size mismatch"):
        go_on_from(Prior(BITS, 8, 12, 8, 6), Prior(BITS, 8, 12, 8, 6, 3).state_dict())
