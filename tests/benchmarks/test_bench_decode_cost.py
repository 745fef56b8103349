from __future__ import annotations

import json

import nvcodec
from benchmarks import cli, decode_cost


def test_both_parts_are_timed(tiny, carphone, tmp_path, capsys):
    coded, out = tmp_path / "a.mvt", tmp_path / "cost.json"
    nvcodec.encode(carphone, coded, nvcodec.EncodeOptions(model=tiny, duration=0.4, keyint=5))
    assert cli.run(decode_cost.command, [str(coded), "--repeats", "1", "-o", str(out)]) == 0
    (row,) = json.loads(out.read_text())["rows"]
    # The network's part is a difference of two times; of a tiny one it is less than their noise.
    assert row["frames"] == 12 and row["entropy_ms"] > 0
    assert row["entropy_ms"] + row["network_ms"] > 0
    assert "| a.mvt | 12 |" in capsys.readouterr().out
