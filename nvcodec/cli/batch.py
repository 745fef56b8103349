"""`nvcodec batch`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from nvcodec.cli import options
from nvcodec.cli.run import INTERRUPTED
from nvcodec.errors import NvcodecError

if TYPE_CHECKING:
    from nvcodec.codec.options import EncodeOptions


class Interrupted(click.ClickException):
    """Ctrl-C in a batch, which keeps what it has."""

    exit_code = INTERRUPTED

    def show(self, file: Any = None) -> None:
        """Print the message, as `nvcodec` does for other verbs."""
        click.echo(self.format_message(), err=True)


@click.command("batch")
@click.argument("source", metavar="IN_DIR", type=click.Path())
@click.argument("target", metavar="OUT_DIR", type=click.Path())
@options.encoding
@click.option("-j", "--jobs", type=int, metavar="N",
              help="Files at the same time; default: half the cores.")
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True,
              help="Processes of this machine, or a Ray cluster (pip install nvcodec[ray]).")
@click.option("--ray-address", metavar="ADDRESS",
              help="A running Ray cluster; default: start one on this machine.")
@options.talk
def command(source: str, target: str, wished: EncodeOptions, jobs: int | None, engine: str,
            ray_address: str | None, as_json: bool, quiet: bool, verbose: int) -> None:
    """Encode every video and picture below a folder into the same tree of `.mvt` files.

    What is done is kept in OUT_DIR/nvcodec-batch.json: the same command goes on where it was
    stopped, and encodes again what has changed. A file that fails does not stop the others.
    """
    from nvcodec.batch.run import BatchOptions, encode_folder

    del verbose
    options.show_warnings(quiet)
    how = BatchOptions(jobs, engine, ray_address)
    try:
        with options.Bar(quiet, "file") as bar:
            report = encode_folder(source, target, wished, how, bar)
    except KeyboardInterrupt:
        raise Interrupted("interrupted; what is done is kept, the same command goes on") from None
    lines = [f"nvcodec: warning: {w}" for w in report.warnings]
    options.tell(map(click.format_filename, lines), quiet)
    options.tell(f"nvcodec: {click.format_filename(e)}" for _, e in sorted(report.failed.items()))
    options.tell([f"{report.target}: {len(report.done)} files encoded, {len(report.skipped)} done "
                  f"before, {len(report.failed)} failed"], quiet)
    if as_json:
        options.print_json(report.as_dict())
    if report.failed:
        raise NvcodecError(f"{len(report.failed)} of the files failed",
                           "mend or remove them and run the same command again")
