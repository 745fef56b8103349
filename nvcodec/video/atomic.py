"""Write beside the target, rename when whole: the final name never shows half a file."""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from nvcodec.errors import OutputError

__all__ = ["AtomicFile", "atomic_output", "remove_leftovers"]


class AtomicFile:
    """A target path and the temporary file that stands in for it until `commit`.

    Attributes:
        target: where the file will be.
        path: where to write now: a hidden file in the same folder, or the target itself when that
            is a device or a named pipe, which cannot be renamed over.

    Raises:
        OutputError: the target exists and `force` is off, is a folder, or its folder cannot
            be written.
    """

    def __init__(self, target: str | os.PathLike[str], force: bool = False) -> None:
        self.target = Path(target)
        self.force = force
        self._direct = self.target.exists() and not (self.target.is_file() or self.target.is_dir())
        self._check()
        name = f".{self.target.name}.{secrets.token_hex(4)}.part"
        self.path = self.target if self._direct else self.target.with_name(name)

    def _check(self) -> None:
        folder = self.target.parent
        if self._direct:
            return
        if self.target.is_dir():
            raise OutputError(f"{self.target}: is a folder", "name a file to write")
        if not folder.is_dir():
            raise OutputError(f"{folder}: no such folder", "create it first, or write elsewhere")
        if self.target.exists() and not self.force:
            raise OutputError(f"{self.target}: exists already", "use -f (force) to replace it")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OutputError(f"{folder}: cannot be written", "check its permissions")

    def commit(self) -> None:
        """Give the finished file its final name, replacing an older one only if `force` is on."""
        if self._direct:
            return
        try:
            if self.force:
                self.path.replace(self.target)
            else:
                self._rename_new()
        except OSError as error:
            self.abort()
            raise OutputError(f"{self.target}: {error.strerror}", "write elsewhere") from error

    def _rename_new(self) -> None:
        # link() fails where the name was taken while we wrote; rename() would silently replace it.
        try:
            os.link(self.path, self.target)
        except FileExistsError:
            self.abort()
            raise OutputError(
                f"{self.target}: appeared while it was being written", "use -f to replace it"
            ) from None
        except OSError:  # a file system without hard links
            self.path.replace(self.target)
        else:
            self.path.unlink()

    def abort(self) -> None:
        """Remove the temporary file, if there is one. The target is left as it was."""
        if not self._direct:
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()


@contextlib.contextmanager
def atomic_output(target: str | os.PathLike[str], force: bool = False) -> Iterator[Path]:
    """Yield a path to write to; rename it to `target` on success, remove it on any error.

    Args:
        target: the final path.
        force: replace an existing target; otherwise its existence is an error before anything is
            written.

    Raises:
        OutputError: see `AtomicFile`.
    """
    file = AtomicFile(target, force)
    try:
        yield file.path
    except BaseException:
        file.abort()
        raise
    file.commit()


def remove_leftovers(target: str | os.PathLike[str]) -> None:
    """Remove temporary files that writers of `target` left when they were killed.

    Only for a caller who knows that nobody is writing the target now.
    """
    target = Path(target)
    for path in target.parent.glob(f".{glob.escape(target.name)}.????????.part"):
        with contextlib.suppress(OSError):
            path.unlink()
