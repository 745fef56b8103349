"""One exception tree for everything a user of nvcodec can meet.

    NvcodecError             exit code 1   base class: catch this one
    +-- InputError           exit code 1   the source video is missing, unreadable or unsupported
    +-- OutputError          exit code 1   the target exists, or cannot be written
    +-- UsageError           exit code 2   an option or an argument makes no sense
    +-- CorruptFileError     exit code 3   a `.mvt` or token file is damaged
    +-- UnsupportedFileError exit code 4   a `.mvt` file needs a newer reader or another model

Each error is built from what is wrong and what to do about it, and prints as one line:

    >>> str(InputError("a.mp4: no such file", "check the path"))
    'a.mp4: no such file; check the path'

Command-line tools print that line and leave with `error.exit_code`; libraries catch by class.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "CorruptFileError",
    "InputError",
    "NvcodecError",
    "OutputError",
    "UnsupportedFileError",
    "UsageError",
]


class NvcodecError(Exception):
    """Base of all errors that are the user's to mend rather than bugs.

    Args:
        problem: what is wrong, beginning with the file or option it is about; no final period.
        remedy: what the user can do now; no final period.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, problem: str, remedy: str) -> None:
        # Both go to Exception so that the error survives pickling between worker processes.
        super().__init__(problem, remedy)
        self.problem = " ".join(problem.split())
        self.remedy = " ".join(remedy.split())

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}"


class InputError(NvcodecError):
    """The source video is missing, unreadable, empty, damaged or of an unsupported kind."""


class OutputError(NvcodecError):
    """The target exists already, cannot be written, or cannot hold what was asked of it."""


class UsageError(NvcodecError):
    """An option, an argument or a call makes no sense."""

    exit_code: ClassVar[int] = 2


class CorruptFileError(NvcodecError):
    """A `.mvt` file or a token file is damaged or truncated."""

    exit_code: ClassVar[int] = 3


class UnsupportedFileError(NvcodecError):
    """A `.mvt` file is sound but needs a newer reader, or a model that is not at hand."""

    exit_code: ClassVar[int] = 4
