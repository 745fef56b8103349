"""Which pairs a rater sees: balanced over the study, seeded, with hidden repeats and gold pairs.

All comparisons (clip, condition, condition) stand in one endless row, in which every block of as
many entries as there are pairs of conditions holds each pair once, on clips that rotate; once all
have passed it starts again in another order. Rater number r gets the r-th stretch of the row, so
after any number of raters no comparison has been asked more than once more often than another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from rater_study.manifest import GOLD, SOURCE, Manifest, Settings

PAIR, REPEAT, GOLD_PAIR = "pair", "repeat", "gold"
#: A hidden repeat comes at least this many slots after what it repeats, where there is room.
REPEAT_DISTANCE = 10

Comparison = tuple[str, str, str]


@dataclass(frozen=True)
class Slot:
    """One question to one rater.

    Attributes:
        number: 0, 1, ... in the rater's order.
        kind: PAIR, REPEAT or GOLD_PAIR.
        clip, left, right: what is shown; empty where that is still to be chosen (active selection).
        of: the slot that a repeat repeats with sides swapped, else None.
    """

    number: int
    kind: str
    clip: str = ""
    left: str = ""
    right: str = ""
    of: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether what it shows is still to be chosen."""
        return not self.clip


def counts(settings: Settings, has_gold: bool) -> tuple[int, int, int]:
    """How many of a rater's votes are plain pairs, hidden repeats and gold pairs."""
    repeats = round(settings.votes * settings.repeats)
    gold = round(settings.votes * settings.gold) if has_gold else 0
    return max(1, settings.votes - repeats - gold), repeats, gold


def cycle(manifest: Manifest, seed: int, number: int) -> list[Comparison]:
    """One pass through all comparisons, in blocks that hold every pair of conditions once."""
    random = Random(f"{seed}/cycle/{number}")
    clips_of: dict[tuple[str, str], list[str]] = {}
    rank = [c.id for c in manifest.clips]
    random.shuffle(rank)
    place = {clip: i for i, clip in enumerate(rank)}
    for clip, a, b in manifest.comparisons:
        clips_of.setdefault((a, b), []).append(clip)
    pairs = list(clips_of)
    random.shuffle(pairs)
    for turn, pair in enumerate(pairs):
        own = sorted(clips_of[pair], key=place.__getitem__)
        start = turn % len(own)
        clips_of[pair] = own[start:] + own[:start]
    blocks = max(len(own) for own in clips_of.values())
    return [(own[block], *pair) for block in range(blocks)
            for pair in pairs if block < len(own := clips_of[pair])]


def stretch(manifest: Manifest, rater: int, length: int) -> list[Comparison]:
    """Entries rater * length ... of the endless row."""
    size = len(manifest.comparisons)
    first, last = rater * length, (rater + 1) * length
    out: list[Comparison] = []
    for number in range(first // size, (last - 1) // size + 1):
        row = cycle(manifest, manifest.settings.seed, number)
        out += row[max(0, first - number * size):last - number * size]
    return out


def schedule(manifest: Manifest, rater: int) -> list[Slot]:
    """All slots of rater number `rater` (0, 1, ...). With active selection plain ones are open."""
    settings = manifest.settings
    random = Random(f"{settings.seed}/rater/{rater}")
    plain, repeats, gold = counts(settings, bool(manifest.gold_clips))
    if settings.active:
        asked = [Slot(0, PAIR)] * plain
    else:
        order = stretch(manifest, rater, plain)
        random.shuffle(order)
        asked = _sides(_spread(order), random)
    for clip in _draw(manifest.gold_clips, gold, random):
        slot = _sides([(clip, SOURCE, GOLD)], random)[0]
        asked.insert(random.randint(0, len(asked)), replace(slot, kind=GOLD_PAIR))
    return _with_repeats(asked, repeats, random)


def swapped(slot: Slot, number: int) -> Slot:
    """The hidden repeat of a slot: sides changed, so that a side habit shows."""
    return Slot(number, REPEAT, slot.clip, slot.right, slot.left, slot.number)


def _sides(order: Sequence[Comparison], random: Random) -> list[Slot]:
    """Slots whose sides are drawn: as many swapped as not."""
    swap = [i % 2 == 0 for i in range(len(order))]
    random.shuffle(swap)
    if len(order) == 1:
        swap = [random.random() < 0.5]
    return [Slot(0, PAIR, clip, *((b, a) if s else (a, b)))
            for (clip, a, b), s in zip(order, swap, strict=True)]


def _spread(order: list[Comparison]) -> list[Comparison]:
    """The same entries with as few neighbours of one clip as one pass of swaps gives."""
    out = list(order)
    for i in range(1, len(out)):
        if out[i][0] == out[i - 1][0]:
            other = next((j for j in range(i + 1, len(out)) if out[j][0] != out[i][0]), None)
            if other is not None:
                out[i], out[other] = out[other], out[i]
    return out


def _draw(pool: Sequence[str], count: int, random: Random) -> list[str]:
    """`count` entries of the pool, each as often as the others give or take one."""
    out: list[str] = []
    while pool and len(out) < count:
        out += random.sample(list(pool), min(len(pool), count - len(out)))
    return out


def _with_repeats(asked: Sequence[Slot], repeats: int, random: Random) -> list[Slot]:
    """Number the slots and mix in repeats of plain ones, each well after its first time."""
    order = [(i, False) for i in range(len(asked))]
    plain = [i for i, slot in enumerate(asked) if slot.kind == PAIR]
    early = [i for i in plain if i + REPEAT_DISTANCE <= len(asked)] or plain
    for i in random.sample(early, min(repeats, len(early))):
        first = min(order.index((i, False)) + REPEAT_DISTANCE, len(order))
        # What is put in later only moves a repeat further away.
        order.insert(random.randint(first, len(order)), (i, True))
    number_of = {i: number for number, (i, again) in enumerate(order) if not again}
    return [swapped(replace(asked[i], number=number_of[i]), number) if again
            else replace(asked[i], number=number) for number, (i, again) in enumerate(order)]
