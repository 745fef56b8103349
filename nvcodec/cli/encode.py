"""`nvcodec encode`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nvcodec.cli import options

if TYPE_CHECKING:
    from nvcodec.codec.options import EncodeOptions


@click.command("encode")
@click.argument("source", metavar="IN")
@click.option("-o", "--output", metavar="OUT.mvt", help="Default: IN with .mvt; - is stdout.")
@options.encoding
@options.talk
def command(source: str, output: str | None, wished: EncodeOptions, as_json: bool, quiet: bool,
            verbose: int) -> None:
    """Encode a video or picture to a `.mvt` file.

    Without a wished rate the model's default quality is used. A wish takes several passes, and a
    warning says what can be reached where it cannot be met.
    """
    from nvcodec.codec.encode import encode

    del verbose
    options.show_warnings(quiet)
    target = output or options.default_output(source, ".mvt")
    with options.Bar(quiet) as bar:
        report = encode(source, target, wished, bar)
    options.tell((f"nvcodec: warning: {w}" for w in report.warnings), quiet)
    low, high = min(report.qp), max(report.qp)
    options.tell([
        f"{report.target}: {report.frames} frames of {report.width}x{report.height}, "
        f"{report.file_bytes} bytes, {report.bpp:.4f} bpp, "
        f"qp {low if low == high else f'{low}-{high}'}, {report.fps:.1f} fps"], quiet)
    if as_json:
        options.print_json(report.as_dict())
