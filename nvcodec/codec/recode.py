"""The same tokens under other coders: what each of them would make of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bitstream
from nvcodec.codec.coders import CODERS, coder_for, coder_of, default_coder
from nvcodec.codec.events import Listener, Progress, ignore
from nvcodec.codec.plain import plain_errors
from nvcodec.models import registry


def coder_sizes(path: str | Path, listen: Listener = ignore) -> dict[str, Any]:
    """Bytes of a file's token payloads under every coder that its model has.

    Returns the number of tokens, source pixels and, under "bytes", the size by coder name. Raises
    CorruptFileError, UnsupportedFileError.
    """
    with plain_errors(str(path)), bitstream.Reader(path) as reader:
        header = reader.header
        release = registry.find_by_hash(header.model, header.model_sha256)
        source = coder_for(header)
        names = list(CODERS)[:1 + list(CODERS).index(default_coder(release))]
        coders = {name: coder_of(release, name) for name in names}
        sizes, tokens = dict.fromkeys(names, 0), 0
        for i, segment in enumerate(reader.iter_segments()):
            shape = header.token_shape(segment.frame_count)
            grid = source.decode(segment.payload, shape, segment.qp)
            tokens += grid.size
            for name, coder in coders.items():
                sizes[name] += len(coder.encode(grid, segment.qp))
            listen(Progress(i + 1, len(reader.segments), None, "recode"))
        return {"file": str(path), "tokens": tokens,
                "pixels": reader.frames * header.width * header.height, "bytes": sizes}
