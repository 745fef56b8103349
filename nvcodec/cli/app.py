"""The `nvcodec` command: finds verbs when they are called."""

from __future__ import annotations

import sys
from importlib import import_module

import click

import nvcodec
from nvcodec.cli.run import run_command
from nvcodec.heap import keep_freed_memory

VERBS = ("encode", "decode", "batch", "info", "verify", "compare", "tokens", "models", "train",
         "demo")


class Verbs(click.Group):
    """Loads a verb's module only when it is called, so that `info` never waits for torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order people meet them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's command object."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"nvcodec.cli.{cmd_name}").command
        return command


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(nvcodec.__version__, prog_name="nvcodec")
def group() -> None:
    """A neural video codec: video in, `.mvt` out, and back.

    Exit codes: 0 ok, 1 failure, 2 usage, 3 corrupt input, 4 unsupported, 130 interrupted.
    """


def main() -> None:
    """Entry point of the console script."""
    keep_freed_memory()
    sys.exit(run(sys.argv[1:]))


def run(args: list[str]) -> int:
    """Run a command line; returns the exit code."""
    return run_command(group, args, "nvcodec", prog_name="nvcodec",
                       interrupted="interrupted; nothing was written", install="nvcodec[train]")
