"""`nvcodec batch` on this machine: errors, resume, kills, what is replaced and what is not."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import pytest

import nvcodec
from nvcodec import BatchOptions, EncodeOptions
from nvcodec.batch import run as batch_run
from nvcodec.batch.manifest import NAME
from nvcodec.batch.work import Job, Outcome, encode_job
from nvcodec.cli.app import run
from nvcodec.codec.events import EncodeReport, Progress, ignore

SHORT = EncodeOptions(model="tiny", coder="none", qp=30, duration=0.2)
FLAGS = ["--model", "tiny", "--prior", "none", "--qp", "30", "--duration", "0.2"]
PATIENCE = 300.0


class Here:
    """An engine in this process. `deaths`: how often each source's worker is said to have died."""

    slots, retries = 2, 2
    deaths: dict[str, int]

    def __init__(self, jobs: int | None) -> None:
        del jobs

    def submit(self, job: Job, waiting: int) -> Future[Outcome[EncodeReport]]:
        future: Future[Outcome[EncodeReport]] = Future()
        name = Path(job.source).name
        if self.deaths.get(name, 0):
            self.deaths[name] -= 1
            future.set_exception(BrokenProcessPool())
        else:
            future.set_result(encode_job(job, 1, ignore))
        return future

    def is_loss(self, error: BaseException) -> bool:
        return isinstance(error, BrokenProcessPool)

    def close(self, cancel: bool) -> None:
        pass


@pytest.fixture
def here(tiny: str, monkeypatch: pytest.MonkeyPatch) -> type[Here]:
    monkeypatch.setattr(batch_run, "LocalEngine", Here)
    monkeypatch.setattr(Here, "deaths", {}, raising=False)
    return Here


@pytest.fixture
def folder(carphone: Path, tmp_path: Path) -> Path:
    """Two clips whose outputs would share a name, and two files that are no videos."""
    source = tmp_path / "in"
    (source / "sub").mkdir(parents=True)
    shutil.copy(carphone, source / "a.mp4")
    shutil.copy(carphone, source / "a.mkv")
    (source / "sub" / "broken.mp4").write_bytes(carphone.read_bytes()[:2000])
    (source / "empty.png").write_bytes(b"")
    return source


def entries(out: Path) -> dict[str, dict[str, object]]:
    files: dict[str, dict[str, object]] = json.loads((out / NAME).read_text())["files"]
    return files


