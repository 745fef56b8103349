"""`nvcodec decode`."""

from __future__ import annotations

import click

from nvcodec.cli import options


@click.command("decode")
@click.argument("source", metavar="IN.mvt")
@click.option("-o", "--output", metavar="OUT",
              help="Target: .mp4 .mov .mkv .webm .y4m .png; default: IN with .mp4; - is y4m.")
@click.option("--crf", type=float, metavar="N",
              help="Quality of the output's encoder; default: visually lossless.")
@click.option("--no-audio", is_flag=True, help="Leave the audio out.")
@click.option("--conceal", is_flag=True,
              help="Fill in for damaged segments: number and times of the frames stay right.")
@click.option("--recover", is_flag=True,
              help="Decode what is whole of a damaged or cut file, and leave out the rest.")
@options.window
@options.device
@options.precision
@options.force
@options.talk
def command(source: str, output: str | None, crf: float | None, no_audio: bool, conceal: bool,
            recover: bool, start: float | None, duration: float | None, device: str,
            precision: str, force: bool, as_json: bool, quiet: bool, verbose: int) -> None:
    """Decode a `.mvt` file to a video or picture.

    Damage stops it with exit code 3, unless --conceal or --recover is given: these go on with a
    warning. A cut file is decoded to its last whole segment by either.
    """
    from nvcodec.codec.decode import DecodeOptions, decode

    del verbose
    options.show_warnings(quiet)
    target = output or options.default_output(source, ".mp4")
    wished = DecodeOptions(start=start, duration=duration, crf=crf, audio=not no_audio,
                           recover=recover, conceal=conceal, device=device, precision=precision,
                           force=force)
    with options.Bar(quiet) as bar:
        report = decode(source, target, wished, bar)
    options.tell((f"nvcodec: warning: {w}" for w in report.warnings), quiet)
    options.tell([f"{report.target}: {report.frames} frames of {report.width}x{report.height}, "
                  f"{report.fps:.1f} fps"], quiet)
    if as_json:
        options.print_json(report.as_dict())
