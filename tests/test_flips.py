"""A small sample of what `python -m tests.flips` does to a real file."""

from __future__ import annotations

from pathlib import Path

import nvcodec
from tests.flips import PARTS, measure, table


def test_a_sample_of_flips_and_cuts(tiny: str, carphone: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.mvt"
    nvcodec.encode(carphone, target, nvcodec.EncodeOptions(
        model=tiny, keyint=2, duration=0.15, coder="table"))
    file, rows = measure(target.read_bytes(), flips=60, cuts=30, resealed_=3)
    assert sum(rows[part].changes for part in PARTS) == 60
    assert all(not row.results["wrong"] for row in rows.values())
    assert rows["end cut off"].results == {"detected": 30}
    assert rows["tokens, CRC made right"].results == {"detected": 3}
    assert rows["SEGM"].most_lost <= 1 and rows["INDX"].most_lost == 0
    assert "| SEGM |" in table(file, "a.mvt", rows)
