"""`nvcodec tokens`."""

from __future__ import annotations

import click

from nvcodec.cli import options
from nvcodec.errors import UsageError

#: Extension of the target by that of the source.
TARGETS = {".mvt": ".npz", ".npz": ".mvt"}


@click.command("tokens")
@click.argument("source", metavar="IN")
@click.option("-o", "--output", metavar="OUT", help="Default: IN with the other extension.")
@options.force
@options.talk
def command(source: str, output: str | None, force: bool, as_json: bool, quiet: bool,
            verbose: int) -> None:
    """Write the tokens of a `.mvt` file to a `.npz` file, or rebuild the first from the second.

    Lossless both ways. The .npz holds the token grids, their 9-bit factors, times, qp and what
    rebuilds the file; docs/python-api.md lists its arrays.
    """
    from nvcodec.codec.tokens import convert_tokens

    del verbose
    options.show_warnings(quiet)
    target = output or options.default_output(source, _suffix_for(source))
    with options.Bar(quiet) as bar:
        report = convert_tokens(source, target, force, bar)
    options.tell([f"{report.target}: {report.tokens} tokens of {report.frames} frames in "
                  f"{report.segments} segments, {report.bytes} bytes"], quiet)
    if as_json:
        options.print_json(report.as_dict())


def _suffix_for(source: str) -> str:
    """The extension to write to where no target is named."""
    for have, other in TARGETS.items():
        if source.lower().endswith(have):
            return other
    raise UsageError(f"{source} is neither .mvt nor .npz", "name the output with -o")
