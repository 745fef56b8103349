from __future__ import annotations

import json

from benchmarks import cli, damage, long


def test_length_and_seeking(tiny, carphone, tmp_path, capsys):
    out = tmp_path / "long.json"
    assert cli.run(long.command, [str(carphone), "--seconds", "3", "--fps", "15", "--size", "64",
                                  "48", "--keyint", "9", "--model", tiny, "-o", str(out)]) == 0
    report = json.loads(out.read_text())
    assert [row["frames"] for row in report["rows"]] == [45]
    assert all(row[way]["rss_mib"] > 10 for row in report["rows"] for way in ("encode", "decode"))
    part = report["seek"]
    assert part["frames"] == 15 and part["bytes_read"] < part["file_bytes"]
    assert "| decode 1 s from 1.5 s | 15 |" in capsys.readouterr().out


def test_a_bad_list_is_refused_in_one_line(carphone, capsys):
    assert cli.run(long.command, [str(carphone), "--seconds", "2;9"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_clip_that_is_none_fails_in_one_line(tmp_path, capsys):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    for command in (long.command, damage.command):
        assert cli.run(command, [str(broken), "--seconds", "2"]) == 1
        shown = [line for line in capsys.readouterr().err.splitlines() if "command failed" in line]
        assert len(shown) == 1 and "broken.mp4" in shown[0]


def test_damage_is_concealed_and_measured(tiny, carphone, tmp_path, capsys):
    out = tmp_path / "damage.json"
    assert cli.run(damage.command, [str(carphone), "--seconds", "3", "--keyint", "9", "--size",
                                    "64", "48", "--shares", "0.1,0.5", "--model", tiny, "-o",
                                    str(out)]) == 0
    few, many = json.loads(out.read_text())["rows"]
    assert few["frames"] == many["frames"] == 90
    assert (few["segments"], few["concealed"], many["segments"], many["concealed"]) == (1, 9, 5, 45)
    assert 0 < few["psnr_concealed"] < 100
    assert "| carphone_pristine | 50% | 5 | 45 | 90 |" in capsys.readouterr().out
