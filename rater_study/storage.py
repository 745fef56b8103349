"""The database: raters, their slots, and one table of votes that only ever grows.

SQLite in write-ahead mode with synchronous=FULL: a vote is on the disk when `add_vote` returns, and
a vote is acknowledged only then. UNIQUE (rater, slot) makes a second vote impossible, whether it
comes from a double click, another tab, the back button or a replayed request; triggers refuse every
change of a vote. All threads of the server share two connections, so that reading never waits for
the disk that a vote is being written to.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rater_study.errors import StudyError
from rater_study.pairing import Slot

NAME = "votes.sqlite"
SCHEMA = """
CREATE TABLE IF NOT EXISTS raters (
    id INTEGER PRIMARY KEY, token_hash TEXT NOT NULL UNIQUE, label TEXT NOT NULL DEFAULT '',
    created_at REAL NOT NULL, consented_at REAL, practised_at REAL);
CREATE TABLE IF NOT EXISTS slots (
    rater INTEGER NOT NULL REFERENCES raters(id), slot INTEGER NOT NULL, kind TEXT NOT NULL,
    clip TEXT NOT NULL, "left" TEXT NOT NULL, "right" TEXT NOT NULL, of INTEGER,
    PRIMARY KEY (rater, slot)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS votes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, rater INTEGER NOT NULL, slot INTEGER NOT NULL,
    choice TEXT NOT NULL CHECK (choice IN ('left', 'right', 'tie')),
    received_at REAL NOT NULL, shown_ms INTEGER NOT NULL, plays INTEGER NOT NULL,
    drift_ms REAL, "window" TEXT NOT NULL DEFAULT '',
    UNIQUE (rater, slot), FOREIGN KEY (rater, slot) REFERENCES slots(rater, slot));
CREATE TRIGGER IF NOT EXISTS votes_stay BEFORE UPDATE ON votes
    BEGIN SELECT RAISE(ABORT, 'votes are append-only'); END;
CREATE TRIGGER IF NOT EXISTS votes_remain BEFORE DELETE ON votes
    BEGIN SELECT RAISE(ABORT, 'votes are append-only'); END;
"""


@dataclass(frozen=True)
class Rater:
    """A row of raters; times are seconds since 1970, None where that has not happened."""

    id: int
    label: str
    created_at: float
    consented_at: float | None
    practised_at: float | None


@dataclass(frozen=True)
class Vote:
    """What a browser says: choice "left", "right" or "tie"; milliseconds the pair was shown; whole
    plays; mean difference of the players' times in ms; window as "WIDTHxHEIGHT@RATIO"."""

    choice: str
    shown_ms: int = 0
    plays: int = 1
    drift_ms: float | None = None
    window: str = ""


