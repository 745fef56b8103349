from __future__ import annotations

import choix
import numpy as np
import pytest
from scipy.optimize import minimize

from rater_study import bootstrap, bradley_terry, coverage, elo
from rater_study.bradley_terry import ELO_UNIT, fit, graph
from rater_study.coverage import Setting, simulate


def wins(n: int = 6, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    out = random.poisson(4, (n, n)).astype(float)
    np.fill_diagonal(out, 0)
    return out


def test_fit_agrees_with_two_libraries() -> None:
    w = wins()
    games = [(i, j) for i in range(6) for j in range(6) for _ in range(int(w[i, j]))]
    theirs = choix.opt_pairwise(6, games)
    assert fit(w) == pytest.approx(theirs - theirs.mean(), abs=1e-5)

    def loss(s: np.ndarray) -> float:
        return float((w * np.logaddexp(0, s[None, :] - s[:, None])).sum() + 0.05 * (s @ s))

    prior = minimize(loss, np.zeros(6), tol=1e-12).x
    assert fit(w, ridge=0.1) == pytest.approx(prior, abs=1e-4)


def test_many_at_once_and_ties() -> None:
    many = np.stack([wins(seed=s) + 0.5 for s in range(4)])
    np.testing.assert_allclose(fit(many), [fit(w) for w in many], atol=1e-7)
    # 3 wins, 1 loss: ln 3 apart, which is 191 Elo; two ties change it to 4 : 2.
    two = np.array([[0.0, 3], [1, 0]])
    assert np.ptp(fit(two)) * ELO_UNIT == pytest.approx(190.85, abs=0.01)
    two += [[0, 1], [1, 0]]
    assert np.ptp(fit(two)) == pytest.approx(np.log(2))


def test_disconnected_and_separated_graphs() -> None:
    w = np.zeros((6, 6))
    w[0, 1] = w[1, 0] = 3  # a pair
    w[2, 3] = w[3, 4] = 5  # a chain in which each only ever won
    found = graph(w)
    assert found.parts == [[2, 3, 4], [0, 1], [5]] and not found.is_connected
    assert found.tiers[0] == [[2], [3], [4]]
    assert [found.is_separated(k) for k in range(3)] == [True, False, False]
    scores = bradley_terry.elo(w)
    assert scores[0] == pytest.approx(0) and np.isnan(scores[5])
    assert 2000 > scores[2] > scores[3] > scores[4] > -2000


def test_sequential_elo() -> None:
    assert elo.sequential([(0, 1, 1.0)], 2) == [1516, 1484]
    after = elo.sequential([(0, 1, 1.0), (0, 1, 0.5)], 2)
    expected = 1 / (1 + 10 ** (-32 / 400))
    assert after == pytest.approx([1516 + 32 * (0.5 - expected), 1484 - 32 * (0.5 - expected)])
    assert elo.sequential([], 2) == [1500, 1500]


def test_known_strengths_come_back() -> None:
    setting = Setting()
    random = np.random.default_rng(3)
    votes = simulate(setting, random)
    scores = bradley_terry.elo(votes.wins())
    found = bootstrap.intervals(votes, scores, random, 100)
    assert len(votes) == 12_800
    inside = (found.low <= setting.truth) & (setting.truth <= found.high)
    assert inside.sum() >= 10 and np.abs(scores - setting.truth).max() < 35


@pytest.mark.parametrize("setting", [Setting(votes=200), Setting(votes=200, clip_sd=120,
                                                                 rater_sd=30)])
def test_coverage(setting: Setting) -> None:
    """The small version of `python -m rater_study coverage` (200 repetitions: 93 to 97%)."""
    result = coverage.run(setting, repetitions=20, replicates=60, seed=5)
    assert 0.90 <= result.covered <= 0.99
    if setting.clip_sd:
        assert result.naive < 0.9, "clustered votes need wider intervals than independent ones"


def test_one_rater_gives_scores_without_intervals() -> None:
    votes = simulate(Setting(raters=1, conditions=4), np.random.default_rng(1))
    scores = bradley_terry.elo(votes.wins())
    found = bootstrap.intervals(votes, scores, np.random.default_rng(1), 20)
    assert np.isnan(found.low).all() and (found.votes_sd > 0).all()


def test_two_way_rule() -> None:
    one = np.ones(1)
    variance, freedom = bootstrap.combine(4 * one, 3 * one, 1 * one, [11, 21])
    assert variance == pytest.approx(6) and freedom == pytest.approx(36 / (16 / 10 + 9 / 20))
    assert bootstrap.combine(0.2 * one, 0.2 * one, one, [11, 21])[0] == pytest.approx(0.5)
