"""One file's work as the engines hand it to their workers: plain data in, plain data out."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from nvcodec.codec.events import EncodeReport, Listener
from nvcodec.codec.options import EncodeOptions
from nvcodec.errors import NvcodecError, UsageError
from nvcodec.models import registry

if TYPE_CHECKING:
    from nvcodec.codec.ratesearch import Coded
    from nvcodec.codec.split import Part

T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """A file to encode.

    Attributes:
        source, target: paths that every worker can open; a target that exists is replaced.
        options: what to make of it.
        release: fingerprint of the weights that the batch goes by.
        models: NVCODEC_MODELS, which workers on other machines would not have.
    """

    source: str
    target: str
    options: EncodeOptions
    release: str
    models: str


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What came of a job: a value, or an error as one line; and what was logged on the way."""

    value: T | None
    error: str = ""
    warnings: tuple[str, ...] = ()


class Engine(Protocol):
    """Something that does jobs.

    Attributes:
        slots: jobs that it does at the same time.
        retries: how often a job is to be given to it again when its worker died.
    """

    slots: int
    retries: int

    def submit(self, job: Job, waiting: int) -> Future[Outcome[EncodeReport]]:
        """Begin a job; so many more wait behind it."""

    def is_loss(self, error: BaseException) -> bool:
        """Whether this error of a future means that a worker died."""

    def close(self, cancel: bool) -> None:
        """End the workers; `cancel` gives up what they are doing."""


def encode_job(job: Job, threads: int, listen: Listener) -> Outcome[EncodeReport]:
    """Encode a whole file."""
    def work() -> EncodeReport:
        from nvcodec.codec.encode import encode

        return encode(job.source, job.target, job.options, listen)

    return _settle(job, threads, work)


def encode_part(job: Job, threads: int, part: Part) -> Outcome[list[Coded]]:
    """Code one part of a file."""
    def work() -> list[Coded]:
        from nvcodec.codec.encode import encode_part

        return encode_part(job.source, job.options, part)

    return _settle(job, threads, work)


def join_parts(job: Job, threads: int,
               parts: Sequence[Outcome[list[Coded]]]) -> Outcome[EncodeReport]:
    """Write a file from its parts; the first part's error is the file's."""
    def work() -> EncodeReport:
        from nvcodec.codec.encode import join

        coded = [c for p in parts for c in p.value or ()]
        return join(job.source, job.target, job.options, coded)

    failed = [p for p in parts if p.error]
    outcome: Outcome[EncodeReport] = (
        Outcome(None, failed[0].error) if failed else _settle(job, threads, work))
    told = dict.fromkeys([*(w for p in parts for w in p.warnings), *outcome.warnings])
    return replace(outcome, warnings=tuple(told))


def _settle(job: Job, threads: int, work: Callable[[], T]) -> Outcome[T]:
    """Do the work with so many threads of torch; its errors are the file's, not the batch's."""
    with _logged() as lines:
        try:
            os.environ["NVCODEC_MODELS"] = job.models
            _check_release(job)
            import torch

            torch.set_num_threads(threads)
            return Outcome(work(), "", tuple(lines))
        except (NvcodecError, OSError, MemoryError) as error:
            what = str(error) or "out of memory; use fewer --jobs"
            return Outcome(None, what, tuple(lines))
        except Exception as error:
            what = f"{job.source}: {type(error).__name__}: {error}; please report this as a bug"
            return Outcome(None, " ".join(what.split()), tuple(lines))


def _check_release(job: Job) -> None:
    try:
        here = registry.fingerprint(registry.find(job.options.model))
    except registry.ModelError:
        here = ""
    if here != job.release:
        raise UsageError(f"{job.source}: a worker has other weights for {job.options.model!r}",
                         "install the same nvcodec and release folders on every machine")


class _Lines(logging.Handler):
    """Keeps messages as lines."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Called by logging."""
        self.lines.append(" ".join(record.getMessage().split()))


@contextmanager
def _logged() -> Iterator[list[str]]:
    """Collect the project's warnings instead of printing them between those of other workers."""
    logger, lines = logging.getLogger("nvcodec"), list[str]()
    before, logger.handlers = logger.handlers, [_Lines(lines)]
    propagate, logger.propagate = logger.propagate, False
    try:
        yield lines
    finally:
        logger.handlers, logger.propagate = before, propagate
