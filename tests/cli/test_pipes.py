"""Programs joined by real pipes: nothing seeks, and what has come in goes on before the rest."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import pytest

imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
NVCODEC = [sys.executable, "-m", "nvcodec"]
ENCODE = [*NVCODEC, "encode", "-", "-o", "-", "--model", "tiny", "--keyint", "5"]
DECODE = [*NVCODEC, "decode", "-", "-o", "-"]
PICTURE = 176 * 144 * 3 // 2


def ffmpeg(*args: str) -> list[str]:
    return [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", *args]


def y4m_of(clip: Path, frames: int) -> list[str]:
    return ffmpeg("-i", str(clip), "-frames:v", str(frames), "-pix_fmt", "yuv420p",
                  "-f", "yuv4mpegpipe", "-")


@contextmanager
def chain(*commands: list[str]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Programs joined by pipes; the first reads from the test, which reads from the last."""
    running: list[subprocess.Popen[bytes]] = []
    source: int | None = subprocess.PIPE
    for command in commands:
        running.append(subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE))
        if running[1:]:
            os.close(source or 0)
        last = running[-1].stdout
        assert last is not None
        source = os.dup(last.fileno())
    # A fault shall fail the test, not hang it.
    watch = Timer(400, lambda: [process.kill() for process in running])
    watch.start()
    try:
        for process in running[:-1]:
            assert process.stdout is not None
            process.stdout.close()
        yield running
    finally:
        watch.cancel()
        os.close(source or 0)
        for process in running:
            process.kill()
            process.wait()


def test_between_two_ffmpegs(tiny: str, carphone: Path) -> None:
    back = ffmpeg("-f", "yuv4mpegpipe", "-i", "-", "-f", "rawvideo", "-")
    with chain(y4m_of(carphone, 12), ENCODE, DECODE, [a for a in back if a != "-nostdin"]) as all_:
        out, _ = all_[-1].communicate()
        errors = [p.stderr.read().decode() if p.stderr and not p.stderr.closed else ""
                  for p in all_[1:3]]
        assert len(out) == 12 * PICTURE, errors
        assert [process.wait() for process in all_] == [0, 0, 0, 0]
    assert all("12 frames of 176x144" in error for error in errors)


def test_a_growing_pipe(tiny: str, carphone: Path) -> None:
    """The first segment's pictures come out while the source is still open."""
    y4m = subprocess.run(y4m_of(carphone, 60), capture_output=True, check=True).stdout
    line = y4m.index(b"\n") + 1
    part = line + 40 * (6 + PICTURE)
    with chain(ENCODE, DECODE) as (encode, decode):
        assert encode.stdin is not None and decode.stdout is not None
        encode.stdin.write(y4m[:part])
        encode.stdin.flush()
        assert decode.stdout.readline().startswith(b"YUV4MPEG2 W176 H144")
        early = decode.stdout.read(5 * (6 + PICTURE))
        assert encode.poll() is None and decode.poll() is None
        encode.stdin.write(y4m[part:])
        encode.stdin.close()
        rest = decode.stdout.read()
        assert (encode.wait(), decode.wait()) == (0, 0)
    assert len(early + rest) == 60 * (6 + PICTURE)
