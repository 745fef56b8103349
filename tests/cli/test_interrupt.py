"""Ctrl-C: nothing is left, or with --keep-partial a whole, shorter file."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

import nvcodec
from nvcodec.codec.events import Progress

SIZE = (64, 48)
FRAME = b"FRAME\n" + bytes(SIZE[0] * SIZE[1] * 3 // 2)
HEAD = b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420jpeg\n"


def heard() -> None:
    """Shells have their background jobs ignore Ctrl-C, and what these start inherits it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupted(target: Path, *flags: str, stalled: bool = False) -> subprocess.Popen[bytes]:
    """An encode of a stream without end, or one that stalls, which gets SIGINT while coding."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nvcodec", "encode", "-", "-o", str(target), "--model", "tiny",
         "--keyint", "5", "--prior", "none", *flags], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=heard)
    assert process.stdin is not None
    process.stdin.write(HEAD)
    for _ in range(150):  # more than all buffers on the way hold: the first frames are coded
        process.stdin.write(FRAME)
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    if stalled:
        process.wait(60)
    with suppress(BrokenPipeError):
        until = time.monotonic() + 60  # a fault shall fail the test, not hang it
        while process.poll() is None:
            assert time.monotonic() < until, process.kill()
            process.stdin.write(FRAME)
    with suppress(BrokenPipeError):
        process.stdin.close()
    return process


@pytest.mark.parametrize("stalled", [False, True])
def test_without_the_flag_nothing_is_left(tiny: str, tmp_path: Path, stalled: bool) -> None:
    process = interrupted(tmp_path / "a.mvt", stalled=stalled)
    assert process.wait() == 130 and process.stderr is not None
    assert process.stderr.read().strip() == b"interrupted; nothing was written"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stalled", [False, True])
def test_with_it_a_whole_file(tiny: str, tmp_path: Path, stalled: bool) -> None:
    process = interrupted(tmp_path / "a.mvt", "--keep-partial", stalled=stalled)
    assert process.wait() == 130 and process.stderr is not None
    said = process.stderr.read().decode().splitlines()[-1]
    facts = nvcodec.verify(tmp_path / "a.mvt")
    assert facts["ok"] and facts["frames"] > 0
    assert f"interrupted; {tmp_path / 'a.mvt'} is whole, with the first {facts['frames']}" in said
    assert [p.name for p in tmp_path.iterdir()] == ["a.mvt"]


def stopped(source: Path, target: Path, options: nvcodec.EncodeOptions,
            after: int) -> nvcodec.EncodeReport:
    """An encode that is stopped when so many frames are coded."""
    coded = [0]

    def listen(progress: Progress) -> None:
        if progress.stage == "encode":
            coded[0] = progress.frames

    return nvcodec.encode(source, target, options, listen, lambda: coded[0] >= after)


def test_sound_ends_with_the_pictures(tiny: str, talkie: Path, tmp_path: Path) -> None:
    options = nvcodec.EncodeOptions(model=tiny, keyint=3, duration=0.32, coder="none")
    report = stopped(talkie, tmp_path / "a.mvt", options, 3)
    assert report.partial and 3 <= report.frames < 8 and not report.warnings
    whole = nvcodec.encode(talkie, tmp_path / "b.mvt", options)
    assert not whole.partial and whole.frames == 8
    assert 0 < report.audio_bytes < whole.audio_bytes


def test_a_wished_rate_is_not_searched_for_then(scalable: str, carphone: Path,
                                                tmp_path: Path) -> None:
    options = nvcodec.EncodeOptions(model=scalable, keyint=3, duration=0.6, coder="table", bpp=0.1)
    report = stopped(carphone, tmp_path / "a.mvt", options, 4)
    assert report.partial and 4 <= report.frames < 18 and not report.warnings
    assert nvcodec.verify(tmp_path / "a.mvt")["frames"] == report.frames


def test_stopped_before_the_first_frame(tiny: str, carphone: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        nvcodec.encode(carphone, tmp_path / "a.mvt", nvcodec.EncodeOptions(model=tiny),
                       stop=lambda: True)
    assert list(tmp_path.iterdir()) == []
