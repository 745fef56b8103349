"""Decode a part of a video into one array, with the time of each frame.

    python frames_to_numpy.py FILE.mvt OUT.npz [--start S] [--duration S] [--every N]
"""

from __future__ import annotations

import argparse

import numpy as np

import nvcodec


def main() -> None:
    """Write `frames` uint8 [N, height, width, 3] and `seconds` float64 [N]."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("out")
    parser.add_argument("--start", type=float, default=0.0)
    parser.add_argument("--duration", type=float)
    parser.add_argument("--every", type=int, default=1)
    args = parser.parse_args()
    frames, seconds = [], []
    with nvcodec.open(args.source) as video:
        for number, frame in enumerate(video.frames(args.start, args.duration)):
            if number % args.every == 0:
                frames.append(frame.rgb.copy())  # its neighbours' memory can go
                seconds.append(float(frame.pts * video.time_base))
        read, size = video.bytes_read, video.file_bytes
    if not frames:
        raise SystemExit(f"{args.source} has no frame at {args.start} s; ask for an earlier start")
    np.savez(args.out, frames=np.stack(frames), seconds=np.array(seconds))
    print(f"{args.out}: {len(frames)} frames from {seconds[0]:.3f} to {seconds[-1]:.3f} s; "
          f"{read} of {size} bytes were read")


if __name__ == "__main__":
    main()
