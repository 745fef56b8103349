"""What the commands share: options, folders, Ctrl-C that loses nothing."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from benchmarks.codecs import DEFAULT, NAMES
from benchmarks.process import Runner
from nvcodec.cli.run import run_command
from nvcodec.errors import OutputError, UsageError

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Options:
    """What the user asked of a report; see the options' help."""

    out: Path
    codecs: str
    model: str
    device: str
    quick: bool
    points: tuple[str, ...]
    every: int
    frames: int | None
    jobs: int
    threads: int | None
    lpips_weights: Path | None
    vgg: bool
    vmaf: bool
    timed: bool
    ffmpeg: str | None
    work: Path | None


def options(function: F) -> F:
    """All options of a report."""
    path = click.Path(path_type=Path)
    for option in reversed([
        click.option("-o", "--output", "out", type=path, required=True,
                     help="Folder for the report; what is there already is not measured again."),
        click.option("--quick", is_flag=True, help="2 clips, 3 points, 33 frames, each 4th "
                     "measured: minutes instead of hours."),
        click.option("--codecs", default=",".join(DEFAULT), show_default=True,
                     help="Which, by comma."),
        click.option("--points", multiple=True, metavar="CODEC=N,N,..",
                     help="Other rate points for one codec; can be repeated."),
        click.option("--model", default="s", show_default=True, help="nvcodec's release."),
        click.option("--device", default="auto", show_default=True, help="Where nvcodec runs."),
        click.option("--every", type=click.IntRange(1), metavar="N",
                     help="Measure quality on each Nth frame, an odd number: every other one alone "
                          "may be coded.  [default: 1]"),
        click.option("--frames", type=click.IntRange(0), metavar="N",
                     help="First frames of each clip; 0 for all."),
        click.option("--jobs", type=click.IntRange(1), default=1, show_default=True,
                     help="Points at once; more than 1 spoils the speeds."),
        click.option("--threads", type=click.IntRange(1),
                     help="Of every codec.  [default: cores / jobs]"),
        click.option("--lpips-weights", type=path, metavar="PATH",
                     help="File or folder with LPIPS backbones; else NVCODEC_LPIPS_WEIGHTS, else "
                     "the lpips package downloads them."),
        click.option("--vgg", is_flag=True, help="Also LPIPS with the VGG backbone."),
        click.option("--vmaf/--no-vmaf", default=True, help="VMAF, where ffmpeg has it."),
        click.option("--timed/--untimed", default=True, help="Untimed, for a machine that is busy "
                     "with other work: rows without speeds."),
        click.option("--ffmpeg", metavar="PATH", help="Another ffmpeg than imageio-ffmpeg's."),
        click.option("--work", type=path, metavar="DIR",
                     help="Masters and coded files; can be deleted.  [default: OUTPUT/work]"),
    ]):
        function = option(function)
    return function


def parse_points(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """"hevc=20,30" and the like by codec; UsageError for anything else."""
    out: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, _, numbers = text.partition("=")
        try:
            out[name] = tuple(int(n) for n in numbers.split(","))
        except ValueError:
            name = ""
        if name not in NAMES:
            raise UsageError(f"--points {text} is not CODEC=N,N,..",
                             f"codecs are {', '.join(NAMES)}; points are whole numbers")
    return out


def numbers(option: str, text: str) -> list[float]:
    """"20,1800" as given to an option, in rising order; UsageError for anything else."""
    try:
        return sorted(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{option} {text} is not N,N,..", "give numbers with commas between"
                         ) from None


def check_folder(folder: Path) -> None:
    """Create it where it is missing; OutputError where nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror})",
                          "choose another folder with -o, or check its permissions") from error


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder that goes away."""
    with tempfile.TemporaryDirectory(prefix="nvcodec-bench-") as folder:
        yield Path(folder)


@contextlib.contextmanager
def stopping(runner: Runner) -> Iterator[Runner]:
    """Ends the runner's commands on any way out; SIGTERM counts as Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield runner
    finally:
        runner.stop()
        signal.signal(signal.SIGTERM, before)


def main(command: click.Command, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and leave with nvcodec's exit codes."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    sys.exit(run(command, arguments))


def run(command: click.Command, arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit code. Errors become one line on stderr."""
    return run_command(
        command, arguments, "benchmarks", install="nvcodec[bench]",
        interrupted="interrupted; finished points are kept: the same command goes on")