def heed_interrupts() -> None:
    """Tests that run in the background of a shell ignore Ctrl-C, and so would what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "nothing happens"
        time.sleep(0.02)


@pytest.mark.usefixtures("here")
def test_manifest_and_resume(folder: Path, tmp_path: Path) -> None:
    out, told = folder / "out", list[Progress]()
    first = nvcodec.encode_folder(folder, out, SHORT, listen=told.append)
    assert sorted(first.done) == ["a.mkv", "a.mp4"] and not first.skipped
    assert sorted(first.failed) == ["empty.png", "sub/broken.mp4"]
    assert (told[-1].frames, told[-1].total) == (4, 4)
    files = entries(out)
    assert files["empty.png"]["status"] == "failed" and "empty" in str(files["empty.png"]["error"])
    done = files["a.mp4"]
    assert (done["status"], done["target"], done["frames"], done["qp"]) == (
        "done", "a.mp4.mvt", 6, [30, 30])
    assert done["bytes"] == (out / "a.mp4.mvt").stat().st_size
    assert done["options"]["duration"] == 0.2  # type: ignore[index]
    again = nvcodec.encode_folder(folder, out, replace(SHORT, device="cpu"))
    assert sorted(again.skipped) == ["a.mkv", "a.mp4"] and len(again.failed) == 2 and not again.done
    # Other options, another source, a lost or cut output: encoded again; verified: once more.
    assert len(nvcodec.encode_folder(folder, out, replace(SHORT, qp=31)).done) == 2
    shutil.copy(out / "a.mp4.mvt", tmp_path / "kept.mvt")
    (out / "a.mp4.mvt").write_bytes(b"cut")
    with (folder / "a.mkv").open("ab") as file:
        file.write(b"\0\0\0\x08free")
    assert len(nvcodec.encode_folder(folder, out, replace(SHORT, qp=31)).done) == 2
    assert (out / "a.mp4.mvt").read_bytes() == (tmp_path / "kept.mvt").read_bytes()
    assert len(nvcodec.encode_folder(folder, out, replace(SHORT, qp=31, verify=True)).done) == 2


@pytest.mark.usefixtures("here")
def test_files_of_others_are_kept(carphone: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    out.mkdir()
    shutil.copy(carphone, source / "a.mp4")
    (out / "a.mvt").write_bytes(b"mine")
    for _ in range(2):  # not only at first sight
        report = nvcodec.encode_folder(source, out, SHORT)
        assert "use -f" in report.failed["a.mp4"]
    assert (out / "a.mvt").read_bytes() == b"mine"
    assert nvcodec.encode_folder(source, out, replace(SHORT, force=True)).done == ["a.mp4"]


def test_a_file_that_kills_its_worker_fails_alone(here: type[Here], folder: Path,
                                                  tmp_path: Path) -> None:
    here.deaths |= {"a.mp4": 9, "a.mkv": 2}
    report = nvcodec.encode_folder(folder, tmp_path / "out", SHORT)
    assert report.done == ["a.mkv"]  # at the third attempt
    assert "worker died" in report.failed["a.mp4"] and here.deaths["a.mp4"] == 6


def test_a_worker_is_killed(tiny: str, folder: Path, tmp_path: Path, carphone: Path) -> None:
    """Real processes: what the dead one was doing is done again, to the same bytes."""
    reports = []
    before = set(multiprocessing.active_children())

    def work() -> None:
        reports.append(nvcodec.encode_folder(folder, tmp_path / "out", SHORT, BatchOptions(2)))

    thread = threading.Thread(target=work)
    thread.start()
    out = tmp_path / "out"
    until(lambda: (out / NAME).exists()
          and any(e["status"] == "started" for e in entries(out).values()))
    until(lambda: len(set(multiprocessing.active_children()) - before) > 0)
    victim = (set(multiprocessing.active_children()) - before).pop()
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGKILL)
    thread.join(PATIENCE)
    assert reports and sorted(reports[0].done) == ["a.mkv", "a.mp4"]
    assert sorted(reports[0].failed) == ["empty.png", "sub/broken.mp4"]
    assert not list(out.glob(".*.part"))
    nvcodec.encode(carphone, tmp_path / "one.mvt", SHORT)
    assert (out / "a.mp4.mvt").read_bytes() == (tmp_path / "one.mvt").read_bytes()


@pytest.mark.usefixtures("tiny")
def test_kill_then_ctrl_c_then_go_on(carphone: Path, tmp_path: Path,
                                     monkeypatch: pytest.MonkeyPatch,
                                     capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for i in range(12):
        shutil.copy(carphone, source / f"{i:02}.mp4")
    args = ["batch", str(source), str(out), "--jobs", "1", *FLAGS]

    def count() -> int:
        return sum(e["status"] == "done" for e in entries(out).values()) if out.exists() and (
            out / NAME).exists() else 0

    for stop, code, least in ((signal.SIGKILL, -9, 1), (signal.SIGINT, 130, 3)):
        process = subprocess.Popen([sys.executable, "-m", "nvcodec", *args],
                                   stderr=subprocess.PIPE, start_new_session=True,
                                   preexec_fn=heed_interrupts)
        until(lambda n=least: count() >= n)  # type: ignore[misc]
        if stop == signal.SIGINT:  # as a terminal does, to the workers too
            os.killpg(process.pid, stop)
        else:
            process.kill()
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == code
    assert err.decode() == "interrupted; what is done is kept, the same command goes on\n"
    finished = count()
    assert 3 <= finished < 12
    monkeypatch.setattr(batch_run, "LocalEngine", Here)
    monkeypatch.setattr(Here, "deaths", {}, raising=False)
    assert run([*args, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert len(report["skipped"]) == finished and len(report["done"]) == 12 - finished
    assert not list(out.glob(".*.part"))


@pytest.mark.usefixtures("here")
def test_failures_are_one_line_each(folder: Path, tmp_path: Path,
                                    capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["batch", str(folder), str(tmp_path / "out"), "--quiet", *FLAGS]) == 1
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == "" and len(lines) == 3
    assert "empty.png" in lines[0] and "broken.mp4" in lines[1] and "2 of the files" in lines[2]


@pytest.mark.parametrize(("args", "code", "says"), [
    (["missing", "out"], 1, "no such folder"),
    ([".", "out", "--qp", "3", "--bpp", "1"], 2, "qp and bpp"),
    ([".", "out", "--jobs", "0"], 2, "jobs"),
    ([".", "out", "--ray-address", "auto"], 2, "--engine ray"),
])
def test_usage(args: list[str], code: int, says: str, tmp_path: Path,
               monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["batch", *args]) == code
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                     capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "nvcodec.batch.on_ray", raising=False)
    assert run(["batch", str(tmp_path), str(tmp_path / "out"), "--engine", "ray"]) == 2
    assert "pip install nvcodec[ray]" in capsys.readouterr().err
