"""`nvcodec batch --engine ray` on a real cluster of two workers."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

import nvcodec
from nvcodec import BatchOptions, EncodeOptions, UsageError
from nvcodec.codec.split import Part, plan_parts

PATIENCE = 600.0


@pytest.mark.parametrize(("frames", "most", "starts"), [
    (None, 4, [0]), (1, 4, [0]), (100, 1, [0]), (39, 4, [0, 1]), (100, 4, [0, 1, 2, 3]),
    (180, 4, [0, 2, 4, 6]), (20, 4, [0])])
def test_parts(frames: int | None, most: int, starts: list[int]) -> None:
    """Of two 10-frame segments at least, without gaps, the last one open."""
    parts = plan_parts(frames, 10, most)
    assert [p.first for p in parts] == starts
    assert parts[-1].count is None
    for part, after in pairwise(parts):
        assert part.count is not None and part.first + part.count == after.first


@pytest.mark.usefixtures("tiny")
def test_parts_join_to_the_same_bytes(talkie: Path, tmp_path: Path) -> None:
    """With sound, from a later start, and a part beyond the end (a container's wrong count)."""
    from nvcodec.codec.encode import encode_part, join

    options = EncodeOptions(model="tiny", coder="none", qp=20, keyint=3, start=0.5,
                            duration=0.4, verify=True)
    parts = [Part(0, 1), Part(1, 2), Part(3, 4), Part(7, None)]
    coded = [c for part in parts for c in encode_part(str(talkie), options, part)]
    report = join(talkie, tmp_path / "joined.mvt", options, coded)
    whole = nvcodec.encode(talkie, tmp_path / "whole.mvt", options)
    assert (tmp_path / "joined.mvt").read_bytes() == (tmp_path / "whole.mvt").read_bytes()
    assert report.audio_bytes > 0 and report.verified
    assert (report.frames, report.segments, report.qp, report.bpp) == (
        whole.frames, whole.segments, whole.qp, whole.bpp)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:x"])
def test_no_cluster_at_the_address(address: str, carphone: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install nvcodec[ray]")
    with pytest.raises(UsageError, match="no Ray cluster"):
        nvcodec.encode_folder(carphone.parent, tmp_path / "out", EncodeOptions(model="tiny"),
                              BatchOptions(engine="ray", ray_address=address))


@pytest.fixture
def cluster(tiny: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install nvcodec[ray]")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False,
             logging_level="error", object_store_memory=100 << 20)
    yield
    ray.shutdown()


def coding_workers() -> list[int]:
    """Processes of this test's cluster that are coding a part; Ray writes that into their title."""
    children: dict[int, list[int]] = {}
    titles: dict[int, bytes] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            title = stat.with_name("cmdline").read_bytes()
        except OSError:
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
        titles[int(stat.parent.name)] = title
    ours, found = [os.getpid()], []
    while ours:
        pid = ours.pop()
        ours += children.get(pid, [])
        if titles.get(pid, b"").startswith(b"ray::encode_part"):
            found.append(pid)
    return found


@pytest.mark.usefixtures("cluster")
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to find a worker")
def test_a_long_file_is_shared_out_and_survives_a_worker(carphone: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    shutil.copy(carphone, source / "a.mp4")
    (source / "broken.mp4").write_bytes(b"not a video")
    options = EncodeOptions(model="tiny", qp=30, keyint=5, duration=1.5)
    reports = []
    thread = threading.Thread(target=lambda: reports.append(
        nvcodec.encode_folder(source, out, options, BatchOptions(2, "ray"))))
    thread.start()
    end = time.monotonic() + PATIENCE
    while not (workers := coding_workers()):
        assert thread.is_alive() and time.monotonic() < end
        time.sleep(0.02)
    os.kill(workers[0], signal.SIGKILL)
    thread.join(PATIENCE)
    assert reports and reports[0].done == ["a.mp4"]
    assert "not a readable video" in reports[0].failed["broken.mp4"]
    nvcodec.encode(carphone, tmp_path / "one.mvt", options)
    assert (out / "a.mvt").read_bytes() == (tmp_path / "one.mvt").read_bytes()
