"""The report as one HTML page that needs nothing else: no file beside it, no network.

Pictures are JPEG crops inside the page. Their number and quality are lowered step by step until
all of them fit into BUDGET.
"""

from __future__ import annotations

import base64
import html
import io
import json
from pathlib import Path
from typing import Any

from benchmarks import page, stills, table
from benchmarks.heading import head_lines
from benchmarks.plan import MATCHED_BPP
from benchmarks.summary import Results, nearest

#: Bytes that the whole page, and of these the side-by-side pictures in base64, may take.
PAGE_BUDGET, BUDGET = 4_700_000, 2_300_000
#: (pictures per clip and codec, JPEG quality) from the best down.
LADDER = ((3, 88), (3, 80), (2, 80), (2, 70), (1, 75), (1, 60), (1, 40))

Scene = dict[str, Any]
Picture = dict[str, Any]


def page_scenes(results: Results, folder: Path, bpp: float = MATCHED_BPP) -> list[Scene]:
    """What can be stepped through: per clip and frame the crops of source and codecs near `bpp`.

    Each picture is {"label", "note", "path"}; clips whose crops are gone are left out.
    """
    scenes: list[Scene] = []
    for clip in results.clips:
        rows = {c: nearest(results, c, clip, bpp) for c in results.codecs}
        known = [r for r in rows.values() if r]
        frames = stills.chosen_frames(known[0]["frames"])
        source = stills.source_owner(known[0]["master_pixels"])
        for frame in frames:
            pictures: list[Picture] = [{"label": "source", "note": "",
                         "path": stills.still_path(folder, source, frame)}]
            pictures += [{"label": table.label(codec), "note": _note(row),
                          "path": stills.still_path(folder, row["key"], frame)}
                         for codec, row in rows.items() if row]
            if all(p["path"].exists() for p in pictures):
                scenes.append({"clip": clip, "frame": frame, "pictures": pictures})
    return scenes


def _note(row: dict[str, Any]) -> str:
    return (f"{row['bpp']:.4f} bpp ({row['scale']} {row['point']}), LPIPS {row['lpips']:.3f}, "
            f"{row['psnr']:.2f} dB")


def embed(scenes: list[Scene], budget: int = BUDGET) -> list[Scene]:
    """The scenes with their pictures as data URIs, within `budget` bytes; [] if nothing fits."""
    for count, quality in LADDER:
        chosen = _thin(scenes, count)
        done = [{**scene, "pictures": [
            {"label": p["label"], "note": p["note"], "uri": jpeg_uri(p["path"], quality)}
            for p in scene["pictures"]]} for scene in chosen]
        if sum(len(p["uri"]) for s in done for p in s["pictures"]) <= budget:
            return done
    return []


def _thin(scenes: list[Scene], count: int) -> list[Scene]:
    """At most `count` scenes of every clip, the middle ones first."""
    kept: list[Scene] = []
    for clip in dict.fromkeys(s["clip"] for s in scenes):
        own = [s for s in scenes if s["clip"] == clip]
        kept += own[(len(own) - 1) // 2:][:1] if count == 1 else own[-count:]
    return kept


def jpeg_uri(path: Path, quality: int) -> str:
    """A picture file as a JPEG data URI (4:4:4, for chroma artefacts are part of the view)."""
    from PIL import Image

    out = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(out, "JPEG", quality=quality, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()


def page_html(summary: dict[str, Any], scenes: list[Scene], pictures: list[Path]) -> str:
    """The finished page."""
    tables = table.all_tables(summary)
    if "processes" in summary:
        tables.append(table.process_table(summary["processes"]))
    first, *rest = tables
    mean, *each = (
        f'<img class=plot alt="{html.escape(p.stem)}" src="data:image/png;base64,'
        f'{base64.b64encode(p.read_bytes()).decode()}">' for p in pictures)
    viewer = page.VIEWER.replace("$BPP", f"{MATCHED_BPP:g}") if scenes else (
        "<p class=note>No pictures: the work folder with the decoded frames is gone.</p>")
    head = "".join(f"<p>{html.escape(line)}</p>" for line in head_lines(summary))
    body = [f"<h1>{html.escape(summary['meta']['title'])}</h1>", head, first.html(), mean,
            "<h2>Side by side</h2>", viewer, *(t.html() for t in rest),
            "<h2>Rate-distortion plots, clip by clip</h2>", *each]
    # "</" would end the script element that holds the data.
    data = json.dumps(scenes, separators=(",", ":")).replace("</", "<\\/")
    return page.DOCUMENT.replace("$TITLE", html.escape(summary["meta"]["title"])).replace(
        "$BODY", "\n".join(body)).replace("$SCENES", data)


def page_of(results: Results, summary: dict[str, Any], folder: Path, pictures: list[Path]) -> str:
    """Scenes from the crops in `folder`, tables from the summary, plots from `pictures`."""
    plots = sum(p.stat().st_size for p in pictures) * 4 // 3
    scenes = embed(page_scenes(results, folder), min(BUDGET, PAGE_BUDGET - plots))
    return page_html(summary, scenes, pictures)
