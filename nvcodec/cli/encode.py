"""`nvcodec encode`."""

from __future__ import annotations

import click

from nvcodec.cli import options
from nvcodec.cli.run import INTERRUPTED


@click.command("encode")
@click.argument("source", metavar="IN")
@click.option("-o", "--output", metavar="OUT.mvt", help="Default: IN with .mvt; - is stdout.")
@click.option("--bpp", type=float, metavar="F",
              help="Wished bits per pixel, audio left out; met within 2%.")
@click.option("--bitrate", type=float, metavar="K", help="Wished kbit/s, audio left out.")
@click.option("--size", type=int, metavar="BYTES",
              help="Most bytes of the whole file; 98% or more are used.")
@click.option("--qp", type=int, metavar="N", help="Quality step: 0 best, 63 smallest.")
@click.option("--model", default="s", show_default=True, help="Weights; see `nvcodec models`.")
@click.option("--rdo/--no-rdo", default=True,
              help="Choose the sign of small latent values by its cost.")
@click.option("--effort", type=int, default=0, show_default=True, metavar="N",
              help="Gradient steps that search for better tokens: 4 is 20 times slower and clearly "
                   "better, 0 is off.")
@click.option("--prior", type=click.Choice(["learned", "table", "none"]),
              help="Entropy coder: learned prior (default), static table, or raw tokens.")
@click.option("--keyint", type=int, default=97, show_default=True, metavar="N",
              help="Most frames in a segment; segments can be decoded alone.")
@click.option("--no-audio", is_flag=True, help="Leave the audio out.")
@click.option("--verify", is_flag=True, help="Read the file back and compare every token.")
@click.option("--keep-partial", is_flag=True,
              help="On Ctrl-C, finish the file with the frames so far; a second one drops it.")
@options.window
@options.device
@options.force
@options.talk
def command(source: str, output: str | None, bpp: float | None, bitrate: float | None,
            size: int | None, qp: int | None, model: str, rdo: bool, effort: int, prior: str | None,
            keyint: int, no_audio: bool, verify: bool, keep_partial: bool, start: float | None,
            duration: float | None, device: str, force: bool, as_json: bool, quiet: bool,
            verbose: int) -> None:
    """Encode a video or picture to a `.mvt` file.

    Without a wished rate the model's default quality is used. A wish takes several passes, and a
    warning says what can be reached where it cannot be met.
    """
    from nvcodec.codec.encode import EncodeOptions, encode

    del verbose
    options.show_warnings(quiet)
    target = output or options.default_output(source, ".mvt")
    wished = EncodeOptions(
        model=model, qp=qp, bpp=bpp, bitrate=bitrate, size=size, keyint=keyint, coder=prior,
        rdo=rdo, effort=effort, start=start, duration=duration, audio=not no_audio, device=device,
        verify=verify, force=force)
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
