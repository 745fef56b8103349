"""How this process's memory is handed out, for programs that are nvcodec's own."""

from __future__ import annotations

import ctypes
import sys

#: mallopt(3): sizes from which memory is given back to the system, and is asked of it, apart.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGE = 1 << 30


def keep_freed_memory() -> bool:
    """Have the C library use freed memory again instead of giving large pieces back.

    A network's tensors come and go by tens of megabytes, and the system fills each new page with
    zeros: this made encoding a fifth slower and decoding a third. For the whole process, so
    commands and workers call it and the library does not. Returns whether it was possible (glibc).
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has none
        return False
    return bool(set_option(M_MMAP_THRESHOLD, LARGE) and set_option(M_TRIM_THRESHOLD, LARGE))
