from __future__ import annotations

import json

from benchmarks import cli, coders


def test_every_coder_has_a_size_and_clips_a_mean(tiny, carphone, tmp_path, capsys):
    out = tmp_path / "coders.json"
    assert cli.run(coders.command, [str(carphone), "--qp", "9", "--duration", "0.4", "--model",
                                    tiny, "-o", str(out)]) == 0
    clip, mean = json.loads(out.read_text())["rows"]
    assert 18 <= clip["none_bits_per_token"] < 18.1  # and a header
    assert 0 < clip["learned_bits_per_token"] < 18
    assert clip["learned + RDO_bpp"] > 0
    assert mean == {**clip, "clip": "mean", "tokens": clip["tokens"]}
    assert "| carphone_pristine | 9 | 18." in capsys.readouterr().out
