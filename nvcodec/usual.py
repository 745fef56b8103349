"""What segments usually take at each qp: where a search for a rate begins, and along which line.

Sizes hardly move at one end of the scale and fall fast at the other, and a first frame takes about
as much at either. That is much the same on all sources, which differ by a factor.
"""

from __future__ import annotations

import numpy as np

#: Less than this below 0 is as good as nothing.
HAIR = 0.01
#: qp, and bits per pixel of a segment's first frame and of each after it (docs/rate-control.md).
#: Below 0 more pictures are coded than are shown, and sizes leap.
USUAL = ((-16.0, 0.176, 0.064), (-HAIR, 0.175, 0.050), (0.0, 0.174, 0.0384), (12.0, 0.172, 0.0371),
         (24.0, 0.167, 0.0346), (32.0, 0.163, 0.0314), (40.0, 0.155, 0.0252), (46.0, 0.148, 0.0166),
         (52.0, 0.141, 0.0087), (56.0, 0.136, 0.0048), (60.0, 0.130, 0.0026), (63.0, 0.128, 0.0019))


class Usual:
    """The line for segments of so many frames, one or more.

    Sizes are told in octaves: the logarithm of how much less than one bit per pixel they are.
    """

    def __init__(self, frames: float) -> None:
        self._qp, first, later = np.array(USUAL).T
        self._octaves = np.log2(frames / (first + (frames - 1) * later))

    def octaves(self, qp: float) -> float:
        """The size at a qp; beyond the scale's ends that of the end."""
        return float(np.interp(qp, self._qp, self._octaves))

    def qp(self, octaves: float) -> float:
        """The qp that takes a size; beyond what can be had the scale's end."""
        return float(np.interp(octaves, self._octaves, self._qp))
