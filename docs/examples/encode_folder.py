"""Encode every video of a folder; a file that fails is named, and the others go on.

    python encode_folder.py VIDEOS OUT [--bpp 0.03]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import nvcodec

VIDEOS = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".y4m"}


def main() -> int:
    """Returns the number of failures, as the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--bpp", type=float, help="default: the model's default quality")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    options = nvcodec.EncodeOptions(bpp=args.bpp, force=True)
    failures = 0
    for source in sorted(p for p in args.folder.iterdir() if p.suffix.lower() in VIDEOS):
        target = args.out / f"{source.stem}.mvt"
        try:
            report = nvcodec.encode(source, target, options)
        except nvcodec.NvcodecError as error:
            print(error, file=sys.stderr)
            failures += 1
            continue
        saved = 1 - report.file_bytes / source.stat().st_size
        print(f"{target.name}: {report.frames} frames, {report.bpp:.4f} bpp, "
              f"{report.file_bytes} bytes ({saved:.0%} less than {source.name})")
        for warning in report.warnings:
            print(f"  {warning}")
    return failures


if __name__ == "__main__":
    sys.exit(main())
