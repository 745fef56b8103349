"""Elo scores from votes in the order they came, as in chess and in the CLIC challenge.

A. E. Elo, "The Rating of Chessplayers, Past and Present", 1978: expected score
E = 1 / (1 + 10^((R_other - R_own) / 400)), and after each vote R_own += K (S - E) with S = 1 for a
win, 1/2 for a tie. The result depends on the order of votes and moves by K at each, which is why
the report leads with Bradley-Terry (bradley_terry.py).
"""

from __future__ import annotations

from collections.abc import Iterable

K = 32.0
START = 1500.0


def sequential(games: Iterable[tuple[int, int, float]], n: int, k: float = K,
               start: float = START) -> list[float]:
    """Ratings of n conditions after games (i, j, score of i in {0, 1/2, 1}), in this order."""
    ratings = [start] * n
    for i, j, score in games:
        expected = 1 / (1 + 10 ** ((ratings[j] - ratings[i]) / 400))
        change = k * (score - expected)
        ratings[i] += change
        ratings[j] -= change
    return ratings
