"""A neural video codec: MAGVIT-v2 tokens in `.mvt` files.

    import nvcodec
    report = nvcodec.encode("in.mp4", "out.mvt", nvcodec.EncodeOptions(bpp=0.04))
    nvcodec.decode("out.mvt", "back.mp4")

Importing this loads no network library; the first call does.
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
    from nvcodec.codec.events import DecodeReport, EncodeReport, Progress
    from nvcodec.codec.inspect import inspect, verify
    from nvcodec.codec.options import EncodeOptions
    from nvcodec.quality import Quality

__version__ = "0.1.0"

_LAZY = {
    "encode": "nvcodec.codec.encode", "EncodeOptions": "nvcodec.codec.options",
    "decode": "nvcodec.codec.decode", "DecodeOptions": "nvcodec.codec.decode",
    "EncodeReport": "nvcodec.codec.events", "DecodeReport": "nvcodec.codec.events",
    "Progress": "nvcodec.codec.events",
    "encode_folder": "nvcodec.batch.run", "BatchOptions": "nvcodec.batch.run",
    "BatchReport": "nvcodec.batch.run",
    "inspect": "nvcodec.codec.inspect", "verify": "nvcodec.codec.inspect",
    "Quality": "nvcodec.quality",
}

__all__ = [
    "BatchOptions", "BatchReport", "CorruptFileError", "DecodeOptions", "DecodeReport",
    "EncodeOptions", "EncodeReport", "InputError", "NvcodecError", "OutputError", "Progress",
    "Quality", "UnsupportedFileError", "UsageError", "__version__", "compare", "decode", "encode",
    "encode_folder", "inspect", "verify",
]


def __getattr__(name: str) -> Any:
    if name == "compare":
        return import_module("nvcodec.codec.compare").measure
    if name not in _LAZY:
        raise AttributeError(f"module 'nvcodec' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
