"""The allocator's thresholds."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from nvcodec import heap

#: Frees and allocates 64 MiB ten times; prints the pages that the system had to fill meanwhile.
SCRIPT = """
import ctypes, resource, sys
from nvcodec.heap import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit(3)
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    piece = libc.malloc(ctypes.c_size_t(64 << 20))
    ctypes.memset(piece, 1, 64 << 20)
    libc.free(piece)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True)
    if done.returncode == 3:
        pytest.skip("this C library has no such thresholds")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone")
def test_freed_memory_is_used_again():
    assert faults("keep") * 3 < faults("leave")


@pytest.mark.parametrize("lacking", ["platform", "function"])
def test_other_systems_are_left_alone(monkeypatch, lacking):
    if lacking == "platform":
        monkeypatch.setattr(heap.sys, "platform", "darwin")
    else:
        monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert not heap.keep_freed_memory()
