"""The paper's compression table on MCL-JCV: `python -m benchmarks.mcl_jcv --data DIR -o OUT_DIR`.

MCL-JCV (H. Wang et al., "MCL-JCV: a JND-based H.264/AVC video quality assessment dataset", ICIP
2016) has 30 videos of 1920x1080, five seconds each. Any subset of them is taken, as raw
`videoSRC01_1920x1080_30.yuv` or as mp4, mkv, mov, avi or y4m under such names.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from benchmarks import cli
from benchmarks.run import execute
from nvcodec.errors import InputError

VIDEOS = 30
NAME = re.compile(r"videoSRC(\d\d)(?:_.*)?\.(yuv|mp4|mkv|mov|avi|y4m)$", re.IGNORECASE)


def find_videos(folder: Path) -> dict[int, Path]:
    """Number 1..30 -> file, below `folder` at any depth; the first by name where there are two."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder", "name the one that holds videoSRC01 .. 30")
    found: dict[int, Path] = {}
    for path in sorted(folder.rglob("*")):
        match = NAME.match(path.name)
        if match and 1 <= int(match[1]) <= VIDEOS:
            found.setdefault(int(match[1]), path)
    if not found:
        raise InputError(f"{folder}: holds no file called videoSRC01 .. videoSRC30",
                         "keep the data set's own names")
    return dict(sorted(found.items()))


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--data", type=click.Path(path_type=Path), required=True,
              help="Folder with the videos.")
@cli.options
def command(data: Path, **given: Any) -> int:
    """Measure all codecs on MCL-JCV at 640x360, whole videos, and write the report."""
    videos = find_videos(data)
    missing = [f"{n:02d}" for n in range(1, VIDEOS + 1) if n not in videos]
    title = f"nvcodec on MCL-JCV at 640x360, {len(videos)} of {VIDEOS} videos"
    if missing:
        title += f" (without {', '.join(missing)})"
        click.echo(f"missing: videoSRC {', '.join(missing)}", err=True)
    return execute(list(videos.values()), cli.Options(**given), frames=0, title=title)


def main() -> None:
    """Entry point."""
    cli.main(command)


if __name__ == "__main__":
    main()
