"""Whole sessions in real headless Chromium, with real videos."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rater_study import storage
from rater_study.loadtest import Server, serving

FRAME = 1 / 25
WINDOW = {"width": 1366, "height": 768}
OPEN = "#choose-left:enabled"
#: Both players' times at up to 60 pictures while both play.
SAMPLES = """() => new Promise(resolve => {
  const [l, r] = ['left', 'right'].map(id => document.getElementById(id)), out = [];
  const still = v => v.paused || v.ended || v.seeking;
  const tick = () => {
    if (!still(l) && !still(r)) out.push([l.currentTime, r.currentTime]);
    out.length < 60 ? requestAnimationFrame(tick) : resolve(out);
  };
  tick();
})"""


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    store = storage.Storage(folder / storage.NAME)
    found = store.rows(query)
    store.close()
    return found


def enter(page: Any, link: str, name: str = "Ann") -> None:
    """Consent and the practice pair."""
    page.goto(link)
    assert page.locator("#begin").is_disabled()
    page.fill("#name", name)
    page.check("#agree")
    page.click("#begin")
    page.wait_for_selector(OPEN)
    assert page.inner_text("#question").startswith("For practice")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#go:visible")
    page.click("#go")


def slot(page: Any) -> str:
    return str(page.inner_text("#count"))


def next_pair(page: Any, before: str) -> None:
    page.wait_for_selector(f"#count:visible:not(:text-is('{before}')), #thanks", state="attached")


@pytest.fixture(scope="module")
def served(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(prepared, tmp_path_factory.mktemp("served") / "study"))


@pytest.fixture(scope="module")
def server(served: Path, browser: Any) -> Iterator[Server]:
    with serving(served, links=4) as running:
        yield running


def test_whole_session(browser: Any, server: Server, served: Path) -> None:
    context = browser.new_context(viewport=WINDOW)
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: problems.append(str(e)))
    enter(page, server.links[0])

    # The vote is closed until both have been played once.
    page.wait_for_selector("#cover", state="hidden")
    assert slot(page) == "1 of 5"
    page.keyboard.press("ArrowLeft")
    assert rows(served, "SELECT * FROM votes WHERE rater = 0") == []
    times = page.evaluate(SAMPLES)
    apart = sum(abs(a - b) for a, b in times) / len(times)
    assert apart < FRAME, f"the players are {1000 * apart:.1f} ms apart"
    assert page.evaluate("document.getElementById('left').getBoundingClientRect().width") == 320
    page.wait_for_selector(OPEN)

    # By key, with a double press; by mouse, with a double click: one vote each.
    page.evaluate("""() => { for (let i = 0; i < 2; i++) document.dispatchEvent(
        new KeyboardEvent('keydown', {key: 'ArrowLeft', bubbles: true})) }""")
    next_pair(page, "1 of 5")
    page.wait_for_selector(OPEN)
    page.dblclick("#choose-right")
    next_pair(page, "2 of 5")
    assert rows(served, "SELECT slot, choice, plays >= 1, shown_ms >= 760 FROM votes "
                "WHERE rater = 0") == [(0, "left", 1, 1), (1, "right", 1, 1)]

    # A closed tab: the same link goes on where it stopped, past consent and practice.
    page.close()
    page = context.new_page()
    page.goto(server.links[0])
    page.wait_for_selector(OPEN)
    assert slot(page) == "3 of 5"
    for done in range(3, 6):
        page.wait_for_selector(OPEN)
        assert slot(page) == f"{done} of 5"
        page.keyboard.press("ArrowRight")
        next_pair(page, f"{done} of 5")
    page.wait_for_selector("#thanks")
    page.go_back()
    page.wait_for_timeout(300)
    assert len(rows(served, "SELECT * FROM votes WHERE rater = 0")) == 5
    drift = [d for (d,) in rows(served, "SELECT drift_ms FROM votes WHERE rater = 0")]
    assert all(d is not None for d in drift) and sum(drift) / 5 < 1000 * FRAME
    assert problems == []
    context.close()


def test_pausing_is_refused_and_a_small_window_says_so(browser: Any, server: Server) -> None:
    page = browser.new_page(viewport=WINDOW)
    enter(page, server.links[1])
    page.wait_for_selector(OPEN)
    assert not page.evaluate("[...document.querySelectorAll('video')].some(v => v.controls)")
    playing = """() => [...document.querySelectorAll('video')].every(v => !v.paused || v.ended
        || v.seeking || v.currentTime === 0)"""
    for key in ("Space", "k", "MediaPlayPause", "ArrowDown"):
        page.keyboard.press(key)
        assert page.evaluate(playing), key
    page.click("#left")
    assert page.evaluate(playing)
    # Even from the console: the pause does not last.
    page.evaluate("document.getElementById('left').pause()")
    page.wait_for_timeout(200)
    assert page.evaluate(playing)
    # Holding shows the original in both places, letting go ends it.
    page.keyboard.down("Space")
    assert page.evaluate("document.body.classList.contains('showing')")
    page.keyboard.up("Space")
    assert not page.evaluate("document.body.classList.contains('showing')")
    # A window that cannot show both in full takes no vote.
    page.set_viewport_size({"width": 600, "height": 500})
    page.wait_for_selector("#cover:visible")
    assert "too small" in page.inner_text("#notice")
    page.keyboard.press("ArrowLeft")
    page.set_viewport_size(WINDOW)
    page.wait_for_selector("#cover", state="hidden")
    assert slot(page) == "1 of 5"
    page.close()


def test_two_raters_and_two_tabs(browser: Any, server: Server, served: Path) -> None:
    contexts = [browser.new_context(viewport=WINDOW) for _ in range(2)]
    pages = [c.new_page() for c in contexts]
    for page, link in zip(pages, server.links[2:], strict=True):
        enter(page, link)
    tab = contexts[0].new_page()
    tab.goto(server.links[2])
    for page in (*pages, tab):
        page.wait_for_selector(OPEN)
    for page in pages:
        page.click("#choose-left")
        next_pair(page, "1 of 5")
    # The other tab still shows the pair that has its vote: its vote does not count.
    tab.bring_to_front()
    tab.wait_for_selector(OPEN)
    tab.click("#choose-right")
    next_pair(tab, "1 of 5")
    assert rows(served, "SELECT rater, slot, choice FROM votes WHERE rater > 1 ORDER BY rater") == [
        (2, 0, "left"), (3, 0, "left")]
    for context in contexts:
        context.close()
