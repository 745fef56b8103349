"""Where the videos of a study come from: plain folders, or a benchmark's result folder."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nvcodec.errors import UsageError
from rater_study.errors import StudyError

SUFFIXES = {".mp4", ".mkv", ".mov", ".webm", ".y4m", ".avi", ".hevc", ".vvc", ".obu", ".ivf",
            ".mvt"}
ROWS = "results.jsonl"
#: Method names that are no words, in plots.
LABELS = {"nvcodec": "nvcodec", "hevc": "HEVC", "vvc": "VVC", "av1": "AV1"}
#: A video this far (as a factor) from the wished rate does not stand for it.
RATE_FACTOR = 1.25


@dataclass(frozen=True)
class Found:
    """One video of a method at a rate. `bpp` in bits per pixel, None where nobody says."""

    clip: str
    method: str
    label: str
    path: Path
    bpp: float | None


@dataclass
class Material:
    """All videos, the sources by clip, and one line for each thing that was left out."""

    videos: list[Found] = field(default_factory=list)
    references: dict[str, Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def gather(folders: Sequence[Path], reference: Path | None, bpp: Sequence[float] = (),
           work: Path | None = None) -> Material:
    """Plain folders, or one benchmark result folder.

    Args:
        folders: METHOD_DIRs, or the one folder that holds results.jsonl.
        reference: folder with the sources, by the clips' names.
        bpp: for a benchmark only: rates to show; each clip's nearest point stands for a rate.
        work: the benchmark's work folder, where it is not RESULTS/work.
    """
    for folder in [*folders, *([reference] if reference else [])]:
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder", "check the path")
    if len(folders) == 1 and (folders[0] / ROWS).exists():
        return _benchmark(folders[0], work or folders[0] / "work", bpp, reference)
    if bpp:
        raise UsageError("--bpp is for a benchmark result folder",
                         "name plain folders METHOD@BPP, such as hevc@0.04")
    material = Material(references=videos_in(reference) if reference else {})
    for folder in folders:
        material.videos += _plain(folder)
    return material


def videos_in(folder: Path) -> dict[str, Path]:
    """Clip name (the file's stem) -> file. StudyError where two files are one clip, or none is."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            if path.stem in found:
                raise StudyError(f"{folder}: {found[path.stem].name} and {path.name} are one clip",
                                 "keep one of them")
            found[path.stem] = path
    if not found:
        raise StudyError(f"{folder}: holds no video",
                         f"put one file per clip there ({' '.join(sorted(SUFFIXES))})")
    return found


def _plain(folder: Path) -> list[Found]:
    """A folder's videos. Its name is METHOD or METHOD@BPP; method.json in it overrules that."""
    match = re.fullmatch(r"(.+?)@(\d*\.?\d+)(?:bpp)?", folder.resolve().name)
    method, rate = (match[1], float(match[2])) if match else (folder.resolve().name, None)
    facts: dict[str, Any] = {}
    notes = folder / "method.json"
    if notes.exists():
        try:
            facts = json.loads(notes.read_text())
            method = str(facts.get("method", method))
            if not isinstance(facts.get("bpp", {}), dict):
                rate, facts = float(facts["bpp"]), {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise StudyError(f"{notes}: cannot be read ({error})",
                             'write {"method": "HEVC", "bpp": {"CLIP": 0.04}}') from None
    rates = {str(k): float(v) for k, v in facts.get("bpp", {}).items()}
    known = list(rates.values()) or ([rate] if rate is not None else [])
    shown = facts.get("label") or (f"{method} {sum(known) / len(known):.3g} bpp" if known
                                   else method)
    return [Found(clip, method, str(shown), path, rates.get(clip, rate))
            for clip, path in videos_in(folder).items()]


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """The benchmark's rows; lines that a crash cut off are passed over, as it does itself."""
    rows: dict[str, dict[str, Any]] = {}
    for line in (folder / ROWS).read_text(errors="replace").splitlines():
        try:
            row = json.loads(line)
            rows[row["key"]] = {**row, "bpp": float(row["bpp"]), "clip": str(row["clip"]),
                                "codec": str(row["codec"]), "point": row["point"]}
        except (ValueError, KeyError, TypeError):
            continue
    if not rows:
        raise StudyError(f"{folder / ROWS}: holds no rows", "run the benchmark first")
    return list(rows.values())


def _benchmark(folder: Path, work: Path, bpp: Sequence[float],
               reference: Path | None) -> Material:
    """Coded files that the benchmark kept (work/streams) and its masters as references."""
    rows = read_rows(folder)
    material = Material()
    streams = {p.stem: p for p in (work / "streams").glob("*")}
    masters = _masters(work / "masters")
    for label, row in _choose(rows, bpp, material.notes):
        path = streams.get(row["key"])
        if path is None:
            raise StudyError(
                f"{work / 'streams'}: the coded file of {row['clip']} {row['codec']} "
                f"{row['point']} is gone", "run the benchmark anew into an empty folder and keep "
                "OUT/work, or name its work folder with --work")
        name = LABELS.get(row["codec"], row["codec"])
        material.videos.append(Found(row["clip"], name, f"{name} {label}", path, row["bpp"]))
        if row.get("master_pixels") in masters:
            material.references[row["clip"]] = masters[row["master_pixels"]]
    if reference:
        material.references = videos_in(reference)
    return material


def _masters(folder: Path) -> dict[str, Path]:
    """First 24 digits of the pixels' hash -> lossless master."""
    found = {}
    for notes in folder.glob("*.json"):
        video = notes.with_suffix(".mkv")
        if video.exists():
            found[str(json.loads(notes.read_text())["pixels_sha256"])[:24]] = video
    return found


def _choose(rows: list[dict[str, Any]], bpp: Sequence[float],
            notes: list[str]) -> list[tuple[str, dict[str, Any]]]:
    """(label, row) of what is shown: points that every clip has, or the nearest to each rate."""
    clips = {r["clip"] for r in rows}
    if not bpp:
        have: dict[tuple[str, Any], set[str]] = {}
        for row in rows:
            have.setdefault((row["codec"], row["point"]), set()).add(row["clip"])
        return [(f"{r.get('scale', 'point')} {r['point']}", r) for r in rows
                if have[r["codec"], r["point"]] == clips]
    chosen: list[tuple[str, dict[str, Any]]] = []
    for rate in bpp:
        for codec in dict.fromkeys(r["codec"] for r in rows):
            for clip in sorted(clips):
                own = [r for r in rows if r["clip"] == clip and r["codec"] == codec]
                near = min(own, key=lambda r: abs(math.log(r["bpp"] / rate)), default=None)
                if near and 1 / RATE_FACTOR <= near["bpp"] / rate <= RATE_FACTOR:
                    chosen.append((f"near {rate:g} bpp", near))
                else:
                    notes.append(f"{clip}: {codec} has no point near {rate:g} bpp; left out")
    return chosen
