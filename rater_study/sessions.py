"""What a rater sees next, and which votes count. Knows no HTTP."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rater_study import manifest, pairing, security, storage
from rater_study.manifest import GOLD, SOURCE
from rater_study.pairing import Slot
from rater_study.storage import Rater, Storage, Vote

#: Share of a play that has to lie between handing out a pair and its vote; the rest is tolerance
#: for clocks and rounding. Loading takes longer than that in practice.
PLAY_SHARE = 0.95
PRACTICE = "practice"
CONSENT = "consent.txt"
TEMPLATES = Path(__file__).parent / "templates"
SIDES = ("left", "right", "reference")


@dataclass
class Refused(Exception):
    """A vote that does not count: HTTP status, and a reason for the browser."""

    status: int
    reason: str


class Study:
    """A study folder that is being served. Safe across threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = manifest.load(folder)
        self.settings = self.manifest.settings
        self.storage = Storage(folder / storage.NAME)
        self._tickets = security.Tickets(security.study_key(folder))
        self._choose: Callable[[int, int], Slot] | None = None
        if self.settings.active:
            # Loads scipy, which the server can do without otherwise.
            from rater_study.active import Selector

            self._choose = Selector(self.manifest, self.storage).choose
        self._enrolling = threading.Lock()

    def enrol(self) -> str:
        """A new rater's token. Nothing but its hash is kept."""
        token = security.new_token()
        with self._enrolling:
            while True:
                number = self.storage.next_number()
                try:
                    self.storage.add_rater(number, security.token_hash(token),
                                           pairing.schedule(self.manifest, number))
                    return token
                except sqlite3.IntegrityError:
                    # `invite` on the command line took this number a moment ago.
                    continue

    def renew(self, number: int) -> str:
        """Another token for a rater who lost theirs; the old link ends."""
        token = security.new_token()
        self.storage.set_token(self.storage.rater(number).id, security.token_hash(token))
        return token

    def identify(self, token: str) -> int | None:
        """The rater of a token."""
        return self.storage.find(security.token_hash(token))

    def stage(self, number: int) -> str:
        """"consent", "practice", "rate" or "done"."""
        rater = self.storage.rater(number)
        if rater.consented_at is None:
            return "consent"
        if rater.practised_at is None:
            return PRACTICE
        given, total = self.storage.progress(number)
        return "done" if given >= total else "rate"

    def state(self, number: int) -> dict[str, Any]:
        """All that a browser needs for its next pair; nothing in it tells a method."""
        stage, now = self.stage(number), time.time()
        if stage == PRACTICE:
            return {"stage": PRACTICE, "slot": PRACTICE, **self._shown(self._practice())}
        if stage != "rate":
            return {"stage": stage}
        given, total = self.storage.progress(number)
        shared = {"slot": given, "total": total}
        rest = due_rest(self.storage.vote_times(number), now, self.settings.break_minutes * 60,
                        self.settings.rest_seconds)
        if rest > 0:
            return {"stage": "break", "seconds": round(rest, 1), **shared}
        slot = self._slot(number, given)
        assert slot is not None
        return {"stage": "rate", **shared, "tie": self.settings.tie,
                "ticket": self._tickets.issue(number, given, now), **self._shown(slot)}

    def _shown(self, slot: Slot) -> dict[str, Any]:
        clip = self.manifest.clip_by_id[slot.clip]
        return {"width": clip.width, "height": clip.height, "seconds": round(clip.seconds, 4),
                "frame": round(clip.seconds / clip.frames, 6), "reference": bool(clip.reference)}

    def _slot(self, number: int, index: int) -> Slot | None:
        """A slot, filled now where active selection left it open."""
        slot = self.storage.slot(number, index)
        if slot is None or not slot.is_open:
            return slot
        if slot.of is not None:
            first = self._slot(number, slot.of)
            assert first is not None
            chosen = pairing.swapped(first, index)
        else:
            assert self._choose is not None
            chosen = self._choose(number, index)
        self.storage.fill(number, chosen)
        # Another tab may have been faster: what the database says is what counts.
        return self.storage.slot(number, index)

    def _practice(self) -> Slot:
        """A pair with an obvious answer where there are sources; its vote is not kept."""
        if self.manifest.gold_clips:
            return Slot(0, PRACTICE, self.manifest.gold_clips[-1], GOLD, SOURCE)
        return Slot(0, PRACTICE, *self.manifest.comparisons[-1])

    def vote(self, number: int, index: int, ticket: str, vote: Vote) -> None:
        """Keep a vote, on the disk when this returns. Refused where it does not count."""
        stage = self.stage(number)
        if stage not in ("rate", "done"):
            raise Refused(409, f"{stage} comes first")
        age = self._tickets.age(ticket, number, index, time.time())
        if age is None:
            raise Refused(403, "this pair was not handed out to you")
        slot = self.storage.slot(number, index)
        given, _ = self.storage.progress(number)
        if slot is None or index > given:
            raise Refused(409, "another pair comes first")
        if index < given:
            raise Refused(409, "this pair has its vote")
        if vote.choice == "tie" and not self.settings.tie:
            raise Refused(422, "left or right")
        clip = self.manifest.clip_by_id[slot.clip]
        if vote.plays < 1 or age < PLAY_SHARE * clip.seconds:
            raise Refused(425, "the pair has not been played once")
        if not self.storage.add_vote(number, index, vote):
            raise Refused(409, "this pair has its vote")

    def practised(self, number: int) -> None:
        """The practice pair is done; refused before consent."""
        if self.stage(number) == "consent":
            raise Refused(409, "consent comes first")
        self.storage.practised(number)

    def video(self, number: int, slot: str, side: str) -> Path | None:
        """The file behind a side of the pair that is due; None for anything else."""
        stage = self.stage(number)
        if side not in SIDES:
            return None
        if slot == PRACTICE and stage == PRACTICE:
            shown: Slot | None = self._practice()
        elif stage == "rate" and slot == str(self.storage.progress(number)[0]):
            shown = self._slot(number, int(slot))
        else:
            return None
        assert shown is not None
        name = {"left": shown.left, "right": shown.right, "reference": SOURCE}[side]
        file = self.manifest.files.get((shown.clip, name))
        return self._inside(file) if file else None

    def _inside(self, file: str) -> Path | None:
        """The media file, None where a damaged manifest or a link points out of the folder."""
        folder = (self.folder / manifest.MEDIA).resolve()
        path = (folder / file).resolve()
        return path if path.parent == folder and path.is_file() else None

    def consent_text(self) -> list[str]:
        """Paragraphs of the study's consent.txt, or of this package's where it has none."""
        own = self.folder / CONSENT
        text = (own if own.is_file() else TEMPLATES / CONSENT).read_text()
        return [" ".join(p.split()) for p in text.split("\n\n") if p.strip()]

    def raters(self) -> Sequence[tuple[Rater, int, int]]:
        """Raters with votes given and slots."""
        return self.storage.raters()


def due_rest(times: Sequence[float], now: float, work: float, rest: float) -> float:
    """Seconds of rest still due.

    Args:
        times: of the votes, newest first, in seconds.
        now: in seconds.
        work: longest stretch without a rest, in seconds; a gap of `rest` ends a stretch.
        rest: seconds that a rest takes.
    """
    if not times or now - times[0] >= rest:
        return 0.0
    start = times[0]
    for time_ in times[1:]:
        if start - time_ >= rest:
            break
        start = time_
    return times[0] + rest - now if now - start >= work else 0.0
