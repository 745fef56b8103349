"""Active selection: votes go where they tell most about the scores.

After every batch the Bradley-Terry scores are fitted to all votes so far (Laplace approximation
under a weak prior, so that it exists from the first vote). A question about conditions i and j is
worth ln(1 + p(1 - p) v), where p is the chance that i wins and v the variance of their difference:
the gain in the determinant of the information (D-optimal design). As in Hybrid-MST (Li et al.,
NeurIPS 2018) a batch is the spanning tree of greatest worth, so that no condition is left behind;
that work takes the expected information gain instead. The clip is one that this rater has seen
least with that pair. A fifth of the questions stays random, which guards against a wrong start.
"""

from __future__ import annotations

import threading
from collections import Counter
from random import Random

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import minimum_spanning_tree

from rater_study.bradley_terry import ELO_UNIT, fit, hessian
from rater_study.manifest import Manifest
from rater_study.pairing import Comparison, Slot
from rater_study.storage import Storage

#: Variance of the prior is 1 / RIDGE in natural units: sd of about 350 Elo.
RIDGE = (ELO_UNIT / 350) ** 2
RANDOM_SHARE = 0.2


def worth(wins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gain [n, n] of one more vote on each pair, from the wins [n, n] of row over column."""
    scores = fit(wins, RIDGE)
    covariance = np.linalg.inv(hessian(wins, scores, RIDGE))
    spread = np.diag(covariance)
    variance = spread[:, None] + spread[None, :] - 2 * covariance
    p = 1 / (1 + np.exp(scores[None, :] - scores[:, None]))
    gain: NDArray[np.float64] = np.log1p(p * (1 - p) * variance)
    return gain


def best_tree(gain: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Edges (i, j) of the spanning tree with the greatest sum of gains, 0 where none is allowed."""
    cost = np.where(gain > 0, gain.max() * 1.01 - gain, 0)
    tree = minimum_spanning_tree(np.triu(cost, 1)).tocoo()
    return [(int(i), int(j)) for i, j in zip(tree.row, tree.col, strict=True)]


class Selector:
    """Chooses what open slots show. Safe across threads; a restart only refits."""

    def __init__(self, manifest: Manifest, storage: Storage) -> None:
        self._manifest, self._storage = manifest, storage
        self._lock = threading.Lock()
        self._names = [c.id for c in manifest.conditions]
        self._clips: dict[tuple[str, str], list[str]] = {}
        for clip, a, b in manifest.comparisons:
            self._clips.setdefault((a, b), []).append(clip)
        self._batch: list[tuple[str, str]] = []

    def choose(self, rater: int, number: int) -> Slot:
        """What slot `number` of a rater shows."""
        random = Random(f"{self._manifest.settings.seed}/active/{rater}/{number}")
        with self._lock:
            if random.random() < RANDOM_SHARE:
                pair = random.choice(list(self._clips))
            else:
                if not self._batch:
                    self._batch = self._plan()
                    random.shuffle(self._batch)
                pair = self._batch.pop()
        clip, a, b = self._with_clip(rater, pair, random)
        left, right = (a, b) if random.random() < 0.5 else (b, a)
        return Slot(number, "pair", clip, left, right)

    def _plan(self) -> list[tuple[str, str]]:
        index = {name: i for i, name in enumerate(self._names)}
        wins = np.zeros((len(index), len(index)))
        for left, right, choice, count in self._storage.rows(
                'SELECT "left", "right", choice, COUNT(*) FROM votes JOIN slots USING (rater, slot)'
                " WHERE kind = 'pair' GROUP BY 1, 2, 3"):
            share = {"left": 1.0, "right": 0.0, "tie": 0.5}[choice]
            wins[index[left], index[right]] += share * count
            wins[index[right], index[left]] += (1 - share) * count
        allowed = np.zeros_like(wins)
        for a, b in self._clips:
            allowed[index[a], index[b]] = allowed[index[b], index[a]] = 1
        edges = best_tree(worth(wins) * allowed)
        return [(self._names[min(e)], self._names[max(e)]) for e in edges]

    def _with_clip(self, rater: int, pair: tuple[str, str], random: Random) -> Comparison:
        """The pair on the clip that has had it least: first with this rater, then with all."""
        own: Counter[str] = Counter()
        every: Counter[str] = Counter()
        for clip, who, count in self._storage.rows(
                'SELECT clip, rater, COUNT(*) FROM slots WHERE ("left" = ?1 AND "right" = ?2) '
                'OR ("left" = ?2 AND "right" = ?1) GROUP BY 1, 2', *pair):
            every[clip] += count
            own[clip] += count * (who == rater)
        clips = list(self._clips[pair])
        random.shuffle(clips)
        return (min(clips, key=lambda c: (own[c], every[c])), *pair)
