"""A neural video codec: MAGVIT-v2 tokens in `.mvt` files.

    import nvcodec
    report = nvcodec.encode("in.mp4", "out.mvt", nvcodec.EncodeOptions(bpp=0.04))
    nvcodec.decode("out.mvt", "back.mp4")

    with nvcodec.open("out.mvt") as video:
        for frame in video.frames(start=2.0, duration=1.0):
            print(float(frame.pts * video.time_base), frame.rgb.shape)
        for grid in video.tokens():
            print(grid.number, grid.tokens.shape, grid.qp)

Importing this loads no network library; the first call that needs it does. Every error that a
user can meet is an `NvcodecError`. docs/python-api.md tells more.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nvcodec.errors import (
    CorruptFileError,
    InputError,
    NvcodecError,
    OutputError,
    UnsupportedFileError,
    UsageError,
)

if TYPE_CHECKING:
    from nvcodec.batch.run import BatchOptions, BatchReport, encode_folder
    from nvcodec.codec.compare import measure as compare
    from nvcodec.codec.decode import DecodeOptions, decode
    from nvcodec.codec.encode import encode
    from nvcodec.codec.events import DecodeReport, EncodeReport, Gap, Progress, TokensReport
    from nvcodec.codec.file import TokenGrid, VideoFile
    from nvcodec.codec.file import open_file as open
    from nvcodec.codec.inspect import SegmentInfo, inspect, verify
    from nvcodec.codec.options import EncodeOptions
    from nvcodec.codec.pictures import DecodedFrame
    from nvcodec.codec.tokens import export_tokens, import_tokens
    from nvcodec.models.factors import factorize, unfactorize
    from nvcodec.quality import Quality

__version__ = "0.1.0"

#: Public name -> its module, and its name there where that is another.
_LAZY = {
    "BatchOptions": "nvcodec.batch.run",
    "BatchReport": "nvcodec.batch.run",
    "DecodeOptions": "nvcodec.codec.decode",
    "DecodeReport": "nvcodec.codec.events",
    "DecodedFrame": "nvcodec.codec.pictures",
    "EncodeOptions": "nvcodec.codec.options",
    "EncodeReport": "nvcodec.codec.events",
    "Gap": "nvcodec.codec.events",
    "Progress": "nvcodec.codec.events",
    "Quality": "nvcodec.quality",
    "SegmentInfo": "nvcodec.codec.inspect",
    "TokenGrid": "nvcodec.codec.file",
    "TokensReport": "nvcodec.codec.events",
    "VideoFile": "nvcodec.codec.file",
    "compare": "nvcodec.codec.compare:measure",
    "decode": "nvcodec.codec.decode",
    "encode": "nvcodec.codec.encode",
    "encode_folder": "nvcodec.batch.run",
    "export_tokens": "nvcodec.codec.tokens",
    "factorize": "nvcodec.models.factors",
    "import_tokens": "nvcodec.codec.tokens",
    "inspect": "nvcodec.codec.inspect",
    "open": "nvcodec.codec.file:open_file",
    "unfactorize": "nvcodec.models.factors",
    "verify": "nvcodec.codec.inspect",
}

__all__ = [
    "BatchOptions", "BatchReport", "CorruptFileError", "DecodeOptions", "DecodeReport",
    "DecodedFrame", "EncodeOptions", "EncodeReport", "Gap", "InputError", "NvcodecError",
    "OutputError", "Progress", "Quality", "SegmentInfo", "TokenGrid", "TokensReport",
    "UnsupportedFileError", "UsageError", "VideoFile", "__version__", "compare", "decode", "encode",
    "encode_folder", "export_tokens", "factorize", "import_tokens", "inspect", "open",
    "unfactorize", "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'nvcodec' has no attribute {name!r}")
    module, _, inner = _LAZY[name].partition(":")
    return getattr(import_module(module), inner or name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
