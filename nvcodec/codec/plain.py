"""What every part of the codec needs and nothing heavy: plain errors, times of a header."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import bitstream
from nvcodec.errors import (
    CorruptFileError,
    InputError,
    NvcodecError,
    UnsupportedFileError,
    UsageError,
)
from nvcodec.models.registry import ModelError


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


def _split(name: str, message: str) -> tuple[str, str]:
    problem, _, remedy = message.partition("; ")
    return f"{name}: {problem}", remedy or "get another copy of the file"
