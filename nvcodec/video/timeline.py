"""Timestamps as files have them -> timestamps that strictly increase."""

from __future__ import annotations

import logging

__all__ = ["Timeline"]

log = logging.getLogger("nvcodec.video")


class Timeline:
    """Keeps good timestamps exactly, rebuilds missing ones, repairs those that run backwards.

    - A missing timestamp becomes the previous one plus the frame's duration.
    - One that does not advance is moved one tick past the previous frame; later good ones stay as
      they are.
    - A jump back of more than ten frames is a discontinuity (spliced or looped streams): from there
      on the source's timestamps are shifted so that time goes on by one frame.

    Each kind of repair is logged once.

    Args:
        nominal: usual duration of a frame, in ticks, at least 1.
        name: of the file, for the log.
    """

    def __init__(self, nominal: int, name: str) -> None:
        self.nominal = max(1, nominal)
        self._name = name
        self._last: int | None = None
        self._step = self.nominal
        self._shift = 0
        self._said: set[str] = set()

    def place(self, pts: int | None, duration: int) -> int:
        """Return the frame's timestamp in ticks, greater than that of the frame before.

        Args:
            pts: as decoded, or None.
            duration: as decoded, in ticks; 0 if unknown.
        """
        last = self._last
        if pts is None:
            fixed = 0 if last is None else last + self._step
            if last is not None:
                self._say("missing timestamps were rebuilt from frame durations")
        else:
            fixed = pts + self._shift
            if last is not None and fixed <= last:
                fixed = self._advance(fixed, last)
        self._last = fixed
        self._step = duration if duration > 0 else self.nominal
        return fixed

    def _advance(self, pts: int, last: int) -> int:
        if last - pts > 10 * self.nominal:
            self._say("timestamps jump back: time was made to go on from there")
            self._shift += last + self._step - pts
            return last + self._step
        self._say("timestamps that do not increase were moved on by one tick")
        return last + 1

    def _say(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            log.warning("%s: %s", self._name, what)
