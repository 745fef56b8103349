"""A camera that moves: homographies from a reference picture to others.

They are told by how far the picture's corners go (Baker, Datta and Kanade, "Parameterizing
homographies", CMU-RI-TR-06-11, 2006), and found by registration: inverse compositional steps on a
pyramid (Baker and Matthews, "Lucas-Kanade 20 years on", IJCV 2004), in which what moves by itself
counts little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from nvcodec.models.motion import luma

#: [3, 3]: positions in the reference (x, y, 1) to positions in another picture, in pixels.
Homography = npt.NDArray[np.floating[Any]]
#: int16 [4, 2], in 1/16 pixel: how far the corners go, as files have it.
Moves = npt.NDArray[np.int16]

#: Moves are in this part of a pixel, and so many at most.
UNIT, MOST = 16, 32767
#: Levels of the pyramid, steps on each at most, coarse to fine; the shorter side on the finest has
#: FINEST pixels at least, and a picture LEAST.
STEPS, FINEST, LEAST = (4, 4, 4), 160, 64
#: Steps below this, in the finest level's pixels, are the last ones of a level.
SMALL = 0.02
#: Squared errors count little above this many times the median error, or levels of 8 bits.
ROBUST, LEVELS = 2.5, 1.5
#: A camera moves where that takes the mean error, each of at most CLAMP levels, below one part
#: where no corner goes a pixel, and below another elsewhere: next to nothing is better shown as it
#: is than resampled.
STILL, CLEAR, CLAMP = 0.85, 0.97, 4.0
#: Nor where no corner goes that far, in pixels, before the finest level.
LITTLE = 0.25
#: The horizon, for a plane that is 1 in the middle of the picture.
NEAREST = 1e-3
#: Part of the reference that has to be in view.
IN_VIEW = 0.1


def homography(moves: Moves, width: int, height: int) -> Homography:
    """The one that takes the corners of a picture that far; float64 [3, 3]."""
    corners = _corners(width, height)
    rows = []
    for (x, y), (u, v) in zip(corners, corners + moves / UNIT, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y, u], [0, 0, 0, x, y, 1, -v * x, -v * y, v]]
    equations = np.array(rows, np.float64)
    return np.append(np.linalg.solve(equations[:, :8], equations[:, 8]), 1.0).reshape(3, 3)


def moves_of(h: Homography, width: int, height: int) -> Moves | None:
    """How far a homography takes the corners; None where that is beyond what moves can tell."""
    corners = _corners(width, height)
    there = np.c_[corners, np.ones(4)] @ h.T
    if (there[:, 2] <= 0).any():
        return None
    gone = np.rint((there[:, :2] / there[:, 2:] - corners) * UNIT)
    return None if np.abs(gone).max() > MOST else gone.astype(np.int16)


def _corners(width: int, height: int) -> npt.NDArray[np.floating[Any]]:
    """Above left and right, then below; (x, y) in pixels, [4, 2]."""
    return np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)


def places(h: Homography, width: int, height: int, cell: int = 1) -> Tensor:
    """Where the centres of a picture's cells, of so many pixels each way, are taken: positions in
    pixels (x, y), float32 [height / cell, width / cell, 2], both rounded up."""
    x, y = ((torch.arange(-(-n // cell)) + 0.5) * cell for n in (width, height))
    h = h / (h[2] @ (width / 2, height / 2, 1))
    across, down, over = (float(a) * x + (float(b) * y + float(c))[:, None] for a, b, c in h)
    there = torch.empty(*over.shape, 2)
    torch.div(across, over, out=there[..., 0])
    torch.div(down, over, out=there[..., 1])
    # Beyond the horizon there is nothing.
    beyond = over <= NEAREST
    return there.masked_fill_(beyond[..., None], -1e6) if beyond.any() else there


def sampled(planes: Tensor, at: Tensor, cell: int = 1, mode: str = "bilinear",
            outside: str = "zeros") -> Tensor:
    """Planes [C, h, w] of cells of so many pixels each way, at positions [h', w', 2] in pixels."""
    size = at.new_tensor([planes.shape[2] * cell, planes.shape[1] * cell])
    grid = at * (2 / size) - 1
    return F.grid_sample(planes[None], grid[None], mode, outside, align_corners=False)[0]


class Registration:
    """Finds homographies from a reference to other pictures, uint8 or float [H, W, 3] of 0..255, in
    coordinates from -1 to 1 (of what whole cells of the coarsest level cover)."""

    def __init__(self, reference: Tensor) -> None:
        height, width = reference.shape[:2]
        finest = max(1, (min(height, width) // FINEST).bit_length() - 1)
        self.levels = [finest + n for n in reversed(range(len(STEPS)))]
        cell = 2 ** self.levels[0]
        self.height, self.width = height // cell * cell, width // cell * cell
        self.pyramid = self._pyramid(reference)
        self.steepest = [_steepest(plane) for plane in self.pyramid]
        self.others: list[Tensor] = []

    def to(self, picture: Tensor, starts: Sequence[Homography]) -> Homography:
        """The one to a picture, from the best of these on; where it is lost, the identity."""
        self.others = self._pyramid(picture)
        h = min(starts, key=lambda start: self._error(start, 0))
        last, still = len(STEPS) - 1, np.eye(3)
        for number, steps in enumerate(STEPS):
            if number == last and self._reach(h) < LITTLE:
                return still
            for _ in range(steps):
                h, size = self._step(h, number)
                if size < SMALL:
                    break
        gain = STILL if self._reach(h) < 1 else CLEAR
        return h if self._error(h, last) < gain * self._error(still, last) else still

    def _reach(self, h: Homography) -> float:
        """How far the corner goes that goes furthest, in pixels."""
        corners = np.array([[-1, -1, 1], [1, -1, 1], [-1, 1, 1], [1, 1, 1]])
        there = corners @ h.T
        gone = (there[:, :2] / there[:, 2:] - corners[:, :2]) * (self.width / 2, self.height / 2)
        return float(np.abs(gone).max())

    def in_pixels(self, h: Homography) -> Homography:
        """A homography of positions from -1 to 1 as one of positions in pixels."""
        to = np.array([[2 / self.width, 0, -1], [0, 2 / self.height, -1], [0, 0, 1]])
        found: Homography = np.linalg.inv(to) @ h @ to
        return found / found[2, 2]

    def _pyramid(self, picture: Tensor) -> list[Tensor]:
        """Luma on each level, smoothed, [h, w]."""
        whole = luma(picture[None, :self.height, :self.width])
        return [_smoothed(F.avg_pool2d(whole, 2 ** level))[0, 0] for level in self.levels]

    def _errors(self, h: Homography, number: int) -> tuple[Tensor, Tensor]:
        """Of each pixel of a level, and whether the picture has it: [h, w]."""
        plane = self.pyramid[number]
        height, width = plane.shape
        x, y = (torch.arange(1, 2 * n, 2) / n - 1 for n in (width, height))
        across, down, over = (float(a) * x + (float(b) * y + float(c))[:, None] for a, b, c in h)
        grid = torch.stack((across, down), -1) / over[..., None]
        there = F.grid_sample(self.others[number][None, None], grid[None], "bilinear", "border",
                              align_corners=False)[0, 0]
        return there.sub_(plane), ((grid.abs() < 1).all(-1) & (over > 0)).float()

    def _error(self, h: Homography, number: int) -> float:
        errors, inside = self._errors(h, number)
        if inside.mean() < IN_VIEW:
            return float("inf")
        return float((errors.abs_().clamp_max_(CLAMP) * inside).sum() / inside.sum())

    def _step(self, h: Homography, number: int) -> tuple[Homography, float]:
        """A better one, and how far the corners went, in pixels of the level."""
        errors, inside = self._errors(h, number)
        if inside.mean() < IN_VIEW:
            return np.eye(3), 0.0
        errors, inside = errors.flatten(), inside.flatten()
        usual = errors[::7][inside[::7] > 0].abs().median()
        share = errors / (ROBUST * usual).clamp_min(LEVELS)
        share = share.square_().add_(1).pow_(-2).mul_(inside)
        steepest = self.steepest[number]
        weighted = steepest * share[:, None]
        matrix = (weighted.T @ steepest).double().numpy()
        matrix += np.eye(8) * 1e-6 * np.trace(matrix)
        if not np.isfinite(matrix).all() or not matrix.any():
            return h, 0.0
        d = np.linalg.solve(matrix, (weighted.T @ errors).double().numpy())
        step = np.append(d, 0.0).reshape(3, 3) + np.eye(3)
        if not np.linalg.det(step) > 0.1:
            return h, 0.0
        better = h @ np.linalg.inv(step)
        size = np.abs(d).max() * max(self.pyramid[number].shape) / 2
        return better / better[2, 2], float(size)


class Camera:
    """Follows a camera through the pictures around a reference.

    Args:
        reference: uint8 [H, W, 3].
        allowed: whether moves of the corners may be; where they may not it counts as not moved.
    """

    def __init__(self, reference: Tensor,
                 allowed: Callable[[Moves], bool] = lambda _: True) -> None:
        self.allowed = allowed
        self.height, self.width = reference.shape[:2]
        self.registration: Registration | None = None
        if min(self.height, self.width) >= LEAST:
            self.registration = Registration(reference)
        self.path: list[Homography] = [np.eye(3)]

    def back(self, pictures: Tensor) -> Moves:
        """The corners' moves in the pictures before the reference, uint8 [T, H, W, 3]: int16
        [T, 4, 2]."""
        moves = self.follow(pictures.flip(0))[::-1].copy()
        self.path = [np.eye(3)]  # where it ended is far from where it goes on
        return moves

    def follow(self, pictures: Tensor) -> Moves:
        """Those in the next pictures after the reference."""
        found = np.zeros((len(pictures), 4, 2), np.int16)
        for i, picture in enumerate(pictures):
            found[i] = self._next(picture)
        return found

    def _next(self, picture: Tensor) -> Moves:
        if self.registration is None:
            return np.zeros((4, 2), np.int16)
        last = self.path[-1]
        starts = [last, np.eye(3)]
        if len(self.path) > 1:  # as fast as before
            starts.append(last @ np.linalg.inv(self.path[-2]) @ last)
        h = self.registration.to(picture, starts)
        moves = moves_of(self.registration.in_pixels(h), self.width, self.height)
        if moves is None or not self.allowed(moves):
            h, moves = np.eye(3), np.zeros((4, 2), np.int16)
        self.path = [last, h]
        return moves


def _smoothed(planes: Tensor) -> Tensor:
    """[1, 1, h, w] with a kernel of 1, 2, 1 both ways."""
    row = planes.new_tensor([0.25, 0.5, 0.25])
    wide = F.pad(planes, (1, 1, 1, 1), "replicate")
    return F.conv2d(F.conv2d(wide, row.view(1, 1, 1, 3)), row.view(1, 1, 3, 1))


def _steepest(plane: Tensor) -> Tensor:
    """How a level [h, w] changes with each of the eight numbers of a homography, [h w, 8]."""
    height, width = plane.shape
    across, down = torch.zeros(2, height, width)
    across[:, 1:-1] = (plane[:, 2:] - plane[:, :-2]) * (width / 4)
    down[1:-1] = (plane[2:] - plane[:-2]) * (height / 4)
    x, y = (torch.arange(1, 2 * n, 2) / n - 1 for n in (width, height))
    y = y[:, None]
    over = across * x + down * y
    columns = (across * x, across * y, across, down * x, down * y, down, -over * x, -over * y)
    return torch.stack(columns, -1).flatten(0, 1)
