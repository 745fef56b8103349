"""Confidence intervals of Bradley-Terry scores: a bootstrap over raters and clips.

Votes of one rater hang together, and so do votes on one clip; intervals that take each vote as
independent are too short. Three bootstraps resample raters, clips, and votes with replacement; the
variance is V(raters) + V(clips) - V(votes), the rule of A. C. Cameron, J. B. Gelbach and
D. L. Miller, "Robust inference with multiway clustering", J. Business & Economic Statistics 29
(2011): what both share is subtracted once. (Resampling raters and clips at once, the "pigeonhole"
bootstrap of A. B. Owen, Annals of Applied Statistics 1 (2007), triples the variance of independent
votes.) Each is scaled by G / (G - 1) for G groups, and the interval is score +- t * sqrt(variance)
with Student's t at the degrees of freedom that Satterthwaite's rule gives for the two sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from rater_study import bradley_terry
from rater_study.bradley_terry import ELO_UNIT
from rater_study.tally import Floats, Ints, Tally

REPLICATES = 500
LEVEL = 0.95
#: Replicates fitted at once, which bounds memory.
BATCH = 2000
#: Newton's last step in replicates, in natural units: below 0.002 Elo.
CLOSE = 1e-5


@dataclass(frozen=True)
class Intervals:
    """Bounds in Elo [n] around each score, NaN where fewer than two raters or clips voted; the
    standard deviations by source, and the degrees of freedom."""

    low: Floats
    high: Floats
    raters_sd: Floats
    clips_sd: Floats
    votes_sd: Floats
    freedom: Floats


def intervals(votes: Tally, scores: Floats, random: np.random.Generator,
              replicates: int = REPLICATES, level: float = LEVEL, ridge: float | None = None
              ) -> Intervals:
    """Intervals for Elo scores [n] of one connected part.

    Args:
        votes: of the part only.
        scores: Elo, mean 0, fitted to all of them.
        random: source of resamples.
        replicates: of each of the three bootstraps.
        level: of coverage.
        ridge: as in the fit; resampled data can fall apart where the data do not, so the least is
            bradley_terry.TINY_RIDGE.
    """
    ridge = bradley_terry.TINY_RIDGE if ridge is None else ridge
    start = scores / ELO_UNIT
    spread = []
    for groups in (votes.rater, votes.clip, None):
        wins = _resampled(votes, groups, random, replicates)
        fits = np.concatenate([bradley_terry.fit(wins[i:i + BATCH], ridge, start, CLOSE)
                               for i in range(0, replicates, BATCH)])
        spread.append(fits.var(axis=0, ddof=1) * ELO_UNIT**2)
    sizes = [len(np.unique(votes.rater)), len(np.unique(votes.clip))]
    if min(sizes) < 2:
        nothing = np.full(len(scores), np.nan)
        return Intervals(nothing, nothing, nothing, nothing, np.sqrt(spread[2]), nothing)
    raters, clips = (v * g / (g - 1) for v, g in zip(spread[:2], sizes, strict=True))
    variance, freedom = combine(raters, clips, spread[2], sizes)
    half = student.ppf((1 + level) / 2, freedom) * np.sqrt(variance)
    return Intervals(scores - half, scores + half, np.sqrt(raters), np.sqrt(clips),
                     np.sqrt(spread[2]), freedom)


def combine(raters: Floats, clips: Floats, single: Floats, sizes: list[int]
            ) -> tuple[Floats, Floats]:
    """Variance of two-way clustering and its degrees of freedom, each [n].

    By chance the rule can give less than independent votes would; below half of that (or below
    zero) no estimate is believed.
    """
    variance = np.maximum(raters + clips - single, single / 2)
    noise = raters**2 / (sizes[0] - 1) + clips**2 / (sizes[1] - 1)
    freedom = np.clip(variance**2 / np.maximum(noise, 1e-12), min(sizes) - 1, None)
    return variance, freedom


def _resampled(votes: Tally, groups: Ints | None, random: np.random.Generator, count: int
               ) -> NDArray[np.float64]:
    """Wins [count, n, n] of resampled raters, clips or single votes."""
    n = votes.n
    if groups is not None:
        per_group = votes.grouped_wins(groups)
        per_group = per_group[per_group.any(axis=(1, 2))]
        size = len(per_group)
        weights = random.multinomial(size, np.full(size, 1 / size), count).astype(float)
        return (weights @ per_group.reshape(size, -1)).reshape(count, n, n)
    # Equal votes are drawn together: a multinomial over the distinct outcomes is the same thing.
    code = (votes.first * n + votes.second) * 3 + np.rint(2 * votes.share).astype(np.int64)
    cells, amount = np.unique(code, return_counts=True)
    drawn = random.multinomial(len(votes), amount / len(votes), count).astype(float)
    pair, share = np.divmod(cells, 3)
    there = np.zeros((len(cells), n * n))
    there[np.arange(len(cells)), pair] = share / 2
    there[np.arange(len(cells)), pair % n * n + pair // n] += 1 - share / 2
    return (drawn @ there).reshape(count, n, n)
