"""Votes -> scores: report.html, report.json, votes.csv, elo-bpp.png, wins.png."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from rater_study import bootstrap, bradley_terry, elo, manifest, plots, screening, storage, tally
from rater_study.errors import StudyError
from rater_study.manifest import Manifest
from rater_study.pages import page
from rater_study.pairing import PAIR
from rater_study.tally import Row, Tally

#: Decimals of Elo points in files.
DIGITS = 2


def write(folder: Path, out: Path | None = None, keep_all: bool = False, seed: int = 1,
          replicates: int = bootstrap.REPLICATES) -> dict[str, Any]:
    """Read a study's votes and write its report; what went into report.json.

    Args:
        folder: the study; it may be served meanwhile.
        out: where files go, default folder/report.
        keep_all: also count raters whom the screening leaves out.
        seed: of the bootstrap.
        replicates: of each bootstrap.
    """
    design = manifest.load(folder)
    if not (folder / storage.NAME).exists():
        rows: list[Row] = []
    else:
        store = storage.Storage(folder / storage.NAME)
        rows = tally.read(store)
        store.close()
    result = evaluate(design, rows, keep_all, seed, replicates)
    out = out or folder / "report"
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.json").write_text(json.dumps(_plain(result), indent=1) + "\n")
        (out / "votes.csv").write_text(votes_csv(rows, design))
        if result["votes"]["counted"]:
            plots.elo_against_bpp(result, out / "elo-bpp.png")
            plots.win_matrix(result, out / "wins.png")
        (out / "report.html").write_text(page("report.html", r=result))
    except OSError as error:
        raise StudyError(f"{out}: {error.strerror}", "choose another folder with -o") from None
    return result


def evaluate(design: Manifest, rows: Sequence[Row], keep_all: bool = False, seed: int = 1,
             replicates: int = bootstrap.REPLICATES) -> dict[str, Any]:
    """All figures of the report; scores and bounds are NaN where the votes do not tell."""
    looks = screening.screen(rows)
    out = {look.rater for look in looks if look.reasons and not keep_all}
    kept = [r for r in rows if r.rater not in out]
    votes = tally.tally(kept, design)
    wins = votes.wins()
    graph = bradley_terry.graph(wins)
    ratings = elo.sequential(
        [(int(i), int(j), float(s)) for i, j, s in zip(votes.first, votes.second, votes.share,
                                                       strict=True)], votes.n)
    scores = bradley_terry.elo(wins, graph)
    bounds, spread = _bounds(votes, scores, graph, seed, replicates)
    games = (wins + wins.T).sum(axis=1)
    conditions = [
        {"id": c.id, "method": c.method, "label": c.label, "bpp": c.bpp, "part": _part(graph, i),
         "votes": float(games[i]), "elo": scores[i], "low": bounds[0][i], "high": bounds[1][i],
         **{name: spread[name][i] for name in spread},
         "sequential": ratings[i] if games[i] else float("nan"),
         "wins": float(wins[i].sum() / games[i]) if games[i] else float("nan")}
        for i, c in enumerate(design.conditions)]
    return {
        "clips": len(design.clips), "raters": len(looks), "settings": asdict(design.settings),
        "encoding": design.encoding,
        "votes": {"all": len(rows), "plain": sum(r.kind == PAIR for r in rows),
                  "counted": len(votes), "ties": sum(r.choice == "tie" for r in rows)},
        "conditions": conditions, "matrix": wins.tolist(),
        "notes": notes(design, graph, out, len(votes)),
        "screening": [{**asdict(x), "kept": x.rater not in out} for x in looks],
        "agreement": screening.agreement(kept),
        "method": {"k": elo.K, "start": elo.START, "level": bootstrap.LEVEL,
                   "replicates": replicates, "seed": seed, "ridge": bradley_terry.TINY_RIDGE},
    }


def _bounds(votes: Tally, scores: tally.Floats, graph: bradley_terry.Graph, seed: int,
            replicates: int) -> tuple[tally.Floats, dict[str, tally.Floats]]:
    """Lower and upper bounds [2, n], and standard deviations by what was resampled."""
    bounds = np.full((2, votes.n), np.nan)
    spread = {name: np.full(votes.n, np.nan) for name in ("raters_sd", "clips_sd", "votes_sd")}
    for part in graph.parts:
        if len(part) < 2:
            continue
        own = bootstrap.intervals(votes.only(part), scores[part], np.random.default_rng(seed),
                                  replicates)
        bounds[:, part] = own.low, own.high
        for name in spread:
            spread[name][part] = getattr(own, name)
    return bounds, spread


def _part(graph: bradley_terry.Graph, condition: int) -> int:
    return next(k for k, part in enumerate(graph.parts) if condition in part)


def notes(design: Manifest, graph: bradley_terry.Graph, out: set[int], counted: int) -> list[str]:
    """Plain sentences on what limits the scores."""
    name = [c.label for c in design.conditions]
    if not counted:
        return ["There are no votes yet."]
    said = []
    if not graph.is_connected:
        groups = "; ".join(", ".join(name[i] for i in part) for part in graph.parts)
        said.append(f"The votes fall into {len(graph.parts)} groups that no comparison joins: "
                    f"{groups}. Scores of different groups cannot be compared.")
    for number in range(len(graph.parts)):
        if graph.is_separated(number):
            tiers = " > ".join(", ".join(name[i] for i in tier) for tier in graph.tiers[number])
            said.append("Some conditions only ever won or lost against the rest, so the true "
                        f"distances have no upper bound: {tiers}. A prior with precision "
                        f"{bradley_terry.TINY_RIDGE} keeps these scores finite; read them, and "
                        "their intervals, as an order only.")
    if out:
        listed = ", ".join(map(str, sorted(out)))
        said.append(f"Left out by the screening: rater{'s' * (len(out) > 1)} {listed}. "
                    "--keep-all counts everyone.")
    if design.settings.active:
        said.append("Pairs were chosen actively: plain win shares are not comparable between "
                    "conditions, scores are.")
    return said


def votes_csv(rows: Sequence[Row], design: Manifest) -> str:
    """Every vote, with the names of clips and conditions beside their ids."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [f.name for f in fields(Row)]
    writer.writerow([*names, "clip_name", "left_label", "right_label"])
    label = {c.id: c.label for c in design.conditions}
    for row in rows:
        writer.writerow([*(getattr(row, n) for n in names), design.clip_by_id[row.clip].name,
                         label.get(row.left, row.left), label.get(row.right, row.right)])
    return out.getvalue()


def _plain(value: Any) -> Any:
    """For JSON: NaN as null, floats rounded, numpy's types as Python's."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return None if np.isnan(value) else round(value, 6 if abs(value) < 2 else DIGITS)
    return value
