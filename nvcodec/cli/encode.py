"""`nvcodec encode`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nvcodec.cli import options
from nvcodec.cli.run import INTERRUPTED

if TYPE_CHECKING:
    from nvcodec.codec.options import EncodeOptions


@click.command("encode")
@click.argument("source", metavar="IN")
@click.option("-o", "--output", metavar="OUT.mvt", help="Default: IN with .mvt; - is stdout.")
@click.option("--keep-partial", is_flag=True,
              help="On Ctrl-C, finish the file with the frames so far; a second one drops it.")
@options.encoding
@options.talk
def command(source: str, output: str | None, wished: EncodeOptions, keep_partial: bool,
            as_json: bool, quiet: bool, verbose: int) -> None:
    """Encode a video or picture to a `.mvt` file.

    Without a wished rate the model's default quality is used. A wish takes several passes, and a
    warning says what can be reached where it cannot be met.
    """
    from nvcodec.codec.encode import encode

    del verbose
    options.show_warnings(quiet)
    target = output or options.default_output(source, ".mvt")
    with options.Bar(quiet) as bar, options.interrupt(keep_partial) as stop:
        report = encode(source, target, wished, bar, stop.is_set)
    options.tell((f"nvcodec: warning: {w}" for w in report.warnings), quiet)
    low, high = min(report.qp), max(report.qp)
    options.tell([
        f"{report.target}: {report.frames} frames of {report.width}x{report.height}, "
        f"{report.file_bytes} bytes, {report.bpp:.4f} bpp, "
        f"qp {low if low == high else f'{low}-{high}'}, {report.fps:.1f} fps"], quiet)
    if as_json:
        options.print_json(report.as_dict())
    if report.partial:
        options.tell([f"nvcodec: interrupted; {report.target} is whole, with the first "
                      f"{report.frames} frames"], quiet)
        raise click.exceptions.Exit(INTERRUPTED)
