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
from functools import wraps
from pathlib import Path
from threading import Event
from types import FrameType, TracebackType
from typing import Any, TypeVar

import click
from tqdm import tqdm

from nvcodec.codec.events import Progress
from nvcodec.models.config import PRECISIONS
from nvcodec.segments import DEFAULT_KEYINT

F = TypeVar("F", bound=Callable[..., Any])
#: Of --spacing, but for the choice among them.
SPACINGS = {"0.5": 0.5, "1": 1, "2": 2, "4": 4}


def force(function: F) -> F:
    """-f: replace an existing output."""
    return click.option("-f", "--force", is_flag=True, help="Replace an existing output.")(function)


def device(function: F) -> F:
    """--device: where the network runs."""
    return click.option("--device", default="auto", show_default=True, metavar="NAME",
                        help="auto, cpu, cuda, cuda:1, ...")(function)


def precision(function: F) -> F:
    """--precision: what the network computes in."""
    return click.option("--precision", type=click.Choice(PRECISIONS), default="auto",
                        show_default=True,
                        help="Of the network: auto is int8 where the CPU multiplies that faster."
                        )(function)


def window(function: F) -> F:
    """--start and --duration: a part of the video."""
    function = click.option("--duration", type=float, metavar="S", help="Seconds to take.")(
        function)
    return click.option("--start", type=float, metavar="S", help="First second to take.")(function)


ENCODING = (
    click.option("--bpp", type=float, metavar="F",
                 help="Wished bits per pixel, audio left out; met within 2%."),
    click.option("--bitrate", type=float, metavar="K", help="Wished kbit/s, audio left out."),
    click.option("--size", type=int, metavar="BYTES",
                 help="Most bytes of the whole file; 98% or more are used."),
    click.option("--lpips", type=float, metavar="F",
                 help="Wished LPIPS (AlexNet), found on samples: about 0.1 (good) to 0.3."),
    click.option("--psnr", type=float, metavar="DB", help="The same with PSNR."),
    click.option("--ms-ssim", "msssim", type=float, metavar="F", help="The same with MS-SSIM."),
    click.option("--qp", type=int, metavar="N",
                 help="Quality step: 0 best, 63 smallest; down to -16 with more pictures coded "
                      "than are shown."),
    click.option("--model", default="s", show_default=True, help="Weights; see `nvcodec models`."),
    click.option("--rdo/--no-rdo", default=True,
                 help="Choose the sign of small latent values by its cost."),
    click.option("--fast", is_flag=True,
                 help="Look at every picture once and not twice: half of the time, pictures a "
                      "little worse for the same bits."),
    click.option("--effort", type=int, default=0, show_default=True, metavar="N",
                 help="Gradient steps that search for better tokens: 4 is clearly better and about "
                      "12 times slower, 0 is off."),
    click.option("--prior", type=click.Choice(["learned", "table", "none"]),
                 help="Entropy coder: learned prior (default), static table, or raw tokens."),
    click.option("--keyint", type=int, default=DEFAULT_KEYINT, show_default=True, metavar="N",
                 help="Most frames in a segment; segments can be decoded alone."),
    click.option("--cuts/--no-cuts", default=True,
                 help="Begin a segment where a shot begins, too."),
    click.option("--spacing", type=click.Choice(["auto", *SPACINGS]),
                 default="auto", show_default=True,
                 help="Code every, every 2nd or every 4th frame, and make the others from them; "
                      "0.5: code pictures between frames as well."),
    click.option("--background/--no-background", default=True,
                 help="Tell what stands still once more, as a picture, where that pays."),
    click.option("--no-audio", is_flag=True, help="Leave the audio out."),
    click.option("--verify", is_flag=True, help="Read the file back and compare every token."),
    window, device, precision, force,
)


def encoding(function: Callable[..., Any]) -> Callable[..., Any]:
    """What shapes an encode, given to the verb as one `wished: EncodeOptions`."""
    @wraps(function)
    def gather(*, bpp: float | None, bitrate: float | None, size: int | None, qp: int | None,
               lpips: float | None, psnr: float | None, msssim: float | None, model: str,
               rdo: bool, fast: bool, effort: int, prior: str | None, keyint: int, cuts: bool,
               spacing: str, background: bool, no_audio: bool, verify: bool, start: float | None,
               duration: float | None, device: str, precision: str, force: bool,
               **verbs_own: Any) -> Any:
        from nvcodec.codec.options import EncodeOptions

        wished = EncodeOptions(
            model=model, qp=qp, bpp=bpp, bitrate=bitrate, size=size, lpips=lpips, psnr=psnr,
            msssim=msssim, keyint=keyint, cuts=cuts, coder=prior, spacing=SPACINGS.get(spacing),
            background=background, rdo=rdo, fast=fast, effort=effort, start=start,
            duration=duration, audio=not no_audio, device=device, precision=precision,
            verify=verify, force=force)
        return function(wished=wished, **verbs_own)

    for option in reversed(ENCODING):
        option(gather)
    return gather


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

    def __init__(self, quiet: bool, unit: str = "frame") -> None:
        hidden = quiet or not sys.stderr.isatty()
        self._bar = tqdm(unit=unit, disable=hidden, file=sys.stderr, dynamic_ncols=True)
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
