"""Two rates of one clip beside each other: size, quality, speed.

    python compare_rates.py CLIP 0.015 0.03
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nvcodec


def main(clip: str, *rates: str) -> None:
    """Encode at each rate and print what came of it; LPIPS where its weights are at hand."""
    print(f"{'asked bpp':>9} {'bpp':>8} {'bytes':>9} {'qp':>7} {'PSNR':>6} {'MS-SSIM':>8} "
          f"{'LPIPS':>6} {'enc fps':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for rate in rates:
            target = Path(folder) / f"{rate}.mvt"
            made = nvcodec.encode(clip, target, nvcodec.EncodeOptions(bpp=float(rate)))
            found = nvcodec.compare(clip, target)
            lpips = "-" if found["lpips"] is None else f"{found['lpips']:.3f}"
            msssim = "-" if found["msssim"] is None else f"{found['msssim']:.4f}"
            print(f"{float(rate):9.4f} {made.bpp:8.4f} {made.file_bytes:9} "
                  f"{min(made.qp):3}-{max(made.qp):<3} {found['psnr']:6.2f} {msssim:>8} "
                  f"{lpips:>6} {made.fps:8.1f}")
            for warning in made.warnings:
                print(f"  {warning}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
