from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
from PIL import Image

from benchmarks import cli, contact, html, stills
from benchmarks.report import write_report
from benchmarks.summary import bd_rates, gather, mean_curve, means_at, nearest, speeds
from benchmarks.table import PAPER, all_tables
from nvcodec.video.stills import write_png

CODECS = ["nvcodec", "hevc", "vvc"]


@pytest.fixture
def results(rows):
    return gather(rows, ["alpha", "beta"], CODECS)


@pytest.fixture
def crops(tmp_path, results):
    """Noise in place of pictures: the hardest case for JPEG."""
    folder = tmp_path / "stills"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    owners = {stills.source_owner(r["master_pixels"]) for r in results.rows}
    for owner in owners | {r["key"] for r in results.rows}:
        for frame in stills.chosen_frames(12):
            write_png(stills.still_path(folder, owner, frame), noise)
    return folder


def test_means_are_over_clips_that_all_codecs_reach(results):
    at = means_at(results, 0.0384)
    assert at["clips"] == ["alpha", "beta"] and at["left_out"] == []
    # The second clip costs 1.5 times the bits: at equal rate its quality is lower.
    one = means_at(gather([r for r in results.rows if r["clip"] == "alpha"], ["alpha"], CODECS),
                   0.0384)
    assert at["means"]["hevc"]["psnr"] < one["means"]["hevc"]["psnr"]
    assert at["means"]["nvcodec"]["vmaf"] is None


def test_outside_the_measured_range_there_is_no_figure(results):
    low = means_at(results, 0.008)  # beta's nvcodec begins at 0.0105, its hevc at 0.009
    assert low["clips"] == ["alpha"] and low["left_out"] == ["beta"]
    assert low["covered"] == {"nvcodec": 1, "hevc": 1, "vvc": 2}
    high = means_at(results, 0.16)
    assert high["covered"]["nvcodec"] == 0 and "nvcodec" not in high["means"]
    assert high["clips"] == ["beta"], "a codec without any clip does not narrow the others"
    assert means_at(results, 1.0)["means"] == {}


def test_bd_rate_by_lpips_and_psnr_have_the_right_signs(results):
    found = bd_rates(results)
    assert set(found) == {"hevc", "vvc"}
    assert found["hevc"]["lpips"]["percent"] < -10 and found["hevc"]["psnr"]["percent"] > 50
    assert found["hevc"]["lpips"]["clips"] == 2
    assert found["hevc"]["lpips"]["each"]["alpha"] == pytest.approx(
        found["hevc"]["lpips"]["each"]["beta"]), "both clips scale alike"
    assert bd_rates(gather([r for r in results.rows if r["codec"] != "nvcodec"],
                           ["alpha"], ["hevc", "vvc"])) == {}


def test_speeds_are_frames_over_seconds(results):
    found = speeds(results)
    assert found["hevc"]["encode_fps"] == pytest.approx(6.0)
    assert found["hevc"]["encode_inner_fps"] is None
    assert found["nvcodec"]["encode_inner_fps"] == pytest.approx(12.0)
    assert found["nvcodec"]["decode_rss_mib"] == 50.0


def test_rows_without_times_leave_the_speeds_out(results):
    rows = [{**r, "encode_seconds": None} for r in results.rows]
    found = speeds(gather(rows, ["alpha", "beta"], CODECS))
    assert found["hevc"]["encode_fps"] is None
    assert found["hevc"]["decode_fps"] > 0


def test_mean_curve_takes_points_of_all_clips_only(results):
    assert len(mean_curve(results, "hevc", "psnr")) == 4
    results.rows[:] = [r for r in results.rows if not (
        r["clip"] == "beta" and r["codec"] == "hevc" and r["point"] == 25)]
    assert len(mean_curve(results, "hevc", "psnr")) == 3


def test_nearest_point(results):
    row = nearest(results, "nvcodec", "alpha")
    assert row is not None and row["point"] == 21
    assert nearest(results, "av1", "alpha") is None


