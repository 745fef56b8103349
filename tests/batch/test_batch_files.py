"""Which files a batch takes, what their outputs are called, and its manifest."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvcodec.batch.files import clashes, find_files, name_targets
from nvcodec.batch.manifest import NAME, Manifest
from nvcodec.errors import InputError, OutputError


def tree(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_what_is_taken(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", "b.mp4", "A.MKV", "notes.txt", ".hidden.mp4", "sub/c.png",
                  ".git/d.png", "out/b.mp4", "done.mvt")
    (source / "loop").symlink_to(source)
    assert find_files(source, source / "out").files == ["A.MKV", "b.mp4", "sub/c.png"]
    # Outputs beside their sources are fine: they are not videos to a batch.
    assert find_files(source, source).files == ["A.MKV", "b.mp4", "out/b.mp4", "sub/c.png"]


@pytest.mark.parametrize(("name", "says"), [
    ("a.mp4", "is a file"), ("missing", "no such folder"), ("empty", "no videos or pictures")])
def test_no_folder_of_videos(name: str, says: str, tmp_path: Path) -> None:
    tree(tmp_path, "a.mp4", "empty/notes.txt")
    with pytest.raises(InputError, match=says):
        find_files(tmp_path / name, tmp_path / "out")


def test_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tree(tmp_path, "a.mp4", "locked/b.mp4", "z/c.mp4")
    scandir = os.scandir

    def refuse(path: str) -> Iterator[os.DirEntry[str]]:  # chmod does not stop root
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find_files(source, tmp_path / "out")
    assert found.files == ["a.mp4", "z/c.mp4"]
    assert list(found.errors) == ["locked"] and "Permission denied" in found.errors["locked"]


def test_names_that_would_meet() -> None:
    names = ["a.mkv", "a.mp4", "b.mp4", "s/a.mp4", "B.mov", "c.mp4", "c.mp4.mkv", "c.mov"]
    targets = name_targets(names, {})
    assert targets == {
        "a.mkv": "a.mkv.mvt", "a.mp4": "a.mp4.mvt", "s/a.mp4": "s/a.mvt",
        "b.mp4": "b.mp4.mvt", "B.mov": "B.mov.mvt",
        "c.mp4": "c.mp4.mvt", "c.mov": "c.mov.mvt", "c.mp4.mkv": "c.mp4.mkv.mvt"}


def test_a_new_neighbour_does_not_rename_what_is_done() -> None:
    assert name_targets(["a.mkv", "a.mp4"], {"a.mp4": "a.mvt"}) == {
        "a.mp4": "a.mvt", "a.mkv": "a.mkv.mvt"}
    # A manifest cannot send an output elsewhere.
    assert name_targets(["a.mp4"], {"a.mp4": "../../a.mvt"}) == {"a.mp4": "a.mvt"}


NAMES = [f"{folder}{stem}{middle}.{last}" for folder in ("", "a/") for stem in "aAb"
         for middle in ("", ".mp4") for last in ("mp4", "mkv", "png")]


@given(st.sets(st.sampled_from(NAMES)))
def test_no_two_sources_share_an_output(names: set[str]) -> None:
    targets = name_targets(sorted(names), {})
    assert set(targets) == names and not clashes(targets)
    assert name_targets(sorted(names), targets) == targets


@pytest.mark.parametrize("content", [
    "", "[]", "{", '{"version": 1}', '{"version": 1, "files": [1]}', '{"version": 9, "files": {}}',
    '{"version": 1, "files": {"a": 1}}', "[" * 100_000])
def test_a_file_that_is_no_manifest(content: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(content)
    with pytest.raises(OutputError, match="delete it"):
        Manifest(tmp_path)


def test_one_batch_at_a_time(tmp_path: Path) -> None:
    with Manifest(tmp_path / "out") as first:
        first.put("a.mp4", {"status": "done"})
        with pytest.raises(OutputError, match="another batch"):
            Manifest(tmp_path / "out")
    with Manifest(tmp_path / "out") as second:
        assert second.files == {"a.mp4": {"status": "done"}}
    assert json.loads((tmp_path / "out" / NAME).read_text())["version"] == 1


def test_a_killed_batch_leaves_no_half_manifest(tmp_path: Path) -> None:
    half = tmp_path / f".{NAME}.0123abcd.part"
    half.write_text("{")
    with Manifest(tmp_path) as manifest:
        assert not manifest.files and not half.exists()
