"""Many raters at once against a real server, and a SIGKILL in the middle.

`python -m rater_study loadtest` makes a study of one-frame clips (no videos are fetched), starts
the server as a process, lets each simulated rater answer from a thread of its own, ends the server
with SIGKILL halfway, starts it again, and compares every acknowledged vote with the database.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rater_study import manifest, storage
from rater_study.errors import StudyError
from rater_study.manifest import Clip, Condition, Item, Manifest, Settings

CLIPS, CONDITIONS = 30, 12
START_SECONDS = 60.0
#: Attempts of a request while the server is down.
TRIES, PAUSE = 400, 0.1


def synthetic(folder: Path, settings: Settings, clips: int = CLIPS, conditions: int = CONDITIONS
              ) -> Manifest:
    """A study of one-frame clips whose files are empty, in `folder`."""
    (folder / manifest.MEDIA).mkdir(parents=True)
    made = Manifest(
        settings,
        tuple(Clip(f"c{i:02d}", f"clip{i}", 320, 180, 1, "30", f"r{i}.mp4", f"g{i}.mp4")
              for i in range(clips)),
        tuple(Condition(f"m{k:02d}", f"method{k // 3}", f"method{k // 3} rate {k % 3}",
                        0.01 * (1 + k % 3)) for k in range(conditions)),
        tuple(Item(f"c{i:02d}", f"m{k:02d}", f"v{i}-{k}.mp4") for i in range(clips)
              for k in range(conditions)))
    for file in made.files.values():
        (folder / manifest.MEDIA / file).touch()
    manifest.save(made, folder)
    return made


class Server:
    """`python -m rater_study serve` as a process. Attributes: `url`, `secret`, `links`."""

    def __init__(self, folder: Path, port: int = 0, links: int = 0) -> None:
        self.links: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rater_study", "serve", str(folder), "--port", str(port),
             "--links", str(links)], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        assert self._process.stdout
        for _ in range(2 + links):
            line = self._process.stdout.readline()
            if not line:
                raise StudyError("the server did not start", "see its message above")
            what, _, value = line.strip().rpartition(" ")
            if what.startswith("admin"):
                self.url = value.removesuffix("/admin")
            elif what.startswith("secret"):
                self.secret = value
            else:
                self.links.append(value)
        self.port = int(self.url.rpartition(":")[2])
        self._wait()

    def _wait(self) -> None:
        """Until it answers."""
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                http.client.HTTPConnection("127.0.0.1", self.port, timeout=5).request("GET", "/")
                return
            except OSError:
                if time.monotonic() > until:
                    raise StudyError("the server does not answer", "try a free machine") from None
                time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL: nothing is flushed or closed."""
        self._process.send_signal(signal.SIGKILL)
        self._close()

    def stop(self) -> None:
        """As Ctrl-C does."""
        self._process.terminate()
        self._close()

    def _close(self) -> None:
        self._process.wait(30)
        if self._process.stdout:
            self._process.stdout.close()


@contextlib.contextmanager
def serving(folder: Path, links: int = 0) -> Iterator[Server]:
    """A server that ends with the block."""
    server = Server(folder, links=links)
    try:
        yield server
    finally:
        server.stop()


@dataclass
class Client:
    """One simulated rater: `acknowledged` slots, seconds of each vote's response, and failures."""

    link: str
    pace: float
    acknowledged: dict[int, str] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    _connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        """From consent to thanks."""
        try:
            self._ask("/consent", {"name": "load"})
            _, state = self._ask("/practice", {})
            while state["stage"] == "rate":
                time.sleep(self.pace * random.uniform(0.5, 1.5))
                state = self._vote(state)
            if state["stage"] != "done":
                self.failures.append(f"ended at {state['stage']}")
        except Exception as error:
            self.failures.append(repr(error))

    def _vote(self, state: dict[str, Any]) -> dict[str, Any]:
        choice = random.choice(("left", "right"))
        start = time.perf_counter()
        status, body = self._ask("/vote", {
            "slot": state["slot"], "choice": choice, "ticket": state["ticket"], "plays": 1,
            "shown_ms": int(1000 * self.pace)})
        if status == 200:
            self.seconds.append(time.perf_counter() - start)
            self.acknowledged[state["slot"]] = choice
            return body
        if status not in (409, 425):
            self.failures.append(f"{status} {body}")
        # 409: a vote of before the kill was kept though its answer was lost. 425: too early.
        return self._ask("/state")[1]

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        parts = urlsplit(self.link)
        for _ in range(TRIES):
            try:
                if self._connection is None:
                    self._connection = http.client.HTTPConnection(parts.netloc, timeout=30)
                    self._connection.connect()
                self._connection.request(
                    "GET" if body is None else "POST", parts.path + path,
                    None if body is None else json.dumps(body),
                    {"Accept": "application/json", "Content-Type": "application/json"})
                answer = self._connection.getresponse()
                return answer.status, json.loads(answer.read())
            except (OSError, http.client.HTTPException):
                if self._connection:
                    self._connection.close()
                self._connection = None
                time.sleep(PAUSE)
        raise TimeoutError("the server stays away")


def run(raters: int, votes: int, pace: float, kill: bool) -> dict[str, Any]:
    """The whole test; figures as in the module's text, times in milliseconds."""
    with tempfile.TemporaryDirectory(prefix="rater-study-load-") as scratch:
        folder = Path(scratch) / "study"
        synthetic(folder, Settings(votes=votes, break_minutes=1e6))
        server = Server(folder, links=raters)
        clients = [Client(link, pace) for link in server.links]
        threads = [threading.Thread(target=c.run, daemon=True) for c in clients]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        try:
            if kill:
                _wait_for(clients, raters * votes // 2, threads)
                server.kill()
                server = Server(folder, server.port)
            for thread in threads:
                thread.join()
        finally:
            server.stop()
        return _compare(folder, clients, raters * votes, time.perf_counter() - start, kill)


def _wait_for(clients: list[Client], count: int, threads: list[threading.Thread]) -> None:
    while (sum(len(c.acknowledged) for c in clients) < count
           and any(t.is_alive() for t in threads)):
        time.sleep(0.02)


def _compare(folder: Path, clients: list[Client], wanted: int, seconds: float, kill: bool
             ) -> dict[str, Any]:
    store = storage.Storage(folder / storage.NAME)
    kept = store.rows("SELECT rater, slot, choice FROM votes")
    check = store.rows("PRAGMA integrity_check")[0][0]
    store.close()
    found = {(rater, slot): choice for rater, slot, choice in kept}
    said = {(n, slot): c for n, client in enumerate(clients)
            for slot, c in client.acknowledged.items()}
    times = sorted(s for client in clients for s in client.seconds)
    return {
        "raters": len(clients), "votes_wanted": wanted, "acknowledged": len(said),
        "in_database": len(kept), "lost": sum(found.get(k) != c for k, c in said.items()),
        "duplicated": len(kept) - len(found), "killed_in_the_middle": kill, "integrity": check,
        "failures": [f for c in clients for f in c.failures][:5],
        "p50_ms": round(1000 * quantile(times, 0.5), 1),
        "p95_ms": round(1000 * quantile(times, 0.95), 1),
        "p99_ms": round(1000 * quantile(times, 0.99), 1),
        "votes_per_second": round(len(said) / seconds, 1), "load_average": os.getloadavg()[0],
    }


def quantile(ordered: list[float], share: float) -> float:
    """The nearest-rank quantile of sorted values, 0 where there are none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0
