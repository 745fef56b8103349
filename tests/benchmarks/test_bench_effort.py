from __future__ import annotations

import json
import subprocess

import pytest

from benchmarks import cli, effort


@pytest.mark.usefixtures("tiny", "blurred_distance")
def test_a_row_for_each_effort(carphone, ffmpeg, tmp_path, capsys):
    out, clip = tmp_path / "effort.json", tmp_path / "clip.mkv"
    subprocess.run([ffmpeg, "-loglevel", "error", "-i", carphone, "-frames:v", "17", "-c:v", "ffv1",
                    clip], check=True)
    assert cli.run(effort.command, [str(clip), "--model", "tiny", "--qp", "20", "--effort", "0",
                                    "--effort", "2", "--net", "squeeze", "-o", str(out)]) == 0
    plain, searched = json.loads(out.read_text())["rows"]
    assert (plain["effort"], searched["effort"]) == (0, 2)
    assert searched["frames"] == 17 and searched["psnr"] > plain["psnr"]
    assert searched["nets"] == ["squeeze"]
    said = capsys.readouterr().out
    assert "| 20 | 0 | 1 |" in said and "| 20 | 2 | 1 |" in said
