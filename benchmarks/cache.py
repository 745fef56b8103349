"""Measured rows as JSON lines: appended one by one, kept across interruptions, found by their key.

A row's key is the SHA-256 of everything that decides its figures: the master's pixels, codec,
settings, rate point, versions, metric settings. A change of any of them measures anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

from nvcodec.errors import OutputError

Row = dict[str, Any]
SCHEMA = 1


def make_key(**parts: Any) -> str:
    """First 24 hex digits of the SHA-256 of the parts as canonical JSON."""
    text = json.dumps({"schema": SCHEMA, **parts}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:24]


class Cache:
    """Rows of one file. Safe across threads; a line that a crash cut off is passed over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._rows: dict[str, Row] = {}
        self._ragged = False
        if path.exists():
            self._read()

    def _read(self) -> None:
        text = self.path.read_text(errors="replace")
        self._ragged = bool(text) and not text.endswith("\n")
        for line in text.splitlines():
            try:
                row = json.loads(line)
                self._rows[row["key"]] = row
            except (ValueError, KeyError, TypeError):
                continue

    def get(self, key: str) -> Row | None:
        """The row, or None where it is still to be measured."""
        return self._rows.get(key)

    def newest(self) -> list[Row]:
        """Of each codec the rows of the version that was measured last, in the file's order."""
        last = {row["codec"]: row["version"] for row in self._rows.values()}
        return [row for row in self._rows.values() if row["version"] == last[row["codec"]]]

    def add(self, row: Row) -> None:
        """Append a row; it is on the disk when this returns. OutputError where it cannot be."""
        line = json.dumps(row, sort_keys=False) + "\n"
        with self._lock:
            try:
                with self.path.open("a") as file:
                    file.write("\n" + line if self._ragged else line)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise OutputError(f"{self.path}: {error.strerror}",
                                  "check the free space and permissions") from error
            self._ragged = False
            self._rows[row["key"]] = row

    def __len__(self) -> int:
        return len(self._rows)
