"""Lets reading and writing of video run beside the network: one thread each, short queues.

PyAV and torch both release the interpreter's lock, so threads are enough. Queues are bounded:
memory does not grow with the length of the video.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Event, Thread
from types import TracebackType
from typing import Any, Generic, TypeVar

T = TypeVar("T")
DEPTH = 16
_PATIENCE = 0.1


def _never() -> bool:
    return False


def ahead(items: Iterable[T], depth: int = DEPTH,
          patience: float | None = None,
          give_up: Callable[[], bool] = _never) -> Generator[T, None, None]:
    """Iterate `items` in a thread, at most `depth` in advance; errors come out where they belong.

    The thread ends soon after the consumer stops asking, and is waited for: at most `patience`
    seconds, as one that reads from a pipe may never return. While nothing comes, `give_up` is
    asked now and then: from True on there are no more items.
    """
    queue: Queue[tuple[bool, Any]] = Queue(depth)
    stop = Event()

    def put(entry: tuple[bool, Any]) -> None:
        while not stop.is_set():
            with suppress(Full):
                queue.put(entry, timeout=_PATIENCE)
                return

    def work() -> None:
        try:
            for item in items:
                put((True, item))
                if stop.is_set():
                    return
            put((False, None))
        except BaseException as error:
            put((False, error))

    thread = Thread(target=work, name="nvcodec-ahead", daemon=True)
    thread.start()
    try:
        while True:
            try:
                more, item = queue.get(timeout=_PATIENCE)
            except Empty:
                if give_up():
                    return
                continue
            if not more:
                if item is not None:
                    raise item
                return
            yield item
    finally:
        stop.set()
        thread.join(patience)


class Behind(Generic[T]):
    """Hands items to `consume` in a thread, in order. Leaving the context waits for the last.

    After an error of `consume` the next `put`, or leaving the context, raises it.
    """

    def __init__(self, consume: Callable[[T], None], depth: int = DEPTH) -> None:
        self._consume = consume
        self._queue: Queue[tuple[bool, Any]] = Queue(depth)
        self._error: BaseException | None = None
        self._thread = Thread(target=self._work, name="nvcodec-behind", daemon=True)

    def __enter__(self) -> Behind[T]:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if kind is not None:  # nobody wants what is still waiting
            with suppress(Empty):
                while True:
                    self._queue.get_nowait()
        self._queue.put((False, None))
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def put(self, item: T) -> None:
        """Queue one item; waits while the queue is full."""
        if self._error is not None:
            raise self._error
        self._queue.put((True, item))

    def _work(self) -> None:
        while True:
            more, item = self._queue.get()
            if not more:
                return
            if self._error is None:  # after an error go on emptying, so that put never hangs
                try:
                    self._consume(item)
                except BaseException as error:
                    self._error = error
