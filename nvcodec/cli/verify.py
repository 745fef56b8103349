"""`nvcodec verify`."""

from __future__ import annotations

import click

from nvcodec.cli import options


@click.command("verify")
@click.argument("source", metavar="IN.mvt")
@options.talk
def command(source: str, as_json: bool, quiet: bool, verbose: int) -> None:
    """Check every CRC and entropy-decode every segment of a `.mvt` file.

    Every damaged segment is named with its frames and time.
    """
    from nvcodec.codec.inspect import damaged, examine

    del verbose
    with options.Bar(quiet) as bar:
        result = examine(source, bar)
    if as_json:
        options.print_json(result)
    if not result["ok"]:
        raise damaged(result)
    note = "" if result["weights_here"] else "; its weights are not here, so it cannot be decoded"
    options.tell([f"{source}: ok, {result['segments']} segments, {result['frames']} frames, "
                  f"{result['audio_packets']} audio packets{note}"], quiet)
