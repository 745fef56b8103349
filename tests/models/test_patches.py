"""Gradients of parts are those of slices."""

import torch

from nvcodec.models.patches import gathered, parted

PLACES = [(slice(i, i + 4, 2), slice(j, j + 5)) for i in range(3) for j in range(3)]


def test_gathered_parts_and_their_gradients() -> None:
    x = torch.randn(2, 6, 8, 3, dtype=torch.float64, requires_grad=True)
    plain = torch.cat([x[:, rows, columns] for rows, columns in PLACES], dim=-1)
    assert torch.equal(gathered(x, PLACES), plain)
    assert torch.autograd.gradcheck(lambda v: gathered(v, PLACES), (x,))


def test_single_parts_and_their_gradients() -> None:
    x = torch.randn(1, 6, 8, 2, dtype=torch.float64, requires_grad=True)
    places = [*PLACES, (slice(0, None, 4), slice(7, None, 4)), (slice(6, None), slice(None))]
    for (rows, columns), part in zip(places, parted(x, places), strict=True):
        assert torch.equal(part, x[:, rows, columns])
    assert torch.autograd.gradcheck(lambda v: parted(v, places), (x,))
