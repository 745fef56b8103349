"""What length costs: `python -m benchmarks.long CLIP --seconds 20,1800`.

CLIP is looped to each length at 640x360, coded and decoded by whole `nvcodec` processes, of which
peak memory, speed and processor use are taken. Of the longest file one second from its middle is
decoded too: it should read, and take, next to nothing of the whole.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

import nvcodec
from benchmarks import cli, machine, report
from benchmarks.ffmpeg import find_ffmpeg
from benchmarks.looped import make_looped
from benchmarks.master import HEIGHT, WIDTH
from benchmarks.process import Finished, Runner
from benchmarks.table import Table, number

NVCODEC = (sys.executable, "-m", "nvcodec")


def measure(runner: Runner, video: Path, seconds: float, more: list[str]) -> dict[str, Any]:
    """Code a video and decode it to mp4; the `.mvt` file stays beside it."""
    coded, back = video.with_suffix(".mvt"), video.with_name("back.mp4")
    there = runner.run([*NVCODEC, "encode", str(video), "-o", str(coded), "-f", "--json", *more])
    done = runner.run([*NVCODEC, "decode", str(coded), "-o", str(back), "-f", "--json"])
    facts = json.loads(there.stdout)
    return {"seconds": seconds, "frames": facts["frames"], "segments": facts["segments"],
            "file_bytes": facts["file_bytes"], "encode": _row(there, facts["frames"]),
            "decode": _row(done, facts["frames"])}


def seek(runner: Runner, row: dict[str, Any], coded: Path) -> dict[str, Any]:
    """Decode one second from the middle of a file that `measure` has decoded whole."""
    at = row["seconds"] / 2
    done = runner.run([*NVCODEC, "decode", str(coded), "-o", str(coded.with_name("part.mp4")),
                       "-f", "--json", "--start", str(at), "--duration", "1"])
    facts = json.loads(done.stdout)
    return {"start": at, "frames": facts["frames"], "bytes_read": facts["bytes_read"],
            "file_bytes": row["file_bytes"], "decode": _row(done, facts["frames"])}


def _row(done: Finished, frames: int) -> dict[str, Any]:
    return {"seconds": done.seconds, "fps": frames / done.seconds, "rss_mib": done.rss_mib,
            "cpu_share": done.cpu_seconds / done.seconds}


def make_table(rows: list[dict[str, Any]], part: dict[str, Any], notes: list[str]) -> Table:
    """Two rows for each length, and one for the part."""
    def cells(what: str, frames: int, r: dict[str, Any], size: int) -> list[str]:
        return [what, str(frames), number(r["seconds"], 1), number(r["fps"], 1),
                number(r["rss_mib"], 0), number(r["cpu_share"], 2), str(size)]

    body = [cells(f"{way} {r['seconds']:g} s", r["frames"], r[way], r["file_bytes"])
            for r in rows for way in ("encode", "decode")]
    body.append(cells(f"decode 1 s from {part['start']:g} s", part["frames"], part["decode"],
                      part["bytes_read"]))
    return Table("Length", ["what", "frames", "seconds", "fps", "peak MiB", "cores used",
                            "bytes written or read"], body, notes)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("clip", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--seconds", default="20,1800", show_default=True, help="Lengths, by comma.")
@click.option("--fps", type=click.FloatRange(0, min_open=True), help="Drop frames to this rate.")
@click.option("--size", nargs=2, type=click.IntRange(2), default=(WIDTH, HEIGHT),
              show_default=True, help="Width and height, even.")
@click.option("--qp", type=click.IntRange(0, 63), help="Default: the model's own.")
@click.option("--keyint", type=click.IntRange(1), default=nvcodec.EncodeOptions.keyint,
              show_default=True, help="Most frames in a segment: seeking reads whole ones.")
@click.option("--model", default="s", show_default=True, help="nvcodec's release.")
@click.option("--ffmpeg", help="Another ffmpeg than imageio-ffmpeg's.")
@click.option("-o", "--output", "out", type=click.Path(path_type=Path), help="JSON file to write.")
def command(clip: Path, seconds: str, fps: float | None, size: tuple[int, int], qp: int | None,
            keyint: int, model: str, ffmpeg: str | None, out: Path | None) -> None:
    """Memory, speed and seeking of CLIP looped to several lengths."""
    lengths, tool = cli.numbers("--seconds", seconds), find_ffmpeg(ffmpeg)
    more = ["--model", model, "--keyint", str(keyint)]
    if qp is not None:
        more += ["--qp", str(qp)]
    with cli.scratch() as folder, cli.stopping(Runner()) as runner:
        rows = []
        for length in tqdm(lengths, unit="length"):
            video = make_looped(runner, tool, clip, folder / "long.mp4", length, fps, size)
            rows.append(measure(runner, video, length, more))
        part = seek(runner, rows[-1], folder / "long.mvt")
    document = {"machine": machine.describe(), "clip": clip.stem, "rows": rows, "seek": part}
    if out:
        report.write(out, json.dumps(document, indent=1) + "\n")
    click.echo(make_table(rows, part, [f"{clip.stem}, looped, {size[0]}x{size[1]}.",
                                       f"{machine.one_line(machine.describe())}."]).markdown())


if __name__ == "__main__":
    cli.main(command)
