from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from rater_study import loadtest, storage
from rater_study.errors import StudyError
from rater_study.pairing import Slot
from rater_study.storage import Storage, Vote


@pytest.fixture
def store(tmp_path: Path) -> Storage:
    made = Storage(tmp_path / "votes.sqlite")
    made.add_rater(0, "hash", [Slot(n, "pair", "c", "a", "b") for n in range(3)])
    return made


def test_durable_settings(store: Storage) -> None:
    assert store.rows("PRAGMA journal_mode") == [("wal",)]
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_one_vote_for_a_slot_from_many_threads(store: Storage) -> None:
    kept: list[bool] = []
    threads = [threading.Thread(target=lambda: kept.append(store.add_vote(0, 0, Vote("left"))))
               for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(kept) == [False] * 7 + [True]
    assert store.progress(0) == (1, 3)


def test_votes_only_grow(store: Storage) -> None:
    store.add_vote(0, 0, Vote("left"))
    for change in ("UPDATE votes SET choice = 'right'", "DELETE FROM votes"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            store._db.execute(change)
    assert not store.add_vote(0, 9, Vote("left")), "a slot that does not exist"
    assert not store.add_vote(0, 1, Vote("both")), "a choice that does not exist"


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / storage.NAME).write_text("not a database, but long enough to look at " * 20)
    with pytest.raises(StudyError, match="study's database"):
        Storage(tmp_path / storage.NAME)


def test_nothing_acknowledged_is_lost_by_kill_9() -> None:
    """The small version of `python -m rater_study loadtest`."""
    result = loadtest.run(raters=4, votes=15, pace=0.04, kill=True)
    assert result["failures"] == [] and result["integrity"] == "ok"
    assert result["lost"] == result["duplicated"] == 0
    assert result["in_database"] == result["votes_wanted"] == 60
    assert result["acknowledged"] >= 60 - 4 and result["p95_ms"] > 0
