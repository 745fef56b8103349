"""Engine: processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any

from nvcodec.batch.work import Job, Outcome, encode_job
from nvcodec.codec.events import EncodeReport, Progress
from nvcodec.cores import cpu_count
from nvcodec.heap import keep_freed_memory


class LocalEngine:
    """A pool of processes; each has an equal share of the cores for torch's threads.

    Args:
        jobs: processes; None is half as many as there are cores.
    """

    retries = 2

    def __init__(self, jobs: int | None) -> None:
        self.slots = jobs or max(1, cpu_count() // 2)
        self.threads = max(1, cpu_count() // self.slots)
        # Spawned: a fork of a process that has run torch may hang.
        self._context = multiprocessing.get_context("spawn")
        # Without a lock: a worker that is killed while it holds one would stop all others.
        self._stop = self._context.RawValue("b", 0)
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, job: Job, waiting: int) -> Future[Outcome[EncodeReport]]:
        """Begin a job, in a new pool where a worker of the last one died."""
        del waiting
        try:
            return self._submit(job)
        except BrokenProcessPool:
            assert self._pool is not None
            # CPython waits for ever for a process that was started while the pool broke.
            for process in list((self._pool._processes or {}).values()):
                process.terminate()
            self._pool.shutdown(wait=True)
            self._pool = None
            return self._submit(job)

    def _submit(self, job: Job) -> Future[Outcome[EncodeReport]]:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self.slots, self._context, _begin, (self._stop,))
        with _interrupts_held():  # inherited by the processes that this starts
            return self._pool.submit(_encode, job, self.threads)

    def is_loss(self, error: BaseException) -> bool:
        """Whether a worker died."""
        return isinstance(error, BrokenProcessPool)

    def close(self, cancel: bool) -> None:
        """End the processes; cancelled work stops at its next frames and removes its file."""
        if cancel:
            self._stop.value = 1
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C reaches a whole group of processes; only the batch itself is to answer it.

    Processes inherit the mask. Here a signal waits until it is lifted; ignored, it would be lost.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# -- in the workers ----------------------------------------------------------------------------

#: A shared byte: 1 when work is to be given up.
_stop: Any = None


def _begin(stop: Any) -> None:
    """Called once in each process."""
    global _stop
    _stop = stop
    keep_freed_memory()
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)  # the batch was killed: nobody wants this work, and nobody else ends it

    threading.Thread(target=watch, daemon=True).start()


def _encode(job: Job, threads: int) -> Outcome[EncodeReport]:
    return encode_job(job, threads, _listen)


def _listen(_: Progress) -> None:
    if _stop is not None and _stop.value:
        raise KeyboardInterrupt
