"""One picture to look at: `python -m benchmarks.contact REPORT_DIR -o sheet.jpg`.

A row for each clip of a report: the source's middle frame and what each codec made of it at the
point nearest to one rate, centre crops at twice their size.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmarks import cli, html
from benchmarks.cache import Cache
from benchmarks.codecs import NAMES
from benchmarks.summary import gather
from nvcodec.errors import OutputError, UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

#: Part of a kept crop that is shown, in pixels, and the height of a line of text below it.
CROP, ZOOM, TEXT = (160, 120), 2, 26
QUALITY = 82


def scenes_of(folder: Path, work: Path, bpp: float) -> list[html.Scene]:
    """The middle scene of each clip; UsageError where the report or its crops are gone."""
    path = folder / "results.jsonl"
    if not path.is_file():
        raise UsageError(f"{path}: no such file", "name the output folder of benchmarks.run")
    rows = Cache(path).newest()
    results = gather(rows, list(dict.fromkeys(r["clip"] for r in rows)), NAMES)
    scenes = html.page_scenes(results, work / "stills", bpp)
    if not scenes:
        raise UsageError(f"{work}: no clip has the crops of every codec",
                         "measure again with -o, or name the work folder with --work")
    by_clip: dict[str, list[html.Scene]] = {}
    for scene in scenes:
        by_clip.setdefault(scene["clip"], []).append(scene)
    return [found[len(found) // 2] for found in by_clip.values()]


def draw(scenes: list[html.Scene]) -> Image:
    """The sheet."""
    from PIL import Image, ImageDraw

    width, height = (ZOOM * side for side in CROP)
    columns = max(len(s["pictures"]) for s in scenes)
    sheet = Image.new("RGB", (columns * width, len(scenes) * (height + TEXT)), "white")
    pen = ImageDraw.Draw(sheet)
    for row, scene in enumerate(scenes):
        for column, picture in enumerate(scene["pictures"]):
            at = (column * width, row * (height + TEXT))
            with Image.open(picture["path"]) as still:
                sheet.paste(_crop(still), at)
            what = picture["note"] or f"{scene['clip']}, frame {scene['frame']}"
            pen.text((at[0] + 2, at[1] + height), f"{picture['label']}\n{what}", fill="black",
                     spacing=0)
    return sheet


def _crop(still: Image) -> Image:
    left, top = (still.width - CROP[0]) // 2, (still.height - CROP[1]) // 2
    box = (left, top, left + CROP[0], top + CROP[1])
    return still.convert("RGB").crop(box).resize((ZOOM * CROP[0], ZOOM * CROP[1]))


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--output", "out", type=click.Path(path_type=Path), required=True,
              help="Picture to write: .jpg or .png.")
@click.option("--bpp", default=0.02, show_default=True, help="Rate to show.")
@click.option("--work", type=click.Path(exists=True, path_type=Path),
              help="The report's work folder.  [default: FOLDER/work]")
def command(folder: Path, out: Path, bpp: float, work: Path | None) -> None:
    """Contact sheet of the report in FOLDER."""
    sheet = draw(scenes_of(folder, work or folder / "work", bpp))
    try:
        sheet.save(out, quality=QUALITY)
    except (OSError, ValueError) as error:
        raise OutputError(f"{out}: cannot be written ({error})",
                          "name a .jpg or .png in a folder that exists") from error
    click.echo(f"{out}: {sheet.width}x{sheet.height}")


if __name__ == "__main__":
    cli.main(command)
