from __future__ import annotations

import csv
import json
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rater_study import cli, report, screening, tally
from rater_study.active import Selector, best_tree, worth
from rater_study.manifest import SOURCE, Settings, load, save
from rater_study.sessions import Refused, Study
from rater_study.storage import Vote


def answer(study: Study, number: int, careless: bool = False) -> None:
    """All votes of a rater who prefers the condition with the higher number, mostly."""
    study.storage.consent(number, f"r{number}")
    study.storage.practised(number)
    chance = random.Random(number)
    for index in range(study.storage.progress(number)[1]):
        slot = study._slot(number, index)
        assert slot is not None
        better = "left" if slot.left == SOURCE or slot.left > slot.right else "right"
        if slot.right == SOURCE:
            better = "right"
        other = "right" if better == "left" else "left"
        sure = 1.0 if slot.kind == "gold" else 0.75
        choice = "left" if careless else better if chance.random() < sure else other
        assert study.storage.add_vote(number, index, Vote(choice, 4000, 2, 3.5, "1366x768@1.00"))


@pytest.fixture
def voted(study: Study) -> Study:
    for careless in (False, False, False, True):
        number = study.identify(study.enrol())
        assert number is not None
        answer(study, number, careless)
    return study


def test_no_votes_yet(synthetic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["report", str(synthetic), "-o", str(tmp_path / "out")]) == 0
    assert "There are no votes yet." in capsys.readouterr().out
    assert "no votes yet" in (tmp_path / "out" / "report.html").read_text()
    assert json.loads((tmp_path / "out" / "report.json").read_text())["votes"]["all"] == 0


def test_report_of_a_small_study(voted: Study, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = report.write(voted.folder, out, replicates=40)
    assert {p.name for p in out.iterdir()} == {"report.html", "report.json", "votes.csv",
                                               "elo-bpp.png", "wins.png"}
    data = json.loads((out / "report.json").read_text())
    assert data["votes"]["all"] == 160 and data["votes"]["counted"] == 3 * 36
    by_id = {c["id"]: c for c in data["conditions"]}
    assert by_id["m11"]["elo"] > by_id["m00"]["elo"]
    assert by_id["m11"]["low"] < by_id["m11"]["elo"] < by_id["m11"]["high"]
    assert sum(c["elo"] for c in data["conditions"]) == pytest.approx(0, abs=1)
    page = (out / "report.html").read_text()
    assert "method3 rate 2" in page and "Left out by the screening: rater 3" in page
    with (out / "votes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 160 and rows[0]["window"] == "1366x768@1.00"
    assert (out / "elo-bpp.png").read_bytes().startswith(b"\x89PNG")
    again = report.evaluate(voted.manifest, tally.read(voted.storage), replicates=40)
    np.testing.assert_equal(again["conditions"], result["conditions"])
    everyone = report.evaluate(voted.manifest, tally.read(voted.storage), True, replicates=20)
    assert everyone["votes"]["counted"] == 4 * 36


def test_screening(voted: Study) -> None:
    looks = screening.screen(tally.read(voted.storage))
    assert [bool(x.reasons) for x in looks] == [False, False, False, True]
    assert looks[3].reasons == ("keeps to one side",) and looks[3].left == 1
    assert looks[0].gold == looks[0].golds == 2 and looks[0].repeats == 2
    assert screening.coin_tail(1, 4) == 5 / 16 and screening.coin_tail(0, 7) < 0.01
    assert looks[0].seconds == 4 and looks[0].drift_ms == 3.5


def test_agreement() -> None:
    def row(rater: int, clip: str, choice: str) -> tally.Row:
        return tally.Row(0, rater, 0, "pair", clip, "a", "b", None, choice, 0, 0, 1, None, "")

    alike = [row(r, c, "left" if c < "e" else "right") for r in (1, 2) for c in "abcdefgh"]
    assert screening.agreement(alike) == {"pairs_of_answers": 8, "agreeing": 1.0, "alpha": 1.0}
    # By hand: units 11, 12, 22, 12 -> observed 4 of 8 off, expected 2 * 4 * 4 / 7.
    mixed = [row(r, c, choice) for c, two in zip("abcd", ("ll", "lr", "rr", "lr"), strict=True)
             for r, choice in enumerate("left" if x == "l" else "right" for x in two)]
    assert screening.agreement(mixed)["alpha"] == pytest.approx(1 - 4 / (32 / 7))
    assert screening.agreement([])["agreeing"] is None


def test_pieces_that_nothing_joins(study: Study) -> None:
    rows = [tally.Row(i, i % 3, i, "pair", f"c{i % 4:02d}", *pair, None, side, 0.0, 1, 1, None, "")
            for i in range(24) for pair, side in ((("m00", "m01"), "left" if i % 3 else "right"),
                                                  (("m02", "m03"), "left"))]
    result = report.evaluate(study.manifest, rows, replicates=20)
    said = " ".join(result["notes"])
    assert "groups that no comparison joins" in said and "no upper bound" in said
    shown = {c["id"]: c for c in result["conditions"]}
    assert shown["m00"]["part"] != shown["m02"]["part"]
    assert np.isnan(shown["m05"]["elo"]) and np.isfinite(shown["m02"]["elo"])
    json.dumps(report._plain(result), allow_nan=False)


def test_active_selection(synthetic: Path) -> None:
    design = load(synthetic)
    object.__setattr__(design, "settings", Settings(votes=30, active=True, break_minutes=1e6))
    save(design, synthetic)
    study = Study(synthetic)
    number = study.identify(study.enrol())
    assert number == 0
    first = study.storage.slot(0, 0)
    assert first is not None
    answer(study, 0)
    slots = [study.storage.slot(0, n) for n in range(study.storage.progress(0)[1])]
    assert all(s and s.clip for s in slots) and sum(s.kind == "pair" for s in slots if s) >= 25
    for s in slots:
        if s and s.of is not None:
            first = slots[s.of]
            assert first and (s.clip, s.left, s.right) == (first.clip, first.right, first.left)
    study.storage.close()


def test_active_prefers_what_is_uncertain() -> None:
    wins = np.full((4, 4), 50.0)
    np.fill_diagonal(wins, 0)
    wins[3] = wins[:, 3] = 0.5
    wins[3, 3] = 0
    gain = worth(wins)
    assert gain[0, 3] > 3 * gain[0, 1]
    assert {frozenset(e) for e in best_tree(gain * (1 - np.eye(4)))} == {
        frozenset((k, 3)) for k in range(3)}
    far = np.array([[0, 60.0, 20], [1, 0, 20], [20, 20, 0]])
    assert worth(far)[0, 1] < worth(far)[0, 2], "an answer that is known beforehand tells little"
    assert Selector is not None


def test_ties_have_to_be_allowed(study: Study, synthetic: Path) -> None:
    study.enrol()
    study.storage.consent(0, "")
    study.storage.practised(0)

    def vote(opened: Study) -> None:
        state: dict[str, Any] = opened.state(0)
        time.sleep(0.04)
        opened.vote(0, state["slot"], state["ticket"], Vote("tie"))

    with pytest.raises(Refused):
        vote(study)
    object.__setattr__(study.manifest, "settings", Settings(votes=40, tie=True))
    save(study.manifest, synthetic)
    other = Study(synthetic)
    vote(other)
    assert other.storage.progress(0)[0] == 1
    rows = tally.read(other.storage)
    assert tally.tally(rows, other.manifest).share.tolist() == [0.5] * len(rows)
    other.storage.close()
