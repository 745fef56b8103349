"""Sharing the segments of one source out, to be coded in several places at once.

Segments are closed, and one begins with each block of frames whatever the pictures are, so that
parts coded anywhere make the file that one encode makes, as long as no wished rate steers qp from
segment to segment.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from nvcodec.codec.options import EncodeOptions
from nvcodec.codec.plain import plain_errors
from nvcodec.errors import InputError
from nvcodec.segments import BLOCK
from nvcodec.video.reader import open_video


@dataclass(frozen=True)
class Part:
    """Blocks first .. first + count - 1 of a source, of BLOCK * keyint frames each; None goes to
    its end."""

    first: int
    count: int | None


def plan_parts(frames: int | None, keyint: int, most: int) -> list[Part]:
    """Share a source out into at most `most` parts.

    The last part has no end: a container's count of frames is no promise, and where there is none
    (None) the whole is one part.
    """
    blocks = -(-(frames or 1) // (BLOCK * keyint))
    count = max(1, min(most, blocks))
    starts = [blocks * i // count for i in range(count)]
    return [*(Part(a, b - a) for a, b in pairwise(starts)), Part(starts[-1], None)]


def expected_frames(source: str, options: EncodeOptions) -> int | None:
    """Frames that will be coded as far as the container says.

    Raises InputError where the source cannot be opened.
    """
    with plain_errors(source, InputError), open_video(source) as video:
        return video.info.frames_within(options.start, options.duration)
