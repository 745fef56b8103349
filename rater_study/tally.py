"""Votes as arrays: who saw what, and which won. Read once, used by everything in the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rater_study.manifest import Manifest
from rater_study.pairing import PAIR
from rater_study.storage import Storage

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
SHARE = {"left": 1.0, "right": 0.0, "tie": 0.5}


@dataclass(frozen=True)
class Row:
    """A vote with all that is known of it."""

    vote: int
    rater: int
    slot: int
    kind: str
    clip: str
    left: str
    right: str
    of: int | None
    choice: str
    received_at: float
    shown_ms: int
    plays: int
    drift_ms: float | None
    window: str

    @property
    def winner(self) -> str | None:
        """The condition that was chosen, None for no preference."""
        return {"left": self.left, "right": self.right}.get(self.choice)


def read(storage: Storage) -> list[Row]:
    """All votes in the order they came."""
    return [Row(*r) for r in storage.rows(
        'SELECT votes.id, rater, slot, kind, clip, "left", "right", of, choice, received_at, '
        'shown_ms, plays, drift_ms, "window" FROM votes JOIN slots USING (rater, slot) '
        "ORDER BY votes.id")]


@dataclass(frozen=True)
class Tally:
    """Plain votes, one entry each.

    Attributes:
        first, second: condition by index.
        share: of the win that the first got: 1, 1/2 or 0.
        rater, clip: by index, 0 .. number - 1.
        n: conditions.
    """

    first: Ints
    second: Ints
    share: Floats
    rater: Ints
    clip: Ints
    n: int

    def __len__(self) -> int:
        return len(self.first)

    def wins(self) -> Floats:
        """Wins [n, n] of row over column."""
        every: Floats = self.grouped_wins(np.zeros_like(self.first)).sum(axis=0)
        return every

    def grouped_wins(self, groups: Ints) -> Floats:
        """Wins [groups, n, n], each of one group's votes."""
        n, count = self.n, int(groups.max(initial=-1)) + 1
        size = count * n * n
        there = (groups * n + self.first) * n + self.second
        back = (groups * n + self.second) * n + self.first
        flat = np.zeros(size)
        np.add.at(flat, there, self.share)
        np.add.at(flat, back, 1 - self.share)
        return flat.reshape(count, n, n)

    def only(self, conditions: Sequence[int]) -> Tally:
        """The votes among some conditions, these renumbered 0, 1, ..."""
        place = np.full(self.n, -1)
        place[list(conditions)] = np.arange(len(conditions))
        keep = (place[self.first] >= 0) & (place[self.second] >= 0)
        return replace(self, first=place[self.first[keep]], second=place[self.second[keep]],
                       share=self.share[keep], rater=self.rater[keep], clip=self.clip[keep],
                       n=len(conditions))


def tally(rows: Sequence[Row], manifest: Manifest) -> Tally:
    """The plain pairs among the votes: repeats and gold pairs are for screening only."""
    place = {c.id: i for i, c in enumerate(manifest.conditions)}
    clips = {c.id: i for i, c in enumerate(manifest.clips)}
    own = [r for r in rows if r.kind == PAIR]
    raters = {name: i for i, name in enumerate(sorted({r.rater for r in own}))}
    return Tally(np.array([place[r.left] for r in own], np.int64),
                 np.array([place[r.right] for r in own], np.int64),
                 np.array([SHARE[r.choice] for r in own], np.float64),
                 np.array([raters[r.rater] for r in own], np.int64),
                 np.array([clips[r.clip] for r in own], np.int64), len(place))
