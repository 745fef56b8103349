from __future__ import annotations

import json

import pytest

from benchmarks import cli, cuts


@pytest.mark.usefixtures("tiny")
def test_rows_with_and_without(bikes, carphone, tmp_path, capsys):
    """Two videos of two shots each, in the size of their first."""
    out = tmp_path / "cuts.json"
    assert cli.run(cuts.command, [str(carphone), str(bikes), "--model", "tiny", "--qp", "20",
                                  "--frames", "6", "-o", str(out)]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert [(r["clips"], r["cuts"], r["segments"]) for r in rows] == [
        ("carphone_pristine-bikes", False, 1), ("carphone_pristine-bikes", True, 2),
        ("bikes-carphone_pristine", False, 1), ("bikes-carphone_pristine", True, 2)]
    assert all(r["frames"] == 12 and r["psnr"] > 0 for r in rows)
    # Backbone weights are not everywhere.
    assert all(r["lpips_beside"] is None or r["lpips_beside"] > 0 for r in rows)
    said = capsys.readouterr().out
    assert "| 20 | by length | 1.0 |" in said and "| 20 | at cuts | 2.0 |" in said
