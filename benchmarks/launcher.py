"""Run one command; say how long it took and what processor time and memory. Standard library only.

    python launcher.py REPORT.json COMMAND ARGUMENTS...

A process of its own, because Linux counts the memory of the process that starts a program as the
program's own peak: started from here that is some 10 MiB, and not a whole torch.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

#: Unit of ru_maxrss: bytes on macOS, KiB elsewhere (getrusage(2)).
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
NOT_FOUND = 127


def main(arguments: list[str]) -> int:
    """Run `arguments[1:]`, write its cost to `arguments[0]`; the command's status."""
    start = time.perf_counter()
    try:
        code = subprocess.call(arguments[1:], stdin=subprocess.DEVNULL)
    except OSError as error:
        print(f"{arguments[1]}: {error.strerror}", file=sys.stderr)
        return NOT_FOUND
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(arguments[0], "w") as file:  # noqa: PTH123 - pathlib would double the start-up
        json.dump({"seconds": seconds, "cpu_seconds": used.ru_utime + used.ru_stime,
                   "rss_mib": used.ru_maxrss * RSS_UNIT / 2**20}, file)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
