"""`nvcodec verify`."""

from __future__ import annotations

import click

from nvcodec.cli import options


@click.command("verify")
@click.argument("source", metavar="IN.mvt")
@options.talk
def command(source: str, as_json: bool, quiet: bool, verbose: int) -> None:
    """Check every CRC and entropy-decode every segment of a `.mvt` file."""
    from nvcodec.codec.inspect import verify

    del verbose
    with options.Bar(quiet) as bar:
        result = verify(source, bar)
    if as_json:
        options.print_json(result)
    note = "" if result["weights_here"] else "; its weights are not here, so it cannot be decoded"
    options.tell([f"{source}: ok, {result['segments']} segments, {result['frames']} frames, "
                  f"{result['audio_packets']} audio packets{note}"], quiet)
