from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from rater_study import pairing
from rater_study.manifest import GOLD, SOURCE, Clip, Condition, Item, Manifest, Settings, load, save
from rater_study.sessions import Study, due_rest
from rater_study.storage import Vote


def design(chosen: Settings, clips: int = 5, conditions: int = 4, holes: int = 0) -> Manifest:
    items = [Item(f"c{i}", f"m{k}", f"{i}-{k}") for i in range(clips) for k in range(conditions)]
    return Manifest(chosen, tuple(Clip(f"c{i}", f"n{i}", 64, 64, 10, "30", "r", "g")
                                  for i in range(clips)),
                    tuple(Condition(f"m{k}", "x", f"l{k}") for k in range(conditions)),
                    tuple(items[holes:]))


@settings(max_examples=40, deadline=None)
@given(votes=st.integers(1, 60), raters=st.integers(1, 6), holes=st.integers(0, 2),
       repeats=st.floats(0, 0.5), gold=st.floats(0, 0.4), seed=st.integers(0, 99))
def test_schedules(votes: int, raters: int, holes: int, repeats: float, gold: float, seed: int
                   ) -> None:
    made = design(Settings(seed, votes, repeats, gold), holes=holes)
    plans = [pairing.schedule(made, r) for r in range(raters)]
    asked: Counter[tuple[str, ...]] = Counter()
    for plan in plans:
        plain, _, golds = pairing.counts(made.settings, True)
        assert [s.number for s in plan] == list(range(len(plan)))
        kinds = Counter(s.kind for s in plan)
        assert kinds["pair"] == plain and kinds["gold"] == golds
        for slot in plan:
            if slot.kind == "repeat":
                first = plan[slot.of if slot.of is not None else -1]
                assert first.kind == "pair" and first.number < slot.number
                assert (slot.clip, slot.left, slot.right) == (first.clip, first.right, first.left)
            elif slot.kind == "gold":
                assert {slot.left, slot.right} == {SOURCE, GOLD}
        asked.update((s.clip, *sorted((s.left, s.right))) for s in plan if s.kind == "pair")
    assert set(asked) <= set(made.comparisons)
    # No comparison is asked more than once more often than another.
    assert max(asked.values()) - min(asked[c] for c in made.comparisons) <= 1


def test_seeded_and_different_for_each_rater() -> None:
    made = design(Settings(votes=40))
    assert pairing.schedule(made, 3) == pairing.schedule(made, 3)
    assert pairing.schedule(made, 3) != pairing.schedule(made, 4)
    assert pairing.schedule(made, 3) != pairing.schedule(design(Settings(seed=2, votes=40)), 3)


def test_repeats_come_late_and_sides_are_balanced() -> None:
    plan = pairing.schedule(design(Settings(votes=200, repeats=0.1)), 0)
    assert all(s.number - s.of >= pairing.REPEAT_DISTANCE for s in plan if s.of is not None)
    assert sum(s.kind == "repeat" for s in plan) == 20
    swapped = sum(s.left > s.right for s in plan if s.kind == "pair")
    assert abs(swapped - sum(s.kind == "pair" for s in plan) / 2) <= 1
    neighbours = sum(a.clip == b.clip for a, b in pairwise(plan))
    assert neighbours < 20


def test_breaks() -> None:
    steady = [1000.0 - 10 * i for i in range(100)]
    assert due_rest(steady, 1005, work=900, rest=60) == 55
    assert due_rest(steady, 1061, work=900, rest=60) == 0, "rested"
    assert due_rest(steady[:80], 1005, work=900, rest=60) == 0, "not long enough"
    paused = [1000.0 - 10 * i - (60 if i > 50 else 0) for i in range(100)]
    assert due_rest(paused, 1005, work=900, rest=60) == 0, "a pause was a rest"
    assert due_rest([], 5, 900, 60) == 0


def test_states_of_a_session(study: Study) -> None:
    number = study.identify(study.enrol())
    assert number == 0 and study.state(0) == {"stage": "consent"}
    study.storage.consent(0, "A")
    assert study.state(0)["stage"] == "practice" and study.video(0, "practice", "left")
    assert study.video(0, "0", "left") is None, "the first pair is not due yet"
    study.practised(0)
    state = study.state(0)
    assert (state["stage"], state["slot"], state["total"]) == ("rate", 0, 40)
    assert study.video(0, "0", "right") and study.video(0, "1", "right") is None


def test_own_consent_text(study: Study, synthetic: Path) -> None:
    assert "voluntary" in " ".join(study.consent_text())
    (synthetic / "consent.txt").write_text("First\nparagraph.\n\nSecond.\n")
    assert study.consent_text() == ["First paragraph.", "Second."]


def test_a_break_is_the_servers_to_give(synthetic: Path) -> None:
    made = load(synthetic)
    save(replace(made, settings=replace(made.settings, break_minutes=1e-4, rest_seconds=30)),
         synthetic)
    study = Study(synthetic)
    study.enrol()
    study.storage.consent(0, "")
    study.storage.practised(0)
    assert study.state(0)["stage"] == "rate"
    for slot in range(2):
        study.storage.add_vote(0, slot, Vote("left"))
        time.sleep(0.01)
    state = study.state(0)
    assert state["stage"] == "break" and 29 < state["seconds"] <= 30 and "ticket" not in state
    study.storage.close()
