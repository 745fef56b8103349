"""`nvcodec info`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from nvcodec.cli import options


@click.command("info")
@click.argument("source", metavar="IN.mvt")
@options.talk
def command(source: str, as_json: bool, quiet: bool, verbose: int) -> None:
    """Show what a `.mvt` file holds; -v lists its segments."""
    from nvcodec.codec.inspect import inspect

    del quiet
    facts = inspect(source, segments=verbose > 0)
    if as_json:
        options.print_json(facts)
        return
    rows = facts.pop("segment_list", [])
    for key, value in facts.items():
        click.echo(f"{key:>20}  {_plain(value)}")
    for line in _table(rows):
        click.echo(line)


def _table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Lines with the columns right-aligned under their names."""
    if not rows:
        return
    cells = [list(rows[0]), *([_plain(v) for v in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    yield ""
    for line in cells:
        yield "  ".join(f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True))


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return ", ".join(f"{k} {_plain(v)}" for k, v in value.items())
    if isinstance(value, list):
        return " | ".join(_plain(v) for v in value) or "none"
    return str(value)
