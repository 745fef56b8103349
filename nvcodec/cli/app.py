"""The `nvcodec` command: finds verbs, turns errors into one line and an exit code."""

from __future__ import annotations

import sys
from importlib import import_module

import click

import nvcodec
from nvcodec.errors import NvcodecError

VERBS = ("encode", "decode", "info", "verify", "compare", "tokens", "models", "train", "demo")
INTERRUPTED = 130


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
    sys.exit(run(sys.argv[1:]))


def run(args: list[str]) -> int:
    """Run a command line; returns the exit code."""
    try:
        group.main(args, prog_name="nvcodec", standalone_mode=False)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted; nothing was written", err=True)
        return INTERRUPTED
    except NvcodecError as error:
        return _fail(error, str(error), error.exit_code, args)
    except BrokenPipeError:
        return 1
    except (OSError, MemoryError) as error:
        return _fail(error, str(error) or "out of memory; use smaller frames", 1, args)
    return 0


def _fail(error: BaseException, message: str, code: int, args: list[str]) -> int:
    if "-vv" in args:
        raise error
    click.echo(f"nvcodec: {' '.join(message.split())}", err=True)
    return code
