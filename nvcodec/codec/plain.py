"""What every part of the codec needs and nothing heavy: plain errors, checks, times of a header."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import bitstream
from nvcodec.errors import (
    CorruptFileError,
    InputError,
    NvcodecError,
    OutputError,
    UnsupportedFileError,
    UsageError,
)
from nvcodec.models.config import PRECISIONS
from nvcodec.models.registry import ModelError


def check_precision(precision: str) -> None:
    """UsageError for what is none."""
    if precision not in PRECISIONS:
        raise UsageError(f"unknown precision {precision!r}", f"use one of {', '.join(PRECISIONS)}")


def fps_of(header: bitstream.Header) -> Fraction:
    """Frames per second."""
    return Fraction(header.fps_num, header.fps_den)


def time_base_of(header: bitstream.Header) -> Fraction:
    """Seconds per tick."""
    return Fraction(header.time_base_num, header.time_base_den)


@contextmanager
def plain_errors(name: str, damaged: type[NvcodecError] = CorruptFileError) -> Iterator[None]:
    """Turn errors of the lower layers into the project's own, beginning with the file's name.

    `damaged` is what the container's complaints become: where a file is being written they are
    about the source.
    """
    try:
        yield
    except bitstream.UnsupportedError as error:
        raise UnsupportedFileError(*_split(name, str(error))) from error
    except bitstream.BitstreamError as error:
        raise damaged(*_split(name, str(error))) from error
    except OSError as error:
        problem = error.strerror or str(error)
        raise InputError(f"{name}: {problem}", "check the path and its permissions") from error
    except ModelError as error:
        wants = UnsupportedFileError if "the file needs" in str(error) else UsageError
        raise wants(*_split(name, str(error))) from error


@contextmanager
def writing_to(target: str) -> Iterator[None]:
    """Turn the system's complaints while a file is written into OutputError."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error.strerror})",
                          "check the free space and permissions") from error


@contextmanager
def passing_damage(recover: bool, problems: list[bitstream.BitstreamError]) -> Iterator[None]:
    """Note damage in `problems` in place of raising it, where recovery is wished."""
    try:
        yield
    except bitstream.CorruptError as error:
        if not recover:
            raise
        problems.append(error)


def _split(name: str, message: str) -> tuple[str, str]:
    problem, _, remedy = message.partition("; ")
    return f"{name}: {problem}", remedy or "get another copy of the file"
