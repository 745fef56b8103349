"""Arrays in a `.npz` file, written and read piece by piece. Nothing of it is ever unpickled.

`numpy.load` reads what is written here. What is read here may come from anywhere: type and shape
of an array are fixed by who asks for it, and are compared before memory is taken.
"""

from __future__ import annotations

import io
import os
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from math import prod
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from nvcodec.errors import CorruptFileError

Array: TypeAlias = NDArray[Any]
Shape: TypeAlias = tuple[int, ...]

MAGIC = b"PK\x03\x04"
#: Bytes that are read at once; a zip directory above it is refused. Ours takes about 1 KiB.
_PIECE = 1 << 20
_HEADER = 512
#: Others may take much memory to unpack whatever the size of the data.
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


class NpzWriter:
    """Writes a compressed `.npz`, the same bytes for the same arrays."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)

    def __enter__(self) -> NpzWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._zip.close()

    def add(self, name: str, array: Array) -> None:
        """Write a whole array."""
        self.stream(name, array.dtype, array.shape, [array])

    def stream(self, name: str, dtype: np.dtype[Any], shape: Shape,
               blocks: Iterable[Array]) -> None:
        """Write an array whose values come in C order, in blocks of any shape."""
        entry = zipfile.ZipInfo(f"{name}.npy")  # its date is fixed: 1980
        entry.compress_type = zipfile.ZIP_DEFLATED
        left = prod(shape)
        with self._zip.open(entry, "w", force_zip64=True) as out:
            little = dtype.newbyteorder("<")
            npy.write_array_header_1_0(out, {
                "descr": npy.dtype_to_descr(little), "fortran_order": False, "shape": shape})
            for block in blocks:
                left -= block.size
                out.write(block.astype(little, copy=False).tobytes())
        if left:
            raise ValueError(f"{name}: {left} values are missing of {shape}")


class Member:
    """An array that is read from its beginning to its end."""

    def __init__(self, name: str, data: IO[bytes], dtype: np.dtype[Any]) -> None:
        self._name, self._data, self._dtype = name, data, dtype

    def take(self, *shape: int) -> Array:
        """The next values, of this shape; who calls caps it. CorruptFileError where they end."""
        wanted = prod(shape) * self._dtype.itemsize
        parts: list[bytes] = []
        with _plain(self._name):
            while wanted:
                part = self._data.read(min(wanted, _PIECE))
                if not part:
                    raise EOFError
                parts.append(part)
                wanted -= len(part)
        return np.frombuffer(b"".join(parts), self._dtype).reshape(shape)


class NpzReader:
    """Reads a `.npz` of known arrays.

    Raises CorruptFileError for whatever is not as expected.
    """

    def __init__(self, path: Path) -> None:
        self._name = str(path)
        self._stack = ExitStack()
        try:
            file = self._stack.enter_context(_Bounded(io.FileIO(path)))
            with _plain(self._name):
                self._zip = self._stack.enter_context(zipfile.ZipFile(file))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> NpzReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    def __contains__(self, name: str) -> bool:
        return f"{name}.npy" in self._zip.NameToInfo

    def list_of(self, name: str, dtype: str, most: int) -> Array:
        """A whole one-dimensional array of at most `most` values."""
        shape, _ = self._head(name, dtype)
        if len(shape) != 1 or not 0 <= shape[0] <= most:
            raise _bad(f"{self._name}: {name} has shape {list(shape)}, not up to {most} values")
        return self.open(name, dtype, shape).take(*shape)

    def open(self, name: str, dtype: str, shape: Shape) -> Member:
        """An array of exactly this type and shape, to be read in pieces."""
        found, data = self._head(name, dtype)
        if found != shape:
            raise _bad(f"{self._name}: {name} has shape {list(found)} where {list(shape)} is due")
        return Member(f"{self._name}: {name}", data, np.dtype(dtype))

    def _head(self, name: str, dtype: str) -> tuple[Shape, IO[bytes]]:
        """Shape of an array, and the stream that stands at its first value."""
        label = f"{self._name}: {name}"
        if name not in self:
            raise _bad(f"{label} is missing")
        entry = self._zip.getinfo(f"{name}.npy")
        if entry.compress_type not in _METHODS:
            raise _bad(f"{label} is packed in an unusual way")
        with _plain(label):
            data = self._stack.enter_context(self._zip.open(entry))
            if npy.read_magic(data) != (1, 0):
                raise ValueError
            shape, fortran, found = npy.read_array_header_1_0(data, max_header_size=_HEADER)
        if fortran or found != np.dtype(dtype):
            raise _bad(f"{label} is {found}{' in Fortran order' * fortran}, not {np.dtype(dtype)} "
                       "in C order")
        return shape, data


class _Bounded(io.BufferedReader):
    """Refuses long reads: zipfile takes a file's whole directory at once, at its word."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            here = self.tell()
            size = self.seek(0, os.SEEK_END) - here
            self.seek(here)
        if size > _PIECE:
            raise zipfile.BadZipFile
        return super().read(size)


@contextmanager
def _plain(name: str) -> Iterator[None]:
    """Turn what zipfile and numpy say of forged bytes into CorruptFileError."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, SyntaxError, TypeError,
            OverflowError, NotImplementedError, RuntimeError, RecursionError, KeyError,
            tokenize.TokenError) as error:
        raise _bad(f"{name}: no whole npz data") from error


def _bad(problem: str) -> CorruptFileError:
    return CorruptFileError(problem, "make the file with nvcodec tokens, change values only")
