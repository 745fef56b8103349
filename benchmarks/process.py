"""Child processes: started by argument lists, timed, ended when the benchmark is stopped."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nvcodec.errors import NvcodecError

LAUNCHER = Path(__file__).with_name("launcher.py")
#: Lines of a failed command's stderr that are shown.
SHOWN_LINES = 3
#: Tries of a command that ends well and writes nothing: libvvenc with several threads does so now
#: and then, on videos shorter than it looks ahead (10 of 45 codings of 49 frames, two threads).
TRIES = 5


class CommandError(NvcodecError):
    """A command failed: the message holds the command and the end of its stderr, `said`."""

    def __init__(self, argv: Sequence[str], code: int, stderr: str) -> None:
        self.said = last_lines(stderr)
        super().__init__(f"command failed with status {code}: {shlex.join(argv)}: {self.said}",
                         "run it by hand to see all it says")


class Stopped(Exception):
    """The benchmark is being stopped; the work in hand is given up."""


@dataclass(frozen=True)
class Finished:
    """A command that succeeded.

    Attributes:
        seconds: wall-clock.
        cpu_seconds: of all its threads and ended children.
        rss_mib: peak resident memory of its largest process, MiB.
    """

    seconds: float
    cpu_seconds: float
    rss_mib: float
    stdout: str
    stderr: str


class Runner:
    """Starts commands; `stop` ends those that run and refuses further ones. Safe across threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def run(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> Finished:
        """Run to the end. CommandError where it fails, Stopped where `stop` was called."""
        with tempfile.TemporaryDirectory(prefix="nvcodec-bench-") as folder:
            report, out, err = (Path(folder) / n for n in ("report.json", "out", "err"))
            code = self._call(argv, report, out, err, env)
            stdout, stderr = (p.read_text(errors="replace") for p in (out, err))
            if self._stopped:
                raise Stopped
            if code or not report.exists():
                raise CommandError(argv, code, stderr)
            figures = json.loads(report.read_text())
        return Finished(**figures, stdout=stdout, stderr=stderr)

    def write(self, argv: Sequence[str], target: Path, env: Mapping[str, str] | None = None
              ) -> Finished:
        """As `run`, for a command that writes `target`: one that leaves it empty is tried again."""
        for _ in range(TRIES):
            done = self.run(argv, env)
            if target.exists() and target.stat().st_size:
                return done
        raise CommandError(argv, 0, f"{TRIES} times it wrote nothing")

    def _call(self, argv: Sequence[str], report: Path, out: Path, err: Path,
              env: Mapping[str, str] | None) -> int:
        # A session of its own: Ctrl-C in the terminal reaches this process only, which then ends
        # the child and whatever the child started.
        command = [sys.executable, "-I", "-S", str(LAUNCHER), str(report), *argv]
        with out.open("wb") as o, err.open("wb") as e:
            with self._lock:
                if self._stopped:
                    raise Stopped
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=o, stderr=e,
                    start_new_session=True, env={**os.environ, **(env or {})})
                self._running.add(process)
            try:
                return process.wait()
            except BaseException:
                _end(process)
                raise
            finally:
                with self._lock:
                    self._running.discard(process)

    def stop(self) -> None:
        """End what runs, refuse what is to come."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                _end(process)

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped


def last_lines(text: str, count: int = SHOWN_LINES) -> str:
    """The last lines of a tool's stderr on one line; "it said nothing" where it is empty."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-count:]) or "it said nothing"


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
