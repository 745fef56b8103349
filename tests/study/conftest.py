"""A small study from synthetic clips, made once, and servers over copies of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rater_study import loadtest, prepare, sources
from rater_study.manifest import Manifest, Settings, load
from rater_study.sessions import Study
from tests.optional import missing
from tests.study.clips import METHODS, make_clip

SMALL = Settings(votes=5, gold=0.2, repeats=0.2)


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """reference/ and three method folders, one clip each."""
    folder = tmp_path_factory.mktemp("material")
    for name, crf in zip(("reference", *METHODS), (0, 32, 47, 40), strict=True):
        make_clip(folder / name / "one.mkv", "testsrc2", crf)
    return folder


@pytest.fixture(scope="session")
def prepared(material: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study folder without votes; copy it."""
    out = tmp_path_factory.mktemp("prepared") / "study"
    found = sources.gather([material / m for m in METHODS], material / "reference")
    prepare.prepare(found, out, SMALL, prepare.Options(loss_clips=0), lambda _: None)
    return out


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    """A fresh copy of the study."""
    return Path(shutil.copytree(prepared, tmp_path / "study"))


@pytest.fixture
def manifest(folder: Path) -> Manifest:
    return load(folder)


@pytest.fixture
def synthetic(tmp_path: Path) -> Path:
    """A study of one-frame clips: votes count a thirtieth of a second after the question."""
    folder = tmp_path / "synthetic"
    loadtest.synthetic(folder, Settings(votes=40, break_minutes=1e6))
    return folder


@pytest.fixture
def study(synthetic: Path) -> Iterator[Study]:
    opened = Study(synthetic)
    yield opened
    opened.storage.close()


def find_chromium() -> str | None:
    for name in (os.environ.get("NVCODEC_CHROMIUM", ""), "chromium", "chromium-browser",
                 "google-chrome"):
        if name and (path := shutil.which(name)):
            return path
    return None


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium through playwright; where it is missing, NVCODEC_REQUIRE_BROWSER makes
    a failure of what is a skip otherwise."""
    problem = None
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        problem = "playwright is not installed (pip install '.[dev]')"
    path = find_chromium()
    if problem is None and path is None:
        problem = "no chromium on PATH (apt-get install chromium, or set NVCODEC_CHROMIUM)"
    if problem:
        missing(problem, "NVCODEC_REQUIRE_BROWSER")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=[
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync"])
        yield chromium
        chromium.close()
