from __future__ import annotations

import json

import pytest

from benchmarks import cli, rate_accuracy


@pytest.mark.usefixtures("scalable")
def test_a_wish_in_reach_and_one_outside(carphone, tmp_path, capsys):
    out = tmp_path / "rate.json"
    assert cli.run(rate_accuracy.command, [
        str(carphone), "--model", "tiny", "--duration", "0.3", "--bpp", "0.03", "--bpp", "9",
        "--size", "100", "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert "| carphone_pristine | bpp 0.03 |" in said and "3 of 3 files" in said
    rows = json.loads(out.read_text())["rows"]
    assert [r["verdict"] for r in rows] == ["nearest", "yes", "nearest"]
    assert abs(rows[1]["miss"]) <= 0.02 and rows[2]["reach"][1] == pytest.approx(rows[2]["got"])