class Storage:
    """A study's database. Safe across threads."""

    def __init__(self, path: Path) -> None:
        self._lock, self._read_lock = threading.Lock(), threading.Lock()
        try:
            self._db, self._reader = (
                sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
                for _ in range(2))
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA foreign_keys=ON")
            self._db.executescript(SCHEMA)
        except sqlite3.Error as error:
            raise StudyError(f"{path}: {error}", "check the folder's permissions and free space, "
                             "and that the file is a study's database") from None

    def close(self) -> None:
        """Close the connections."""
        with self._lock, self._read_lock:
            self._db.close()
            self._reader.close()

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a SELECT."""
        with self._read_lock:
            return self._reader.execute(query, values).fetchall()

    def _write(self, *steps: tuple[str, Iterable[tuple[Any, ...]]]) -> None:
        """Statements in one transaction, on the disk when this returns."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for statement, rows in steps:
                    self._db.executemany(statement, rows)
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise

    def add_rater(self, number: int, token_hash: str, slots: Iterable[Slot]) -> None:
        """A new rater and all their slots. sqlite3.IntegrityError where the number is taken."""
        self._write(
            ("INSERT INTO raters (id, token_hash, created_at) VALUES (?, ?, ?)",
             [(number, token_hash, time.time())]),
            ('INSERT INTO slots (rater, slot, kind, clip, "left", "right", of) '
             "VALUES (?, ?, ?, ?, ?, ?, ?)",
             [(number, s.number, s.kind, s.clip, s.left, s.right, s.of) for s in slots]))

    def next_number(self) -> int:
        """Number of the next rater: 0, 1, ..."""
        return int(self.rows("SELECT COALESCE(MAX(id) + 1, 0) FROM raters")[0][0])

    def find(self, token_hash: str) -> int | None:
        """The rater that a token belongs to."""
        rows = self.rows("SELECT id FROM raters WHERE token_hash = ?", token_hash)
        return int(rows[0][0]) if rows else None

    def set_token(self, rater: int, token_hash: str) -> None:
        """Another token for a rater; the old one ends."""
        self._write(("UPDATE raters SET token_hash = ? WHERE id = ?", [(token_hash, rater)]))

    def rater(self, number: int) -> Rater:
        """One rater; StudyError where there is none of that number."""
        rows = self.rows("SELECT id, label, created_at, consented_at, practised_at FROM raters "
                         "WHERE id = ?", number)
        if not rows:
            raise StudyError(f"rater {number}: not in this study", "see the admin page's list")
        return Rater(*rows[0])

    def raters(self) -> list[tuple[Rater, int, int]]:
        """Every rater with the votes given and the slots there are."""
        return [(Rater(*row[:5]), row[5], row[6]) for row in self.rows(
            "SELECT id, label, created_at, consented_at, practised_at, "
            "(SELECT COUNT(*) FROM votes WHERE rater = raters.id), "
            "(SELECT COUNT(*) FROM slots WHERE rater = raters.id) FROM raters ORDER BY id")]

    def consent(self, rater: int, label: str) -> None:
        """Remember when a rater agreed, once, and the name they gave."""
        self._write(("UPDATE raters SET consented_at = ?, label = ? "
                     "WHERE id = ? AND consented_at IS NULL", [(time.time(), label, rater)]))

    def practised(self, rater: int) -> None:
        """Remember that the practice pair is done."""
        self._write(("UPDATE raters SET practised_at = ? WHERE id = ? AND practised_at IS NULL",
                     [(time.time(), rater)]))

    def slot(self, rater: int, number: int) -> Slot | None:
        """A rater's slot, None where it does not exist."""
        rows = self.rows('SELECT slot, kind, clip, "left", "right", of FROM slots '
                         "WHERE rater = ? AND slot = ?", rater, number)
        return Slot(*rows[0]) if rows else None

    def progress(self, rater: int) -> tuple[int, int]:
        """Votes given (the number of the slot that is due) and slots in all."""
        rows = self.rows("SELECT (SELECT COUNT(*) FROM votes WHERE rater = ?1), "
                         "(SELECT COUNT(*) FROM slots WHERE rater = ?1)", rater)
        return int(rows[0][0]), int(rows[0][1])

    def fill(self, rater: int, slot: Slot) -> None:
        """Say what an open slot shows; one that is filled already stays as it is."""
        self._write(('UPDATE slots SET clip = ?, "left" = ?, "right" = ? '
                     "WHERE rater = ? AND slot = ? AND clip = ''",
                     [(slot.clip, slot.left, slot.right, rater, slot.number)]))

    def add_vote(self, rater: int, slot: int, vote: Vote) -> bool:
        """Keep a vote; False where this slot has one already. It is on the disk on return."""
        try:
            self._write(('INSERT INTO votes (rater, slot, choice, received_at, shown_ms, plays, '
                         'drift_ms, "window") VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
                         [(rater, slot, vote.choice, time.time(), vote.shown_ms, vote.plays,
                           vote.drift_ms, vote.window)]))
        except sqlite3.IntegrityError:
            return False
        return True

    def vote_times(self, rater: int, limit: int = 500) -> list[float]:
        """When a rater's latest votes came, newest first."""
        return [float(r[0]) for r in self.rows(
            "SELECT received_at FROM votes WHERE rater = ? ORDER BY slot DESC LIMIT ?",
            rater, limit)]
