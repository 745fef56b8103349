"""Engine: a Ray cluster, started here or joined by its address."""

from __future__ import annotations

import os
import socket
from concurrent.futures import Future
from typing import Any

from nvcodec.batch.work import Job, Outcome, encode_job, encode_part, join_parts
from nvcodec.codec.events import EncodeReport, ignore
from nvcodec.codec.split import Part, expected_frames, plan_parts
from nvcodec.cores import cpu_count
from nvcodec.errors import NvcodecError, UsageError

try:
    import ray
    from ray.exceptions import RayError, RayTaskError
except ImportError as error:
    raise UsageError("--engine ray needs Ray, which is not installed",
                     "pip install nvcodec[ray]") from error

#: Of the cluster that is started here; only coded segments go through it.
STORE_BYTES = 512 << 20
GPU = "GPU"
CONNECT_SECONDS = 10.0


class RayEngine:
    """Jobs as Ray tasks. Ray itself repeats a task whose worker died, so `retries` is 0.

    Args:
        jobs: tasks at the same time; None is half as many as the cluster has cores.
        address: of a running cluster; None starts one on this machine, unless this process is
            connected to one already.
        device: of EncodeOptions.

    Raises:
        UsageError: no cluster at the address, or a device that Ray cannot hand out.
    """

    retries = 0

    def __init__(self, jobs: int | None, address: str | None, device: str) -> None:
        if device.startswith("cuda:"):
            raise UsageError(f"device {device!r}: Ray shares out the GPUs", "use --device cuda")
        self._live: set[Any] = set()
        self._owned = not ray.is_initialized()
        if self._owned:
            _connect(jobs, address)
        have = ray.cluster_resources()
        cores = cpu_count() if self._owned and address is None else int(have.get("CPU", 1))
        self.slots = jobs or max(1, cores // 2)
        self.threads = max(1, cores // self.slots)
        gpus = have.get(GPU, 0.0) if device in ("auto", "cuda") else 0.0
        tasks = ray.remote(max_retries=2, num_cpus=self._cpus(),
                           num_gpus=min(1.0, gpus / self.slots))
        self._encode, self._code, self._join = map(tasks, (encode_job, encode_part, _join))

    def _cpus(self) -> int:
        """Cores to ask for: no more than the largest machine has, or a task would wait for ever."""
        most = max((int(n["Resources"].get("CPU", 0)) for n in ray.nodes() if n["Alive"]),
                   default=1)
        return max(1, min(self.threads, most))

    def submit(self, job: Job, waiting: int) -> Future[Outcome[EncodeReport]]:
        """Begin a job. A long file is shared out when fewer files wait than there are workers."""
        parts = [] if job.options.has_wish or waiting >= self.slots else _parts(job, self.slots)
        coded: list[Any] = []
        if len(parts) < 2:
            ref = self._encode.remote(job, self.threads, ignore)
        else:
            coded = [self._code.remote(job, self.threads, part) for part in parts]
            ref = self._join.remote(job, self.threads, *coded)
        refs = {ref, *coded}
        self._live |= refs
        future: Future[Outcome[EncodeReport]] = ref.future()
        # Ray keeps a part's segments as long as somebody holds its reference.
        future.add_done_callback(lambda _: self._live.difference_update(refs))
        return future

    def is_loss(self, error: BaseException) -> bool:
        """Whether a worker died, each time Ray tried."""
        return isinstance(error, RayError) and not isinstance(error, RayTaskError)

    def close(self, cancel: bool) -> None:
        """Leave the cluster, or end it where it was started here."""
        if cancel:
            for ref in list(self._live):
                ray.cancel(ref, force=True)
        if self._owned:
            ray.shutdown()


def _connect(jobs: int | None, address: str | None) -> None:
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    if address is None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        cores = cpu_count()
        settings |= {"num_cpus": max(cores, jobs or 1), "include_dashboard": False,
                     "object_store_memory": STORE_BYTES}
    try:
        _check_answers(address)
        ray.init(address=address or "local", **settings)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        where = f"no Ray cluster at {address}" if address else "Ray does not start here"
        raise UsageError(f"{where} ({reason})", "check --ray-address and the cluster's state"
                         if address else "use --engine local") from error


def _check_answers(address: str | None) -> None:
    """OSError where nobody listens at HOST:PORT; Ray itself would try for minutes."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()


def _join(job: Job, threads: int, *parts: Outcome[Any]) -> Outcome[EncodeReport]:
    return join_parts(job, threads, parts)


def _parts(job: Job, most: int) -> list[Part]:
    """Parts of a file; none where it cannot be opened, which its encode is to say."""
    try:
        return plan_parts(expected_frames(job.source, job.options), job.options.keyint, most)
    except NvcodecError:
        return []
