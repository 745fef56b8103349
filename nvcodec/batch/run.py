"""`encode_folder`: every video and picture below a folder, in several workers, with resume."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from nvcodec.batch.files import clashes, find_files, name_targets
from nvcodec.batch.local import LocalEngine
from nvcodec.batch.manifest import Entry, Manifest
from nvcodec.batch.work import Engine, Job, Outcome
from nvcodec.codec.events import EncodeReport, Listener, Progress, ignore
from nvcodec.codec.options import EncodeOptions
from nvcodec.codec.plain import plain_errors
from nvcodec.errors import UsageError
from nvcodec.models import registry
from nvcodec.video.atomic import remove_leftovers

ENGINES = ("local", "ray")
#: Sources whose hash is taken before a worker is free for them.
HASHED_AHEAD = 4
HASH_BYTES = 1 << 20
#: Options that do not shape the file: another choice of them does not encode it again.
SHAPELESS = ("force", "verify", "device")


@dataclass(frozen=True)
class BatchOptions:
    """How a batch is worked on.

    Attributes:
        jobs: files at the same time; None is half as many as there are cores.
        engine: "local" (processes of this machine) or "ray".
        ray_address: of a running Ray cluster; None starts one on this machine.
    """

    jobs: int | None = None
    engine: str = "local"
    ray_address: str | None = None

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise UsageError(f"unknown engine {self.engine!r}", f"use one of {', '.join(ENGINES)}")
        if self.jobs is not None and not 1 <= self.jobs <= 4096:
            raise UsageError(f"{self.jobs} jobs are not in 1..4096", "one a core is many")
        if self.ray_address is not None and self.engine != "ray":
            raise UsageError("a Ray address was given without the Ray engine", "add --engine ray")


@dataclass
class BatchReport:
    """What came of a batch. Names are relative to the folders, with `/` between parts.

    Attributes:
        manifest: its path.
        done: encoded now.  skipped: had been done before.
        failed: source (or a folder that could not be read) -> its error, one line.
        warnings: one line each, from files that were encoded now.
    """

    source: str
    target: str
    manifest: str
    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)


def encode_folder(source: str | Path, target: str | Path, options: EncodeOptions | None = None,
                  batch: BatchOptions | None = None, listen: Listener = ignore) -> BatchReport:
    """Encode every video and picture below `source` into the same tree below `target`.

    Files that the manifest in `target` shows as done, from the same bytes with the same options
    and weights, are skipped. A file's error is kept in the report and the manifest and does not
    stop the others. `listen` is told of files, not frames. Scripts that call this need the usual
    `if __name__ == "__main__":`, as processes are started.

    Raises:
        InputError, OutputError, UsageError: nothing was begun.
        KeyboardInterrupt: what is done is kept; the same call goes on.
    """
    options, batch = options or EncodeOptions(), batch or BatchOptions()
    source, target = Path(source), Path(target)
    found = find_files(source, target)
    with plain_errors("batch"):
        release = registry.fingerprint(registry.find(options.model))
    if batch.engine == "ray":
        import nvcodec.batch.on_ray  # noqa: F401  says early where Ray is not installed
    with Manifest(target) as manifest:
        run = _Run(source, target, options, batch, listen, manifest, release)
        return run.run(found.files, found.errors)


@dataclass(frozen=True)
class _Task:
    """One source on its way."""

    name: str
    target: str
    entry: Entry = field(default_factory=dict)
    attempt: int = 0


class _Run:
    """The loop that hands files to an engine and writes down what comes back."""

    def __init__(self, source: Path, target: Path, options: EncodeOptions, batch: BatchOptions,
                 listen: Listener, manifest: Manifest, release: str) -> None:
        self.source, self.target, self.options, self.batch = source, target, options, batch
        self.listen, self.manifest, self.release = listen, manifest, release
        self.report = BatchReport(str(source), str(target), str(manifest.path))
        shape = {k: v for k, v in asdict(options).items() if k not in SHAPELESS}
        self.shape = json.loads(json.dumps(shape))  # as the manifest gives it back
        self.waiting: deque[_Task] = deque()
        self.ready: deque[_Task] = deque()
        self.hashing: dict[Future[Any], _Task] = {}
        self.running: dict[Future[Any], _Task] = {}
        self.stopping = threading.Event()
        self.total = 0

    @cached_property
    def engine(self) -> Engine:
        """Started when there is something to do."""
        if self.batch.engine == "local":
            return LocalEngine(self.batch.jobs)
        from nvcodec.batch.on_ray import RayEngine

        return RayEngine(self.batch.jobs, self.batch.ray_address, self.options.device)

    def run(self, sources: list[str], errors: dict[str, str]) -> BatchReport:
        self.total = len(sources) + len(errors)
        self._enter(sources, errors)
        cancel = True
        hasher = ThreadPoolExecutor(1)
        try:
            while self.waiting or self.hashing or self.ready or self.running:
                self._advance(hasher)
            cancel = False
        finally:
            self.stopping.set()
            hasher.shutdown(cancel_futures=True)
            if "engine" in self.__dict__:
                self.engine.close(cancel)
            for task in self.running.values():
                remove_leftovers(self.target / task.target)
        return self.report

    def _enter(self, sources: list[str], errors: dict[str, str]) -> None:
        """Queue the sources, and write down what fails already."""
        files = self.manifest.files
        for name in [n for n, e in files.items() if "target" not in e]:
            del files[name]  # it never began; a folder that could not be read is one of these
        for name, error in errors.items():
            self._fail(name, error)
        names = name_targets(sources, {n: str(e.get("target")) for n, e in files.items()})
        meeting = set(clashes(names))
        for name, target in names.items():
            if name in meeting:
                self._fail(name, f"{self.source / name}: its output {target} is another file's "
                                 "too; rename one of them")
            else:
                self.waiting.append(_Task(name, target))

    def _advance(self, hasher: ThreadPoolExecutor) -> None:
        """Start what can be started, then wait for something to end."""
        while self.waiting and len(self.hashing) + len(self.ready) < HASHED_AHEAD:
            task = self.waiting.popleft()
            self.hashing[hasher.submit(self._hash, self.source / task.name)] = task
        while self.ready and self._has_room(self.ready[0]):
            self._start(self.ready.popleft())
        if not (self.hashing or self.running):
            return
        for future in wait([*self.hashing, *self.running], return_when=FIRST_COMPLETED).done:
            if future in self.hashing:
                self._hashed(self.hashing.pop(future), future)
            else:
                task = self.running[future]
                self._ended(task, future)
                del self.running[future]

    def _has_room(self, task: _Task) -> bool:
        """A file whose worker died goes on alone: then it is known which file kills its worker."""
        if not self.running:
            return True
        if task.attempt or any(t.attempt for t in self.running.values()):
            return False
        return len(self.running) < self.engine.slots

    # -- one file --------------------------------------------------------------------------------

    def _hash(self, path: Path) -> str:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while not self.stopping.is_set() and (data := file.read(HASH_BYTES)):
                digest.update(data)
        return digest.hexdigest()

    def _hashed(self, task: _Task, future: Future[str]) -> None:
        """Skip what is done, refuse what is somebody else's, queue the rest."""
        entry: Entry = {"target": task.target}
        try:
            entry |= {"source_sha256": future.result(), "options": self.shape,
                      "release_sha256": self.release}
        except OSError as error:
            self._fail(task.name, f"{self.source / task.name}: cannot be read "
                                  f"({error.strerror}); check its permissions")
            return
        old, target = self.manifest.files.get(task.name, {}), self.target / task.target
        if self._is_done(old, entry, target):
            self.report.skipped.append(task.name)
            self._tell()
        elif target.exists() and not self.options.force and old.get("target") != task.target:
            self._fail(task.name, f"{target}: exists already and is not of this batch; use -f to "
                                  "replace it, or another folder")
        else:
            self.ready.append(replace(task, entry=entry))

    def _is_done(self, old: Entry, new: Entry, target: Path) -> bool:
        same = old.get("status") == "done" and all(old.get(k) == v for k, v in new.items())
        if not same or (self.options.verify and not old.get("verified")):
            return False
        return target.is_file() and target.stat().st_size == old.get("bytes")

    def _start(self, task: _Task) -> None:
        target = self.target / task.target
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._fail(task.name, f"{target.parent}: cannot be made ({error.strerror}); move what "
                                  "is in its place")
            return
        remove_leftovers(target)
        # Entered before there is a file: what a killed batch leaves is known as its own.
        self.manifest.put(task.name, {"status": "started", **task.entry})
        # Checked above; and a worker that is repeated may find the file it has written.
        job = Job(str(self.source / task.name), str(target), replace(self.options, force=True),
                  self.release, os.environ.get("NVCODEC_MODELS", ""))
        waiting = len(self.waiting) + len(self.hashing) + len(self.ready)
        self.running[self.engine.submit(job, waiting)] = task

    def _ended(self, task: _Task, future: Future[Outcome[EncodeReport]]) -> None:
        error = future.exception()
        if error is None:
            outcome = future.result()
            self.report.warnings += outcome.warnings
            if outcome.value is not None:
                self._succeed(task, outcome.value, outcome.warnings)
            else:
                self._fail(task.name, outcome.error)
        elif not self.engine.is_loss(error):
            raise error
        elif task.attempt < self.engine.retries:
            self.ready.appendleft(replace(task, attempt=task.attempt + 1))
            remove_leftovers(self.target / task.target)
        else:
            remove_leftovers(self.target / task.target)
            self._fail(task.name, f"{self.source / task.name}: its worker died, and again when it "
                                  "was repeated (out of memory?); try fewer --jobs")

    def _succeed(self, task: _Task, report: EncodeReport, warnings: tuple[str, ...]) -> None:
        warnings = (*warnings, *(f"{report.target}: {w}" for w in report.warnings))
        self.report.warnings += [w for w in warnings if w not in self.report.warnings]
        self.manifest.put(task.name, {
            "status": "done", **task.entry, "model": report.model, "bytes": report.file_bytes,
            "audio_bytes": report.audio_bytes, "width": report.width, "height": report.height,
            "frames": report.frames, "segments": report.segments, "bpp": round(report.bpp, 6),
            "qp": [min(report.qp), max(report.qp)], "seconds": round(report.seconds, 3),
            "verified": report.verified, "warnings": list(warnings)})
        self.report.done.append(task.name)
        self._tell()

    def _fail(self, name: str, error: str) -> None:
        """Write down an error. A target is entered only by `_start`, which makes it the batch's."""
        self.report.failed[name] = error
        entry = {k: v for k, v in self.manifest.files.get(name, {}).items() if k == "target"}
        self.manifest.put(name, {"status": "failed", **entry, "error": error})
        self._tell()

    def _tell(self) -> None:
        r = self.report
        count = len(r.done) + len(r.skipped) + len(r.failed)
        self.listen(Progress(count, self.total, None, "encode"))
