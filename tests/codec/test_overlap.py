"""Threads beside the network: order, errors, ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from nvcodec.codec.overlap import Behind, ahead


def names() -> set[str]:
    return {t.name for t in threading.enumerate()}


def test_ahead_keeps_order_and_runs_no_further_than_its_depth() -> None:
    drawn = []

    def source() -> Iterator[int]:
        for i in range(100):
            drawn.append(i)
            yield i

    items = ahead(source(), depth=4)
    assert next(items) == 0
    assert list(items) == list(range(1, 100))
    half = ahead(iter(range(1000)), depth=2)
    assert [next(half) for _ in range(3)] == [0, 1, 2]
    half.close()
    assert "nvcodec-ahead" not in names()


def test_ahead_leaves_a_reader_that_never_returns() -> None:
    pipe = threading.Event()

    def source() -> Iterator[int]:
        yield 1
        pipe.wait()

    items = ahead(source(), patience=0.01)
    assert next(items) == 1
    items.close()  # returns, though the thread still waits
    assert list(ahead(source(), patience=0.01, give_up=lambda: True)) == [1]
    assert "nvcodec-ahead" in names()
    pipe.set()


def test_ahead_passes_errors_on() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise KeyError("lost")

    items = ahead(source())
    assert next(items) == 1
    with pytest.raises(KeyError, match="lost"):
        next(items)


def test_behind_finishes_in_order() -> None:
    done: list[int] = []
    with Behind(done.append, depth=2) as work:
        for i in range(50):
            work.put(i)
    assert done == list(range(50))


def test_behind_raises_what_its_thread_met() -> None:
    def fail(item: int) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), Behind(fail, depth=2) as work:
        for i in range(50):
            work.put(i)
    assert "nvcodec-behind" not in names()


def test_behind_drops_what_waits_after_an_error_outside() -> None:
    with pytest.raises(ValueError, match="mine"), Behind(lambda _: None) as work:
        work.put(1)
        raise ValueError("mine")
    assert "nvcodec-behind" not in names()