def test_all_files_are_written(tmp_path, results, crops):
    out = tmp_path / "out"
    out.mkdir()
    (out / "speed.json").write_text(json.dumps({"rows": [], "notes": ["none"]}))
    write_report(results, out, crops, ["gamma.mp4: truncated; copy it again"], "a title")
    names = {p.name for p in out.iterdir()} - {"speed.json"}
    assert names == {"summary.json", "results.csv", "report.md", "report.html", "rd-mean.png",
                     "rd-alpha.png", "rd-beta.png"}
    summary = json.loads((out / "summary.json").read_text())
    assert summary["meta"]["failures"] and len(summary["at"]) == 4
    lines = list(csv.DictReader((out / "results.csv").open()))
    assert len(lines) == len(results.rows) and float(lines[0]["bpp"]) == results.rows[0]["bpp"]
    text = (out / "report.md").read_text()
    assert "At 0.0384 bpp" in text and "gamma.mp4" in text and "rd-beta.png" in text
    assert "| MAGVIT-v2 | paper, MCL-JCV | 0.104 | 26.18 | 0.894 |" in text
    page = (out / "report.html").read_text()
    check_page(page)
    pictures = page.count("data:image/jpeg;base64,")
    assert pictures >= 8 and pictures % 8 == 0  # of 2 clips: source and 3 codecs


def check_page(page: str) -> None:
    assert not re.search(r"https?://|src=(?!\"data:)|@import|url\(", page)
    links = re.findall(r"<link[^>]*>", page)
    assert all('href="data:,"' in link for link in links)
    assert not re.search(r"\$[A-Z]", page), "every placeholder is filled"
    assert len(page) < 5_000_000
    data = re.search(r'<script id=scenes type="application/json">(.*?)</script>', page, re.DOTALL)
    assert data and isinstance(json.loads(data[1]), list)


def test_the_page_does_without_pictures(tmp_path, results):
    out = tmp_path / "out"
    out.mkdir()
    write_report(results, out, tmp_path / "none", [], "</script><b>&title")
    page = (out / "report.html").read_text()
    check_page(page)
    assert "work folder" in page and "</script><b>" not in page


def test_pictures_fit_the_budget(results, crops):
    scenes = html.page_scenes(results, crops)
    assert len(scenes) == 6 and scenes[0]["pictures"][0]["label"] == "source"
    for budget in (10_000_000, 1_500_000, 700_000):
        done = html.embed(scenes, budget)
        assert done and sum(len(p["uri"]) for s in done for p in s["pictures"]) <= budget
        assert {s["clip"] for s in done} == {"alpha", "beta"}
    assert html.embed(scenes, 1000) == []


def test_tables_are_rectangular(tmp_path, results):
    summary = write_report(results, tmp_path, tmp_path, [])
    for table in all_tables(summary):
        assert all(len(row) == len(table.headings) for row in table.rows), table.title
    assert set(PAPER) == {"HEVC", "VVC", "MAGVIT", "MAGVIT-v2"}


def test_chosen_frames():
    assert stills.chosen_frames(1) == [0]
    assert stills.chosen_frames(97) == [16, 48, 80]
    assert all(f < n for n in range(1, 20) for f in stills.chosen_frames(n))


def test_contact_sheet(rows, crops, tmp_path, capsys):
    folder = tmp_path / "report"
    folder.mkdir()
    text = "".join(json.dumps(row) + "\n" for row in rows)
    old = json.dumps({**rows[0], "key": "old", "version": "nvcodec 0", "bpp": 0.02}) + "\n"
    (folder / "results.jsonl").write_text(old + text)
    sheet = tmp_path / "sheet.jpg"
    assert cli.run(contact.command, [str(folder), "--work", str(crops.parent), "-o",
                                     str(sheet)]) == 0
    with Image.open(sheet) as picture:  # source and three codecs; two clips
        assert picture.size == (4 * 320, 2 * (240 + contact.TEXT))
    scenes = contact.scenes_of(folder, crops.parent, 0.02)
    assert "0.0200 bpp (qp 42)" in scenes[0]["pictures"][1]["note"]
    assert cli.run(contact.command, [str(tmp_path), "-o", str(sheet)]) == 2
    assert "benchmarks.run" in capsys.readouterr().err
