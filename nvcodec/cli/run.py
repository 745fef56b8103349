"""The one ladder from exceptions to a line on stderr and an exit code, for all of the project's
command lines. Imports no network library: the rater study uses it too.

Exit codes: 0 ok, 1 failure, 2 usage, 3 corrupt input, 4 unsupported, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from nvcodec.errors import NvcodecError

INTERRUPTED = 130


def run_command(command: click.Command, arguments: Sequence[str] | None, name: str, *,
                prog_name: str | None = None, interrupted: str = "interrupted",
                install: str = "nvcodec") -> int:
    """Run a command line and return its exit code; -vv among the arguments lets errors through.

    Args:
        command: what to run. An integer that it returns is the exit code.
        arguments: without the program's name; None takes those of the process.
        name: what error lines begin with.
        prog_name: as the help shows it; None leaves it to click.
        interrupted: what to say after Ctrl-C.
        install: what pip should install where a module is missing.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result = command.main(arguments, prog_name=prog_name, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo(interrupted, err=True)
        return INTERRUPTED
    except BrokenPipeError:
        return 1
    except (NvcodecError, ImportError, OSError, MemoryError) as error:
        if "-vv" in arguments:
            raise
        message, code = _explain(error, install)
        click.echo(f"{name}: {' '.join(message.split())}", err=True)
        return code
    # Outside its standalone mode click returns the code of a --help or an exit.
    return result if isinstance(result, int) else 0


def _explain(error: Exception, install: str) -> tuple[str, int]:
    """What to print, and the exit code."""
    if isinstance(error, NvcodecError):
        return str(error), error.exit_code
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed; pip install '{install}'", 1
    return str(error) or "out of memory; use smaller frames", 1
