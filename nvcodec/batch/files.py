"""Which files of a folder are encoded, and what their outputs are called."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from nvcodec.errors import InputError
from nvcodec.video.suffixes import IMAGE_SUFFIXES, VIDEO_SUFFIXES

SUFFIXES = VIDEO_SUFFIXES | IMAGE_SUFFIXES
OUT_SUFFIX = ".mvt"


@dataclass
class Found:
    """What a walk met, named relative to the folder with `/` between parts, in order of name.

    Attributes:
        files: videos and pictures.
        errors: folder that could not be read -> why.
    """

    files: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)


def find_files(source: Path, target: Path) -> Found:
    """Every video and picture below `source`, known by its suffix.

    Left out are hidden files and folders, links to folders, and all below `target` where that lies
    inside `source`. Raises InputError where `source` is no folder or holds none.
    """
    if not source.is_dir():
        what = "is a file" if source.exists() else "no such folder"
        raise InputError(f"{source}: {what}", "name a folder, or use nvcodec encode for one file")
    found = Found()

    def note(error: OSError) -> None:
        folder = Path(error.filename or source)
        found.errors[_relative(folder, source)] = (
            f"{folder}: cannot be read ({error.strerror}); check its permissions")

    own = target.resolve()
    for name, folders, files in os.walk(source, onerror=note):
        folder = Path(name)
        folders[:] = sorted(f for f in folders
                            if not f.startswith(".") and (folder / f).resolve() != own)
        found.files += [_relative(folder / f, source) for f in files
                        if not f.startswith(".") and Path(f).suffix.lower() in SUFFIXES]
    found.files.sort()
    if not found.files and not found.errors:
        raise InputError(f"{source}: no videos or pictures there",
                         "name a folder that holds some; they are known by their suffix")
    return found


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def name_targets(sources: Iterable[str], recorded: Mapping[str, str]) -> dict[str, str]:
    """Output of each source: the same path with .mvt in the place of its suffix.

    Where two would meet (a.mp4 and a.mkv, or a.mp4 and A.mkv, which are one on some disks) each
    keeps its suffix: a.mp4.mvt and a.mkv.mvt. A source that has an output from an earlier run
    (`recorded`) keeps that name, so that a new neighbour does not make it be encoded again.
    Only what an earlier run has named can still meet; `clashes` finds it.
    """
    names = {s: PurePosixPath(s).with_suffix(OUT_SUFFIX).as_posix() for s in sources}
    fixed = {s for s in names if recorded.get(s) in (names[s], s + OUT_SUFFIX)}
    names |= {s: recorded[s] for s in fixed}
    while again := [s for s in clashes(names, str.casefold)
                    if s not in fixed and names[s] != s + OUT_SUFFIX]:
        names |= {s: s + OUT_SUFFIX for s in again}
    return names


def clashes(names: Mapping[str, str], key: Callable[[str], str] = str) -> list[str]:
    """Sources whose output is another's too; outputs are the same where their `key` is."""
    counts = Counter(map(key, names.values()))
    return [s for s, name in names.items() if counts[key(name)] > 1]
