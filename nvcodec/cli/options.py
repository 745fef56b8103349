"""Flags and output habits that several verbs share.

stdout carries data or JSON only; bars and messages go to stderr, and bars only to a terminal.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from types import FrameType, TracebackType
from typing import Any, TypeVar

import click
from tqdm import tqdm

from nvcodec.codec.events import Progress

F = TypeVar("F", bound=Callable[..., Any])


def force(function: F) -> F:
    """-f: replace an existing output."""
    return click.option("-f", "--force", is_flag=True, help="Replace an existing output.")(function)


def device(function: F) -> F:
    """--device: where the network runs."""
    return click.option("--device", default="auto", show_default=True, metavar="NAME",
                        help="auto, cpu, cuda, cuda:1, ...")(function)


def window(function: F) -> F:
    """--start and --duration: a part of the video."""
    function = click.option("--duration", type=float, metavar="S", help="Seconds to take.")(
        function)
    return click.option("--start", type=float, metavar="S", help="First second to take.")(function)


def talk(function: F) -> F:
    """--json, --quiet and -v."""
    function = click.option("-v", "--verbose", count=True,
                            help="More detail; -vv shows tracebacks.")(function)
    function = click.option("--quiet", is_flag=True, help="No bar and no summary.")(function)
    return click.option("--json", "as_json", is_flag=True,
                        help="Print the result as JSON on stdout.")(function)


def default_output(source: str, suffix: str) -> str:
    """The input's name with another extension, in the same folder."""
    if source == "-":
        raise click.UsageError("reading standard input: name the output with -o")
    return str(Path(source).with_suffix(suffix))


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(value, indent=2))


def tell(lines: Iterable[str], quiet: bool = False) -> None:
    """Messages for people, on stderr."""
    if not quiet:
        for line in lines:
            click.echo(line, err=True)


def show_warnings(quiet: bool) -> None:
    """Send the libraries' warnings to stderr as plain lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("nvcodec: %(message)s"))
    handler.setLevel(logging.ERROR if quiet else logging.WARNING)
    logging.getLogger("nvcodec").handlers = [handler]


@contextmanager
def interrupt(caught: bool) -> Iterator[Event]:
    """An event that the first Ctrl-C sets, where `caught`; the second one is as ever."""
    event = Event()
    if not caught:
        yield event
        return
    before = signal.getsignal(signal.SIGINT)

    def note(_number: int, _frame: FrameType | None) -> None:
        event.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)


class Bar:
    """A tqdm bar that listens to a job. Silent unless stderr is a terminal."""

    def __init__(self, quiet: bool) -> None:
        hidden = quiet or not sys.stderr.isatty()
        self._bar = tqdm(unit="frame", disable=hidden, file=sys.stderr, dynamic_ncols=True)
        self._stage = ""

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._bar.close()

    def __call__(self, progress: Progress) -> None:
        """A job's listener."""
        if progress.stage != self._stage:
            self._stage = progress.stage
            self._bar.reset(progress.total)
            self._bar.set_description(progress.stage)
        self._bar.total = progress.total
        if progress.bpp is not None:
            self._bar.set_postfix(bpp=f"{progress.bpp:.4f}", refresh=False)
        self._bar.update(progress.frames - self._bar.n)
