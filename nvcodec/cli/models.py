"""`nvcodec models`."""

from __future__ import annotations

import click

from nvcodec.cli import options


@click.command("models")
@options.talk
def command(as_json: bool, quiet: bool, verbose: int) -> None:
    """List the released weights and the sizes that can be trained."""
    from nvcodec.codec.catalog import catalog

    del quiet, verbose
    rows = catalog()
    if as_json:
        options.print_json(rows)
        return
    heads = f"{'weights':>18}{'parameters':>12}{'encode':>10}{'decode':>10}"
    click.echo(f"{'model':10}{heads}  kMAC/pixel")
    for row in rows:
        click.echo(f"{row['model']:10}{row['weights_sha256'][:12] or 'none yet':>18}"
                   f"{row['parameters'] / 1e6:>11.2f}M{row['encoder_kmac_per_pixel']:>10.1f}"
                   f"{row['decoder_kmac_per_pixel']:>10.1f}  {row['token_bits']} bits a token")
