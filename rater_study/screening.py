"""Who answered with care: gold pairs, hidden repeats, side habits, speed, agreement with others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from statistics import fmean, median

from rater_study import tally
from rater_study.manifest import SOURCE
from rater_study.pairing import GOLD_PAIR, PAIR, REPEAT
from rater_study.storage import Storage
from rater_study.tally import Row

#: A rater who gets less of at least this many gold pairs right is left out.
LEAST_GOLD, LEAST = 0.75, 4
#: So is one whose repeats differ more often than a coin's would, at this level. Honest answers to
#: close pairs are nearly coin tosses too, so a higher bar would leave out the honest.
REPEAT_LEVEL = 0.01
#: And one who chose one side this often, over at least LEAST_SIDES votes.
MOST_ONE_SIDE, LEAST_SIDES = 0.85, 30


@dataclass(frozen=True)
class Look:
    """One rater's answers.

    Attributes:
        rater: number.
        votes: of every kind.
        gold, golds: gold pairs in which the source was chosen, and all of them.
        alike, repeats: repeats answered like the first time, and all of them.
        left: share of votes for the left side, ties left out.
        seconds: median from the first picture to the vote.
        drift_ms: mean difference of the two players' times, None where no browser told it.
        agreement: with the majority of the other raters on the same pair and clip, None where
            nobody else had them.
        reasons: why this rater is left out of the scores; empty for those who stay.
    """

    rater: int
    votes: int
    gold: int
    golds: int
    alike: int
    repeats: int
    left: float
    seconds: float
    drift_ms: float | None
    agreement: float | None
    reasons: tuple[str, ...]

    @property
    def gold_text(self) -> str:
        """Such as "7 of 8"."""
        return f"{self.gold} of {self.golds}" if self.golds else ""

    @property
    def repeat_text(self) -> str:
        """Such as "7 of 8"."""
        return f"{self.alike} of {self.repeats}" if self.repeats else ""


def screen(rows: Sequence[Row]) -> list[Look]:
    """A look at every rater who voted, by number."""
    by_rater: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_rater[row.rater].append(row)
    shared = answers(rows)
    return [_look(number, own, shared) for number, own in sorted(by_rater.items())]


def quick_look(storage: Storage) -> dict[int, Look]:
    """The same by number, for the admin page."""
    return {look.rater: look for look in screen(tally.read(storage))}


Question = tuple[str, str, str]
Answers = dict[Question, dict[int, float]]


def answers(rows: Sequence[Row]) -> Answers:
    """(clip, condition, condition) -> rater -> mean share that the first condition got."""
    every: dict[Question, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.kind == PAIR:
            a, b = sorted((row.left, row.right))
            share = tally.SHARE[row.choice]
            every[row.clip, a, b][row.rater].append(share if row.left == a else 1 - share)
    return {q: {r: fmean(s) for r, s in given.items()} for q, given in every.items()}


def _look(number: int, own: Sequence[Row], shared: Answers) -> Look:
    first = {r.slot: r.winner for r in own}
    golds = [r for r in own if r.kind == GOLD_PAIR]
    repeats = [r for r in own if r.kind == REPEAT and r.of in first]
    sides = [r.choice == "left" for r in own if r.choice != "tie"]
    drifts = [r.drift_ms for r in own if r.drift_ms is not None]
    gold = sum(r.winner == SOURCE for r in golds)
    alike = sum(r.of is not None and r.winner == first[r.of] for r in repeats)
    left = fmean(sides) if sides else 0.5
    reasons = []
    if len(golds) >= LEAST and gold < LEAST_GOLD * len(golds):
        reasons.append("misses gold pairs")
    if coin_tail(alike, len(repeats)) < REPEAT_LEVEL:
        reasons.append("answers repeats differently")
    if len(sides) >= LEAST_SIDES and max(left, 1 - left) > MOST_ONE_SIDE:
        reasons.append("keeps to one side")
    return Look(number, len(own), gold, len(golds), alike, len(repeats), left,
                median(r.shown_ms for r in own) / 1000, fmean(drifts) if drifts else None,
                _agreement(number, shared), tuple(reasons))


def coin_tail(heads: int, tosses: int) -> float:
    """The chance that a fair coin shows at most `heads` in so many tosses."""
    return sum(comb(tosses, k) for k in range(heads + 1)) / float(2**tosses)


def _agreement(number: int, shared: Answers) -> float | None:
    """Share of a rater's answers that the majority of the others gives, even splits left out."""
    same = []
    for given in shared.values():
        others = [s for r, s in given.items() if r != number]
        if number in given and others and given[number] != 0.5 and fmean(others) != 0.5:
            same.append((given[number] > 0.5) == (fmean(others) > 0.5))
    return fmean(same) if same else None


def agreement(rows: Sequence[Row]) -> dict[str, float | int | None]:
    """How alike raters answer: over all pairs of raters on one question, the share that agrees, and
    Krippendorff's alpha for nominal data (Content Analysis, 2004, ch. 11): 1 is full agreement,
    0 is chance."""
    # An answer is 0, 1 or 2: for the second, neither, for the first condition.
    units = [[round(2 * s) for s in given.values()]
             for given in answers(rows).values() if len(given) > 1]
    together = [a == b for unit in units for a, b in combinations(unit, 2)]
    if not together:
        return {"pairs_of_answers": 0, "agreeing": None, "alpha": None}
    total = [a for unit in units for a in unit]
    observed = sum((a != b) * 2 / (len(u) - 1) for u in units for a, b in combinations(u, 2))
    sizes = [total.count(k) for k in (0, 1, 2)]
    n = len(total)
    expected = (n * n - sum(s * s for s in sizes)) / (n - 1)
    return {"pairs_of_answers": len(together), "agreeing": fmean(together),
            "alpha": 1 - observed / expected if expected else None}
