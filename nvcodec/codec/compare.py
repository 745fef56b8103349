"""What `nvcodec compare` measures: a decode, or a `.mvt` file that is decoded on the way."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import bitstream
from nvcodec.codec.events import Listener, Progress, ignore
from nvcodec.codec.file import open_file
from nvcodec.codec.plain import plain_errors
from nvcodec.errors import UsageError
from nvcodec.quality import RGB, Meter, side_by_side, zip_frames
from nvcodec.video.reader import open_video
from nvcodec.video.stills import write_png


def measure(source: str | Path, decoded: str | Path, every: int = 1,
            lpips_weights: Path | None = None, listen: Listener = ignore) -> dict[str, Any]:
    """Quality of `decoded` (a video, or a `.mvt` file with its bpp) against `source`."""
    result: dict[str, Any] = {"source": str(source), "decoded": str(decoded)}
    with plain_errors(str(decoded)):
        meter = Meter(weights=lpips_weights)
        pairs = zip_frames(frames_of(source), frames_of(decoded))
        for i, (x, y) in enumerate(pairs):
            if i % every == 0:
                meter.add(x, y)
            listen(Progress(i + 1, None, None, "compare"))
        result |= meter.result().as_dict()
        if is_mvt(decoded):
            with bitstream.Reader(decoded) as reader:
                result["bpp"] = reader.bpp
    return result


def is_mvt(path: str | Path) -> bool:
    """By its extension."""
    return Path(path).suffix.lower() == ".mvt"


def frames_of(path: str | Path) -> Iterator[RGB]:
    """RGB frames uint8 [H, W, 3] of a video or a `.mvt` file."""
    if is_mvt(path):
        with open_file(path) as video:
            yield from (f.rgb for f in video.frames())
    else:
        with open_video(path) as video:
            yield from (f.rgb for f in video.frames())


def write_pair(source: str | Path, decoded: str | Path, png: Path, force: bool = False,
               frame: int = 24) -> None:
    """Frame `frame` (or the last, if there are fewer) of both, side by side."""
    with plain_errors(str(decoded)):
        pairs = list(islice(zip(frames_of(source), frames_of(decoded), strict=False), frame + 1))
    if not pairs:
        raise UsageError("there are no frames to show", "give videos with frames")
    write_png(png, side_by_side(pairs[-1]), force)
