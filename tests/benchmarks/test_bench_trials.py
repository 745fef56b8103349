from __future__ import annotations

import json
import math

import pytest

from benchmarks import cli, trials


def test_a_row_for_each_clip(carphone, tmp_path, capsys):
    out = tmp_path / "trials.json"
    assert cli.run(trials.command, [str(carphone), "--qp", "50", "--frames", "17",
                                    "-o", str(out)]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert [(r["qp"], r["spacing"]) for r in rows] == [(50, 2)]
    # Backbone weights are not everywhere.
    assert all(r["change"] is None or abs(r["change"]) < 1 for r in rows)
    assert "| 50 | 2 |" in capsys.readouterr().out


def test_change_is_read_off_the_curve_that_reaches():
    curve = [(0.02, 0.2), (0.04, 0.1), (0.08, 0.05)]
    assert trials.change(curve, [(0.04, 0.05)]) == pytest.approx(math.log(0.5))
    assert trials.change([(0.04, 0.05)], curve) == pytest.approx(math.log(2))
    assert trials.change([(0.1, 0.05)], curve) is None
    assert trials.change([(0.04, math.nan)], curve) is None


def test_where_nothing_is_tried(carphone, capsys):
    assert cli.run(trials.command, [str(carphone), "--qp", "32"]) == 2
    assert "nothing is tried at qp 32" in capsys.readouterr().err
