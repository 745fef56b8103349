"""Rows -> the report's files in one folder.

    results.jsonl  every row, as measured (written by the cache)    results.csv   the same, flat
    summary.json   all figures of the tables                        report.md     the tables
    rd-*.png       rate-distortion plots                            report.html   one page with all
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks import html, machine, plots, table
from benchmarks.heading import head_lines
from benchmarks.summary import Results, summarize
from nvcodec.errors import OutputError
from nvcodec.video.atomic import atomic_output

TITLE = "nvcodec beside HEVC, VVC and AV1"


def write_report(results: Results, folder: Path, stills: Path, failures: list[str],
                 title: str = TITLE) -> dict[str, Any]:
    """Write all files but the rows; returns the summary. OutputError where they cannot be."""
    meta = {"title": title, "date": date.today().isoformat(), "machine": machine.describe(),
            "failures": failures}
    summary = summarize(results, meta)
    speed = folder / "speed.json"
    if speed.exists():
        summary["processes"] = json.loads(speed.read_text())
    try:
        pictures = plots.draw_all(results, folder)
        write(folder / "summary.json", json.dumps(summary, indent=1) + "\n")
        write(folder / "results.csv", table.csv_text(results.rows))
        write(folder / "report.md", markdown(summary, [p.name for p in pictures]))
        write(folder / "report.html", html.page_of(results, summary, stills, pictures))
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror}", "check its permissions and space"
                          ) from error
    return summary


def write(path: Path, text: str) -> None:
    """Replace a file whole."""
    with atomic_output(path, force=True) as partial:
        partial.write_text(text)


def markdown(summary: dict[str, Any], pictures: list[str]) -> str:
    """The report as Markdown, plots by reference."""
    parts = [f"# {summary['meta']['title']}", "\n\n".join(head_lines(summary))]
    parts += [t.markdown() for t in table.all_tables(summary)]
    if "processes" in summary:
        parts.append(table.process_table(summary["processes"]).markdown())
    parts += ["### Rate-distortion plots", *(f"![{name}]({name})" for name in pictures)]
    return "\n\n".join(parts) + "\n"
