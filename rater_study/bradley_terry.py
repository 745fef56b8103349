"""Bradley-Terry scores on the Elo scale, for one matrix of wins or for many at once.

R. A. Bradley and M. E. Terry, "Rank analysis of incomplete block designs", Biometrika 39 (1952):
the chance that i beats j is 1 / (1 + exp(s_j - s_i)). The Elo scale is s * 400 / ln 10. A tie
counts as half a win for each. Scores are the likelihood's maximum, found by Newton's method; it
exists and is unique where every condition can be reached from every other through wins (L. R. Ford,
American Mathematical Monthly 64, 1957), which `Graph` looks at first.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

Array = NDArray[np.float64]

#: Elo points of one natural unit.
ELO_UNIT = 400 / log(10)
#: Precision of the prior where the maximum does not exist otherwise (and in resampled data, where
#: it may not): the information of a few hundredths of a vote, so scores end instead of running off.
TINY_RIDGE = 1e-2
STEPS, TOLERANCE, LONGEST_STEP = 60, 1e-9, 2.0


def hessian(wins: Array, scores: Array, ridge: float) -> Array:
    """Negative second derivative [..., n, n] of the log-likelihood at natural scores [..., n].

    The added constant 1 lies along the direction in which nothing changes (all scores moved alike)
    and makes the matrix invertible without moving the centred solution.
    """
    p = 1 / (1 + np.exp(scores[..., None, :] - scores[..., :, None]))
    return _hessian((wins + np.swapaxes(wins, -1, -2)) * p * (1 - p), ridge)


def _hessian(information: Array, ridge: float) -> Array:
    n = information.shape[-1]
    out: Array = 1.0 / n - information
    here = np.arange(n)
    out[..., here, here] = information.sum(-1) + ridge + 1.0 / n
    return out


def fit(wins: Array, ridge: float = 0.0, start: Array | None = None,
        tolerance: float = TOLERANCE) -> Array:
    """Natural scores [..., n] with mean 0 from wins [..., n, n] of row over column.

    `ridge` is the precision of a normal prior on each score; without it the win graph has to be
    strongly connected. `start` speeds up fits near a known one; a step below `tolerance`
    (natural units) ends it.
    """
    n = wins.shape[-1]
    scores = np.zeros((*wins.shape[:-2], n)) + (0 if start is None else start)
    games = wins + np.swapaxes(wins, -1, -2)
    won = wins.sum(-1)
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(scores[..., None, :] - scores[..., :, None]))
        expected = games * p
        slope = won - expected.sum(-1) - ridge * scores
        matrix = _hessian(expected * (1 - p), ridge)
        step = np.linalg.solve(matrix, slope[..., None])[..., 0]
        # Far from the maximum Newton's step can be huge.
        step *= np.minimum(1, LONGEST_STEP / np.maximum(np.abs(step).max(-1, keepdims=True), 1e-12))
        scores = scores + step
        scores -= scores.mean(-1, keepdims=True)
        if np.abs(step).max(initial=0) < tolerance:
            break
    return scores


@dataclass(frozen=True)
class Graph:
    """What the comparisons join.

    Attributes:
        parts: conditions by index that comparisons join, the largest part first. Scores of
            different parts say nothing about each other.
        tiers: within each part, the groups that wins lead around in, best first. More than one
            means that one group never lost to another: the true distance is unbounded.
    """

    parts: list[list[int]]
    tiers: list[list[list[int]]]

    @property
    def is_connected(self) -> bool:
        """Whether all conditions can be put on one scale."""
        return len(self.parts) == 1

    def is_separated(self, part: int) -> bool:
        """Whether a part has no finite maximum without a prior."""
        return len(self.tiers[part]) > 1


def graph(wins: Array) -> Graph:
    """The graph of wins [n, n] of row over column; ties are half wins both ways."""
    _, weak = connected_components(wins > 0, directed=True, connection="weak")
    _, strong = connected_components(wins > 0, directed=True, connection="strong")
    parts = [np.flatnonzero(weak == k).tolist() for k in range(weak.max() + 1)]
    parts.sort(key=lambda part: (-len(part), part))
    tiers = []
    for part in parts:
        groups = [[i for i in part if strong[i] == k] for k in {int(strong[i]) for i in part}]
        # Those that beat others without ever losing to them come first.
        reach = _reaches(wins > 0)
        groups.sort(key=lambda g: (-int(reach[g[0]].sum()), g))
        tiers.append(groups)
    return Graph(parts, tiers)


def _reaches(beats: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Who leads to whom over any number of wins (Warshall's closure)."""
    out = beats.copy()
    for k in range(len(out)):
        out |= out[:, k:k + 1] & out[k:k + 1, :]
    return out


def elo(wins: Array, joined: Graph | None = None) -> Array:
    """Elo scores [n]: each part has mean 0, a separated part is held by TINY_RIDGE, and a condition
    that nothing joins to another has no score (NaN)."""
    joined = joined or graph(wins)
    scores = np.full(len(wins), np.nan)
    for number, part in enumerate(joined.parts):
        if len(part) > 1:
            own = wins[np.ix_(part, part)]
            scores[part] = fit(own, TINY_RIDGE * joined.is_separated(number)) * ELO_UNIT
    return scores
