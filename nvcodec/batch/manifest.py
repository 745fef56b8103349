"""What a batch has done, as JSON in its output folder; written whole after every change."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from nvcodec.errors import OutputError
from nvcodec.video.atomic import atomic_output, remove_leftovers

try:
    import fcntl
except ImportError:  # Windows: two batches into one folder are not kept apart there
    fcntl = None  # type: ignore[assignment]

NAME = "nvcodec-batch.json"
LOCK = ".nvcodec-batch.lock"
VERSION = 1
#: Far above what a million files take.
MAX_BYTES = 1 << 30
Entry = dict[str, Any]


class Manifest:
    """Entries by source, relative to the input folder; see docs/batch.md for their fields.

    A context manager that holds the folder's lock: one batch at a time writes into a folder.

    Raises:
        OutputError: the folder cannot be made or written, another batch is at work in it, or the
            manifest there is not one.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be written ({error.strerror})",
                              "name another folder, or check its permissions") from error
        try:
            self._take_lock(folder)
            self.files: dict[str, Entry] = self._read()
        except BaseException:
            os.close(self._lock)
            raise

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        os.close(self._lock)

    def _take_lock(self, folder: Path) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutputError(f"{folder}: another batch writes there",
                              "wait for it, or name another folder") from error
        remove_leftovers(self.path)  # of a batch that was killed as it wrote its manifest

    def _read(self) -> dict[str, Entry]:
        if not self.path.exists():
            return {}
        remedy = "delete it to begin anew, or name another output folder"
        try:
            if self.path.stat().st_size > MAX_BYTES:
                raise OutputError(f"{self.path}: too large for a manifest", remedy)
            data = json.loads(self.path.read_bytes())
            version, files = data["version"], data["files"]
            if not all(isinstance(e, dict) for e in files.values()):
                raise TypeError("entries are not objects")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise OutputError(f"{self.path}: not a manifest of a batch ({error})",
                              remedy) from error
        if version != VERSION:
            raise OutputError(f"{self.path}: has version {version}, this is {VERSION}", remedy)
        return dict(files)

    def put(self, source: str, entry: Entry) -> None:
        """Replace a source's entry and write the manifest."""
        self.files[source] = entry
        self.save()

    def save(self) -> None:
        """Write the manifest; readers see the old one or the new one, never a part."""
        data = {"version": VERSION, "files": dict(sorted(self.files.items()))}
        with atomic_output(self.path, force=True) as path:
            path.write_text(json.dumps(data, indent=1) + "\n")
