"""What a person who runs a study can mend.

    StudyError       exit code 1   something is missing, damaged or in the way
    +-- UsageError   exit code 2   an option or an argument makes no sense

Each prints as one line: what is wrong, and what to do about it.
"""

from __future__ import annotations

from typing import ClassVar


class StudyError(Exception):
    """Base: `problem` begins with the file or option it is about, `remedy` says what to do."""

    exit_code: ClassVar[int] = 1

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = " ".join(problem.split())
        self.remedy = " ".join(remedy.split())

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}"


class UsageError(StudyError):
    """An option or an argument makes no sense."""

    exit_code: ClassVar[int] = 2
