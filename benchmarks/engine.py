"""Does the plan: codes, decodes and measures each point, keeps every row, survives a stop."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks import machine, stills
from benchmarks.cache import Cache, Row
from benchmarks.clips import Clip
from benchmarks.codecs.base import Codec
from benchmarks.master import HEIGHT, WIDTH, Master, make_master
from benchmarks.metrics import RGB, Metrics
from benchmarks.plan import Planner, Task
from benchmarks.process import Finished, Runner, Stopped
from nvcodec.errors import NvcodecError

#: Seconds between two lines of progress where stderr is no terminal.
QUIET_INTERVAL = 30.0


@dataclass(frozen=True)
class Folders:
    """Where things lie: `out` is the report, `work` can be deleted at any time."""

    out: Path
    work: Path

    @property
    def masters(self) -> Path:
        """Lossless clips."""
        return self.work / "masters"

    @property
    def streams(self) -> Path:
        """Coded files."""
        return self.work / "streams"

    @property
    def stills(self) -> Path:
        """Crops for the page."""
        return self.work / "stills"

    def make(self) -> None:
        """Create them all."""
        for folder in (self.out, self.work, self.masters, self.streams, self.stills):
            folder.mkdir(parents=True, exist_ok=True)
        # Masters are large and their licences are their owners': git shall not see them.
        (self.work / ".gitignore").write_text("*\n")


@dataclass
class Outcome:
    """What came out: rows of this plan, the masters behind them, and what failed, as one-liners."""

    rows: list[Row] = field(default_factory=list)
    masters: dict[str, Master] = field(default_factory=dict)
    clips: dict[str, Clip] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


class Engine:
    """Runs a plan over clips."""

    def __init__(self, folders: Folders, planner: Planner, metrics: Metrics, runner: Runner,
                 cache: Cache, jobs: int = 1, timed: bool = True) -> None:
        self.folders, self.planner, self.metrics = folders, planner, metrics
        self.runner, self.cache, self.jobs, self.timed = runner, cache, jobs, timed
        self.outcome = Outcome()

    def run(self, clips: Sequence[Clip], ffmpeg: str, frames: int) -> Outcome:
        """Measure all that is not in the cache. KeyboardInterrupt leaves what is done in it."""
        bar = tqdm(total=self.planner.size_per_clip * len(clips), unit="point", file=sys.stderr,
                   dynamic_ncols=True, smoothing=0.1,
                   mininterval=0.2 if sys.stderr.isatty() else QUIET_INTERVAL)
        with bar, ThreadPoolExecutor(self.jobs) as pool:
            try:
                for clip in clips:
                    bar.set_postfix_str(f"{clip.name}: master")
                    self._prepare(clip, ffmpeg, frames, bar)
                self._do(pool, bar, [t for name, master in self.outcome.masters.items()
                                     for t in self.planner.base(name, master)])
                self._do(pool, bar, self._matched(bar))
            except BaseException:
                self.runner.stop()
                pool.shutdown(cancel_futures=True)
                raise
        return self.outcome

    def _prepare(self, clip: Clip, ffmpeg: str, frames: int, bar: tqdm[Any]) -> None:
        try:
            master = make_master(self.runner, ffmpeg, clip, self.folders.masters, frames)
        except NvcodecError as error:
            self._failed(bar, str(error))
            bar.total -= self.planner.size_per_clip
            return
        if clip.width < WIDTH or clip.height < HEIGHT:
            bar.write(f"{clip.name}: {clip.width}x{clip.height} is scaled up to {WIDTH}x{HEIGHT}",
                      file=sys.stderr)
        self.outcome.masters[clip.name] = master
        self.outcome.clips[clip.name] = clip

    def _matched(self, bar: tqdm[Any]) -> list[Task]:
        """The points at the shown rate; those that need none leave the total."""
        tasks = []
        for name, master in self.outcome.masters.items():
            for codec in self.planner.codecs:
                rows = [r for r in self.outcome.rows
                        if r["clip"] == name and r["codec"] == codec.name]
                task = self.planner.matched(name, master, codec, rows)
                tasks += [task] if task else []
        bar.total = bar.n + len(tasks)
        return tasks

    def _do(self, pool: ThreadPoolExecutor, bar: tqdm[Any], tasks: Sequence[Task]) -> None:
        todo: list[Task] = []
        for task in tasks:
            row = self.cache.get(task.key)
            if row is None:
                todo.append(task)
            else:
                self.outcome.rows.append({**row, "clip": task.clip})
                # Rows that were there already shall not make the estimate of the rest too good.
                bar.initial += 1
                bar.n += 1
        bar.refresh()
        waiting: dict[Future[Row], Task] = {}
        queue = iter(todo)
        while True:
            for task in islice(queue, self.jobs - len(waiting)):
                bar.set_postfix_str(f"{task.clip} {task.codec.name} {task.point}")
                waiting[pool.submit(self._measure, task)] = task
            if not waiting:
                return
            # A timeout, for Ctrl-C is not seen inside an endless wait on every system.
            done, _ = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in done:
                self._collect(future, waiting.pop(future), bar)

    def _collect(self, future: Future[Row], task: Task, bar: tqdm[Any]) -> None:
        try:
            row = future.result()
        except NvcodecError as error:
            self._failed(bar, f"{task.clip} {task.codec.name} {task.point}: {error}")
        else:
            self.cache.add(row)
            self.outcome.rows.append(row)
        bar.update()

    def _failed(self, bar: tqdm[Any], message: str) -> None:
        self.outcome.failures.append(message)
        bar.write(f"failed: {message}", file=sys.stderr)

    def _measure(self, task: Task) -> Row:
        """Code, decode, measure: one row. The coded file stays, the decode goes."""
        codec, master = task.codec, task.master
        stream = self.folders.streams / f"{task.key}{codec.suffix}"
        decoded = self.folders.work / f"{task.key}.mkv"
        wanted = set(stills.chosen_frames(master.frames))

        def watch(index: int, source: RGB, other: RGB) -> None:
            if index in wanted:
                owner = stills.source_owner(master.pixels_sha256)
                stills.keep(self.folders.stills, owner, index, source)
                stills.keep(self.folders.stills, task.key, index, other)

        try:
            env = codec.environment()
            argv = codec.encode_argv(master.path, stream, task.point)
            coded = self.runner.write(argv, stream, env)
            back = self.runner.run(codec.decode_argv(stream, decoded), env)
            figures = self.metrics.measure(master.path, decoded, watch)
        finally:
            decoded.unlink(missing_ok=True)
        size = stream.stat().st_size
        return {
            "key": task.key, **self._identity(task), "bytes": size,
            "bpp": 8 * size / (master.frames * WIDTH * HEIGHT), **figures,
            **self._seconds("encode", codec, coded), **self._seconds("decode", codec, back),
            "encode_rss_mib": round(coded.rss_mib, 1), "decode_rss_mib": round(back.rss_mib, 1),
            "jobs": self.jobs, "processor": machine.describe()["processor"],
        }

    def _seconds(self, verb: str, codec: Codec, done: Finished) -> Row:
        """Of the whole process, and without start-up; none on a machine that is busy otherwise."""
        if not self.timed:
            return {f"{verb}_seconds": None, f"{verb}_inner_seconds": None}
        return {f"{verb}_seconds": done.seconds,
                f"{verb}_inner_seconds": codec.inner_seconds(done.stdout)}

    def _identity(self, task: Task) -> Row:
        """What a row is about; commands with the names of files only."""
        codec, master = task.codec, task.master
        clip = self.outcome.clips[task.clip]
        stream = Path(f"{task.clip}-{task.point}{codec.suffix}")
        return {
            "clip": task.clip, "clip_sha256": clip.sha256,
            "source_width": clip.width, "source_height": clip.height,
            "frames": master.frames, "fps": round(float(Fraction(master.fps)), 4),
            "width": WIDTH, "height": HEIGHT, "master_pixels": master.pixels_sha256[:24],
            "codec": codec.name, "scale": codec.scale, "point": task.point,
            "version": self.planner.versions[codec.name], "settings": codec.settings,
            "metrics": self.planner.metrics,
            "encode_command": _short(codec.encode_argv(Path("master.mkv"), stream, task.point)),
            "decode_command": _short(codec.decode_argv(stream, Path("decoded.mkv"))),
        }


def _short(argv: list[str]) -> list[str]:
    """A command whose program is named without its folder."""
    name = Path(argv[0]).name
    return ["ffmpeg" if "ffmpeg" in name else "python" if "python" in name else name, *argv[1:]]


__all__ = ["Engine", "Folders", "Outcome", "Stopped"]
