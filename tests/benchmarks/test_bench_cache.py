from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.cache import Cache, make_key
from nvcodec.errors import OutputError


def test_rows_come_back(tmp_path):
    path = tmp_path / "rows.jsonl"
    Cache(path).add({"key": "a", "bpp": 0.1})
    again = Cache(path)
    assert again.get("a") == {"key": "a", "bpp": 0.1}
    assert again.get("b") is None and len(again) == 1


def test_a_line_cut_off_by_a_crash_costs_only_itself(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"key": "a", "n": 1}) + '\n{"key": "b", "n"')
    cache = Cache(path)
    assert len(cache) == 1
    cache.add({"key": "c", "n": 3})
    again = Cache(path)
    assert again.get("a") and again.get("c") and not again.get("b")


def test_strange_lines_are_passed_over(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('[]\n3\n{"no": "key"}\n\n{"key": "a"}\n')
    assert len(Cache(path)) == 1


def test_threads_do_not_mix_lines(tmp_path):
    path = tmp_path / "rows.jsonl"
    cache = Cache(path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: cache.add({"key": str(i), "text": "x" * 500}), range(60)))
    assert len(Cache(path)) == 60


def test_key_depends_on_every_part():
    parts = {"master": "m", "codec": "hevc", "settings": {"a": 1, "b": 2}, "point": 28,
             "version": "1", "metrics": {"every": 1}}
    key = make_key(**parts)
    assert key == make_key(**dict(reversed(parts.items())))
    for name in parts:
        assert make_key(**{**parts, name: "other"}) != key


def test_disk_errors_are_named(tmp_path):
    with pytest.raises(OutputError, match=r"rows\.jsonl"):
        Cache(tmp_path / "missing" / "rows.jsonl").add({"key": "a"})
