"""What a study shows: clips, conditions, blinded files, settings. Browsers never get to see it.

A study folder:

    manifest.json   this module; the only place that joins file names to methods
    media/          XXXXXXXXXXXXXXXXXXXXXXXX.mp4: random names, the same codec and settings for all
    votes.sqlite    raters, their pairs, their votes (storage.py)
    consent.txt     optional: the lab's own consent text, paragraphs divided by empty lines
    key             secret of this study's tickets, readable by its owner only
    report/         what report.py wrote last
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

from rater_study.errors import StudyError

FORMAT = "rater-study 1"
NAME = "manifest.json"
MEDIA = "media"
#: Stand in for a condition where a slot shows the source, or its heavily distorted copy.
SOURCE, GOLD = "source", "gold"


@dataclass(frozen=True)
class Settings:
    """How raters are asked.

    Attributes:
        seed: of all random choices but tokens and file names.
        votes: of one rater, hidden repeats and gold pairs included.
        repeats, gold: share of those that are hidden repeats and gold pairs, 0..0.5.
        tie: whether "no preference" is offered.
        active: spend votes where scores are uncertain, instead of on all pairs alike.
        break_minutes: work without a rest after which one is due.
        rest_seconds: how long it lasts.
    """

    seed: int = 1
    votes: int = 200
    repeats: float = 0.05
    gold: float = 0.04
    tie: bool = False
    active: bool = False
    break_minutes: float = 15.0
    rest_seconds: float = 60.0


@dataclass(frozen=True)
class Clip:
    """A scene. `reference` and `gold` name files in media/, None where there is no source."""

    id: str
    name: str
    width: int
    height: int
    frames: int
    fps: str
    reference: str | None = None
    gold: str | None = None

    @property
    def seconds(self) -> float:
        """How long one play takes."""
        return float(self.frames / Fraction(self.fps))


@dataclass(frozen=True)
class Condition:
    """A method at a rate: what gets a score. `bpp` is the mean over clips, None where unknown."""

    id: str
    method: str
    label: str
    bpp: float | None = None


@dataclass(frozen=True)
class Item:
    """One video of a condition. `loss` is what the browser-safe encode cost (loss.py)."""

    clip: str
    condition: str
    file: str
    bpp: float | None = None
    loss: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """All of a study's design."""

    settings: Settings
    clips: tuple[Clip, ...]
    conditions: tuple[Condition, ...]
    items: tuple[Item, ...]
    encoding: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def clip_by_id(self) -> dict[str, Clip]:
        """Clips by id."""
        return {c.id: c for c in self.clips}

    @cached_property
    def condition_by_id(self) -> dict[str, Condition]:
        """Conditions by id."""
        return {c.id: c for c in self.conditions}

    @cached_property
    def files(self) -> dict[tuple[str, str], str]:
        """(clip, condition, SOURCE or GOLD) -> file in media/."""
        files = {(i.clip, i.condition): i.file for i in self.items}
        files |= {(c.id, SOURCE): c.reference for c in self.clips if c.reference}
        files |= {(c.id, GOLD): c.gold for c in self.clips if c.gold}
        return files

    @cached_property
    def comparisons(self) -> list[tuple[str, str, str]]:
        """Every (clip, condition, condition) that can be asked, each once."""
        return [(clip.id, a, b) for clip in self.clips
                for a, b in combinations(self.conditions_of(clip.id), 2)]

    @cached_property
    def gold_clips(self) -> list[str]:
        """Clips that have a gold pair."""
        return [c.id for c in self.clips if c.reference and c.gold]

    def conditions_of(self, clip: str) -> list[str]:
        """Conditions that this clip has a video of."""
        have = {i.condition for i in self.items if i.clip == clip}
        return [c.id for c in self.conditions if c.id in have]

    def names(self) -> Iterable[str]:
        """What must not reach a browser before the end: methods and labels."""
        return {n for c in self.conditions for n in (c.method, c.label)}


def save(manifest: Manifest, folder: Path) -> None:
    """Write folder/manifest.json."""
    text = json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1)
    (folder / NAME).write_text(text + "\n")


def load(folder: Path) -> Manifest:
    """Read a study folder's manifest; StudyError where it is none or damaged."""
    path = folder / NAME
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        raise StudyError(f"{folder}: is no study", "make one with python -m rater_study prepare "
                         "METHOD_DIR... -o STUDY") from None
    except (OSError, ValueError) as error:
        raise StudyError(f"{path}: cannot be read ({error})", "prepare the study again") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise StudyError(f"{path}: is not of format {FORMAT!r}",
                         "prepare the study again with this version")
    try:
        return Manifest(Settings(**data["settings"]), tuple(Clip(**c) for c in data["clips"]),
                        tuple(Condition(**c) for c in data["conditions"]),
                        tuple(Item(**i) for i in data["items"]), data["encoding"])
    except (KeyError, TypeError) as error:
        raise StudyError(f"{path}: damaged ({error})", "prepare the study again") from None
