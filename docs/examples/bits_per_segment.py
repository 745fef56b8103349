"""Where a file's bits go: a table of its segments, from the index alone (no torch, no decoding).

    python bits_per_segment.py FILE.mvt
"""

from __future__ import annotations

import sys

import nvcodec

BAR = 40


def main(source: str) -> None:
    """Print a row for each segment and what the file takes beside them."""
    with nvcodec.open(source) as video:
        most = max(s.bpp for s in video.segments)
        print(f"{'start s':>9} {'frames':>6} {'qp':>3} {'bytes':>9} {'bits/token':>10} {'bpp':>8}")
        for s in video.segments:
            bar = "#" * round(BAR * s.bpp / most)
            print(f"{s.start:9.3f} {s.frames:6} {s.qp:3} {s.bytes:9} {s.bits_per_token:10.3f} "
                  f"{s.bpp:8.5f} {bar}")
        rest = video.file_bytes - sum(s.bytes for s in video.segments)
        print(f"{video.bpp:.5f} bpp in all; {rest} of {video.file_bytes} bytes are header, index, "
              "metadata and audio")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
