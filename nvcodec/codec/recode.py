"""The tokens of a file, and what each coder would make of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bitstream
from nvcodec.codec.coders import CODERS, coder_of, default_coder
from nvcodec.codec.events import Listener, Progress, ignore
from nvcodec.codec.file import open_file
from nvcodec.codec.plain import plain_errors
from nvcodec.models import registry


def read_grids(path: str | Path) -> Iterator[tuple[NDArray[np.uint32], int]]:
    """Tokens [T', H', W'] and qp of each segment of a file.

    Raises CorruptFileError, UnsupportedFileError.
    """
    with open_file(path) as video:
        for grid in video.tokens():
            yield grid.tokens, grid.qp


def coder_sizes(path: str | Path, listen: Listener = ignore) -> dict[str, Any]:
    """Bytes of a file's token payloads under every coder that its model has.

    Returns the number of tokens, source pixels and, under "bytes", the size by coder name. Raises
    CorruptFileError, UnsupportedFileError.
    """
    with plain_errors(str(path)), bitstream.Reader(path) as reader:
        header, frames, segments = reader.header, reader.frames, len(reader.segments)
        release = registry.find_by_hash(header.model, header.model_sha256)
    names = list(CODERS)[:1 + list(CODERS).index(default_coder(release))]
    coders = {name: coder_of(release, name) for name in names}
    sizes, tokens = dict.fromkeys(names, 0), 0
    for i, (grid, qp) in enumerate(read_grids(path)):
        tokens += grid.size
        for name, coder in coders.items():
            sizes[name] += len(coder.encode(grid, qp))
        listen(Progress(i + 1, segments, None, "recode"))
    return {"file": str(path), "tokens": tokens,
            "pixels": frames * header.width * header.height, "bytes": sizes}
