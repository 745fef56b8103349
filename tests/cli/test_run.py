"""The ladder from exceptions to exit codes that every command line of the project shares."""

from __future__ import annotations

import click
import pytest

import benchmarks.cli
import nvcodec.cli.app
import rater_study.cli
from nvcodec.cli.run import run_command
from nvcodec.errors import CorruptFileError, UsageError
from rater_study.errors import StudyError


@pytest.mark.parametrize(("error", "code", "line"), [
    (CorruptFileError("a.mvt: cut", "get it\nagain"), 3, "tool: a.mvt: cut; get it again"),
    (StudyError("s: is no study", "make one"), 1, "tool: s: is no study; make one"),
    (UsageError("--x: odd", "leave it out"), 2, "tool: --x: odd; leave it out"),
    (ModuleNotFoundError("No module", name="fastapi"), 1,
     "tool: fastapi is not installed; pip install 'nvcodec[study]'"),
    (ImportError("PyAV is too old; pip install -U av"), 1,
     "tool: PyAV is too old; pip install -U av"),
    (FileNotFoundError(2, "No such file or directory", "x"), 1,
     "tool: [Errno 2] No such file or directory: 'x'"),
    (MemoryError(), 1, "tool: out of memory; use smaller frames"),
    (click.ClickException("no"), 1, "Error: no"),
    (KeyboardInterrupt(), 130, "stopped"),
    (click.Abort(), 130, "stopped"),
    (click.exceptions.Exit(5), 5, ""),
])
def test_each_error_is_one_line_and_a_code(error: BaseException, code: int, line: str,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def command() -> None:
        raise error

    assert run_command(command, [], "tool", interrupted="stopped",
                       install="nvcodec[study]") == code
    out, err = capsys.readouterr()
    assert out == "" and err.strip() == line


def test_a_bug_and_vv_show_the_traceback() -> None:
    @click.command()
    @click.option("-v", "verbose", count=True)
    def command(verbose: int) -> None:
        raise StudyError("a", "b") if verbose else ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_command(command, [], "tool")
    with pytest.raises(StudyError):
        run_command(command, ["-vv"], "tool")


def test_a_command_may_return_its_code() -> None:
    for value, code in ((None, 0), (1, 1), ("text", 0)):
        assert run_command(click.Command("c", callback=lambda v=value: v), [], "tool") == code


def test_all_command_lines_climb_it(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def failing() -> None:
        raise OSError(28, "No space left on device")

    assert benchmarks.cli.run(failing, []) == 1
    assert capsys.readouterr().err.startswith("benchmarks: [Errno 28]")
    assert nvcodec.cli.app.run(["info", "missing.mvt"]) == 1
    assert capsys.readouterr().err.startswith("nvcodec: missing.mvt")
    assert rater_study.cli.run(["report", "missing"]) == 1
    assert capsys.readouterr().err.startswith("rater_study: missing")
