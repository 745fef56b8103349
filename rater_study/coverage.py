"""Do the intervals cover the truth? `python -m rater_study coverage`

Raters with known strengths answer as in a real study of the balanced design, many times over; the
share of 95% intervals that hold the true score is what it prints. Raters and clips can be given
tastes of their own (`--rater-sd`, `--clip-sd`), which is what clustered intervals are for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rater_study import bootstrap, bradley_terry
from rater_study.bradley_terry import ELO_UNIT
from rater_study.tally import Floats, Tally


@dataclass(frozen=True)
class Setting:
    """A simulated study; scores of `conditions` are spread evenly over `span` Elo, and each rater
    and each clip shifts every condition by a normal value of these standard deviations in Elo."""

    conditions: int = 12
    span: float = 400.0
    raters: int = 16
    votes: int = 800
    clips: int = 30
    rater_sd: float = 0.0
    clip_sd: float = 0.0

    @property
    def strengths(self) -> Floats:
        """Elo [conditions] of the average taste, mean 0."""
        return np.linspace(-self.span / 2, self.span / 2, self.conditions)

    @cached_property
    def truth(self) -> Floats:
        """What endless votes of endless raters on endless clips would give: Elo [conditions].

        Tastes flatten the chances (a mean of logistic curves is flatter than the curve of the
        mean), so these are nearer to each other than the strengths.
        """
        nodes, weights = np.polynomial.hermite_e.hermegauss(41)
        sd = np.sqrt(2 * (self.rater_sd**2 + self.clip_sd**2))
        gap = self.strengths[:, None] - self.strengths[None, :]
        chance = 1 / (1 + np.exp(-(gap[..., None] + sd * nodes) / ELO_UNIT))
        wins = chance @ weights / weights.sum()
        np.fill_diagonal(wins, 0)
        return bradley_terry.elo(wins)


def simulate(setting: Setting, random: np.random.Generator) -> Tally:
    """The votes of one study: balanced pairs of conditions on balanced clips."""
    n, total = setting.conditions, setting.raters * setting.votes
    pairs = np.array([(i, j) for i in range(n) for j in range(i)])
    slot = np.arange(total)
    first, second = pairs[slot % len(pairs)].T
    clip = (slot // len(pairs) + slot) % setting.clips
    rater = random.permutation(slot % setting.raters)
    shift_r = random.normal(0, setting.rater_sd or 1e-12, (setting.raters, n))
    shift_c = random.normal(0, setting.clip_sd or 1e-12, (setting.clips, n))
    score = setting.strengths + shift_r[rater] + shift_c[clip]
    gap = (score[slot, first] - score[slot, second]) / ELO_UNIT
    share = (random.random(total) < 1 / (1 + np.exp(-gap))).astype(float)
    return Tally(first, second, share, rater, clip, n)


@dataclass(frozen=True)
class Result:
    """Share of intervals that hold the truth, mean half width and root mean square error in Elo,
    and the share of plain intervals from independent votes (score +- 1.96 sd) that do."""

    covered: float
    half_width: float
    error: float
    naive: float
    intervals: int


def run(setting: Setting, repetitions: int, replicates: int, seed: int) -> Result:
    """Simulate, fit, and count."""
    random = np.random.default_rng(seed)
    held, widths, errors, naive = [], [], [], []
    truth = setting.truth
    for _ in range(repetitions):
        votes = simulate(setting, random)
        scores = bradley_terry.elo(votes.wins())
        found = bootstrap.intervals(votes, scores, random, replicates)
        held.append((found.low <= truth) & (truth <= found.high))
        widths.append((found.high - found.low) / 2)
        errors.append((scores - truth) ** 2)
        naive.append(np.abs(scores - truth) <= 1.96 * found.votes_sd)
    return Result(float(np.mean(held)), float(np.mean(widths)), float(np.sqrt(np.mean(errors))),
                  float(np.mean(naive)), repetitions * setting.conditions)
