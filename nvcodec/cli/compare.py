"""`nvcodec compare`."""

from __future__ import annotations

from pathlib import Path

import click

from nvcodec.cli import options


@click.command("compare")
@click.argument("source", metavar="REF")
@click.argument("decoded", metavar="OUT")
@click.option("--every", type=click.IntRange(1), default=1, show_default=True, metavar="N",
              help="Measure each Nth frame.")
@click.option("--lpips-weights", type=click.Path(exists=True, path_type=Path),
              help="AlexNet features, or a folder with them; see $NVCODEC_LPIPS_WEIGHTS.")
@click.option("--png", type=click.Path(path_type=Path), help="Write one pair side by side.")
@options.force
@options.talk
def command(source: str, decoded: str, every: int, lpips_weights: Path | None, png: Path | None,
            force: bool, as_json: bool, quiet: bool, verbose: int) -> None:
    """Measure PSNR, MS-SSIM and LPIPS of a decoded video against its source."""
    from nvcodec.codec.compare import measure, write_pair

    del verbose
    options.show_warnings(quiet)
    with options.Bar(quiet) as bar:
        result = measure(source, decoded, every, lpips_weights, bar)
    if png is not None:
        write_pair(source, decoded, png, force)
    if as_json:
        options.print_json(result)
    options.tell([", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}"
                            for k, v in result.items() if v is not None)], quiet)
