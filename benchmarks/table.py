"""The summary as tables: headings and cells first, then Markdown or HTML."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.cache import Row
from benchmarks.codecs import ANCHORS, OWN
from benchmarks.heading import count
from benchmarks.plan import MATCHED_BPP
from benchmarks.summary import MAIN, METRICS, TEST_CODEC, Metric

#: LPIPS, PSNR, MS-SSIM at 0.0384 bpp on MCL-JCV at 640x360: L. Yu et al., "Language Model Beats
#: Diffusion - Tokenizer is Key to Visual Generation" (MAGVIT-v2), arXiv:2310.05737, Table 3.
PAPER = {
    "HEVC": (0.199, 30.10, 0.943), "VVC": (0.153, 32.65, 0.966),
    "MAGVIT": (0.144, 23.70, 0.846), "MAGVIT-v2": (0.104, 26.18, 0.894),
}
NONE = "–"
#: Columns of the CSV file, in order.
CSV_COLUMNS = (
    "clip", "codec", "scale", "point", "frames", "width", "height", "bytes", "bpp", "lpips",
    "psnr", "msssim", "vmaf", "flicker", "lpips_vgg", "metric_frames", "encode_seconds",
    "decode_seconds", "encode_inner_seconds", "decode_inner_seconds", "encode_rss_mib",
    "decode_rss_mib", "jobs", "version", "clip_sha256",
)


@dataclass(frozen=True)
class Table:
    """A table of text cells with a title and notes below."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """GitHub's dialect."""
        lines = [f"### {self.title}", "", "| " + " | ".join(self.headings) + " |",
                 "|" + "---|" * len(self.headings)]
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        return "\n".join([*lines, *(f"\n{note}" for note in self.notes), ""])

    def html(self) -> str:
        """A section of the page."""
        head = "".join(f"<th>{html.escape(h)}</th>" for h in self.headings)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>"
                       for row in self.rows)
        notes = "".join(f"<p class=note>{html.escape(n)}</p>" for n in self.notes)
        return (f"<h2>{html.escape(self.title)}</h2><div class=scroll><table><thead><tr>{head}"
                f"</tr></thead><tbody>{body}</tbody></table></div>{notes}")


def label(codec: str) -> str:
    """A codec's name in tables."""
    known = {**OWN, **ANCHORS}
    return known[codec].label if codec in known else codec


def number(value: float | None, digits: int) -> str:
    """Fixed digits, or a dash."""
    return NONE if value is None else f"{value:.{digits}f}"


def all_tables(summary: dict[str, Any]) -> list[Table]:
    """In the order of the report."""
    by_rate = {entry["bpp"]: entry for entry in summary["at"]}
    tables = [paper_table(by_rate[MATCHED_BPP], summary)] if MATCHED_BPP in by_rate else []
    return [*tables, rates_table(summary), bd_table(summary), bd_clips_table(summary),
            speed_table(summary), settings_table(summary)]


def paper_table(at: dict[str, Any], summary: dict[str, Any]) -> Table:
    """The form of the paper's Table 3, with the paper's own rows beside ours."""
    rows: list[Sequence[str]] = [
        [label(codec), "measured here", *_cells(at["means"].get(codec), MAIN),
         f"{at['covered'][codec]} of {len(summary['clips'])}"] for codec in summary["codecs"]]
    rows += [[name, "paper, MCL-JCV", *(number(v, m.digits) for v, m in zip(
        values, MAIN, strict=True)), "30 of 30"] for name, values in PAPER.items()]
    notes = [_common_note(at), "The paper's rows (arXiv:2310.05737, Table 3) are on MCL-JCV at "
             "640x360; they compare with measured ones only where these are on MCL-JCV too."]
    return Table(f"At {at['bpp']:g} bpp, as in the paper's Table 3",
                 ["codec", "source", *(m.heading for m in MAIN), "clips that reach this rate"],
                 rows, notes)


def rates_table(summary: dict[str, Any]) -> Table:
    """All metrics at all given rates."""
    rows = [[f"{at['bpp']:g}", label(codec), *_cells(at["means"].get(codec), METRICS),
             f"{len(at['clips'])}", f"{at['covered'][codec]}"]
            for at in summary["at"] for codec in summary["codecs"]]
    return Table("At given rates", ["bpp", "codec", *(m.heading for m in METRICS), "clips in mean",
                                    "clips reached"], rows,
                 ["Piecewise cubic interpolation over ln(bpp) for each clip, never outside its "
                  "measured points; then the mean over the clips that every codec reaches.",
                  *(_common_note(at) for at in summary["at"] if at["left_out"])])


def _common_note(at: dict[str, Any]) -> str:
    if not at["clips"]:
        return f"At {at['bpp']:g} bpp no clip is reached by all codecs that reach any."
    left = f"; not reached by all: {', '.join(at['left_out'])}" if at["left_out"] else ""
    return f"At {at['bpp']:g} bpp: means over {count(len(at['clips']), 'clip')}{left}."


def bd_table(summary: dict[str, Any]) -> Table:
    """BD-rate against each anchor."""
    rows = [[label(anchor), *(_percent(found[m.name]["percent"], found[m.name]["clips"])
                              for m in MAIN)] for anchor, found in summary["bd_rate"].items()]
    return Table(f"BD-rate of {TEST_CODEC} (negative: fewer bits at equal quality)",
                 ["against", *(f"by {m.heading[:-2].replace(' dB', '')}" for m in MAIN)], rows,
                 ["Mean of the clips' BD-rates (Bjontegaard, VCEG-M33; PCHIP variant), in brackets "
                  "the clips whose quality ranges overlap. MS-SSIM enters in dB."])


def bd_clips_table(summary: dict[str, Any]) -> Table:
    """BD-rate by LPIPS of every clip."""
    anchors = summary["bd_rate"]
    rows = [[clip["name"], str(clip["frames"]),
             *(_percent(anchors[a]["lpips"]["each"].get(clip["name"])) for a in anchors)]
            for clip in summary["clips"]]
    return Table(f"BD-rate of {TEST_CODEC} by LPIPS, clip by clip",
                 ["clip", "frames", *(label(a) for a in anchors)], rows)


def speed_table(summary: dict[str, Any]) -> Table:
    """Frames per second and memory."""
    rows = [[label(codec), str(s["threads"]), number(s["encode_fps"], 1),
             number(s["encode_inner_fps"], 1), number(s["decode_fps"], 1),
             number(s["decode_inner_fps"], 1), number(s["encode_rss_mib"], 0),
             number(s["decode_rss_mib"], 0)] for codec, s in summary["speed"].items()]
    notes = ["Whole processes, start-up included, from the lossless master to the coded file and "
             "from it to a lossless file; over all points. Memory is the peak resident set."]
    if any(s["jobs"] > 1 for s in summary["speed"].values()):
        notes.append("Several points ran at once (--jobs): these speeds are lower bounds.")
    processors = {p for s in summary["speed"].values() for p in s["processors"]}
    if len(processors) > 1:
        notes.append(f"Rows come from several machines ({', '.join(sorted(processors))}): "
                     "compare speeds only within one.")
    return Table("Speed and memory at 640x360",
                 ["codec", "threads", "encode fps", "without start-up", "decode fps",
                  "without start-up", "encode MiB", "decode MiB"], rows, notes)


def process_table(speed: dict[str, Any]) -> Table:
    """What `benchmarks.speed` measured."""
    rows = [[r["label"], r["point"], str(r["threads"]), number(r["bpp"], 4),
             number(r["encode_fps"], 1), number(r["decode_fps"], 1),
             number(r["encode_rss_mib"], 0), number(r["decode_rss_mib"], 0)]
            for r in speed["rows"]]
    return Table("Encode and decode speed side by side, one clip",
                 ["codec", "point", "threads", "bpp", "encode fps", "decode fps", "encode MiB",
                  "decode MiB"], rows, speed["notes"])


def settings_table(summary: dict[str, Any]) -> Table:
    """Versions and settings."""
    rows = [[label(codec), c["version"], ", ".join(
        f"{k} {v}" for k, v in c["settings"].items()), str(c["points"])]
        for codec, c in summary["codecs"].items()]
    return Table("Codecs", ["codec", "version", "settings", "points measured"], rows)


def _cells(means: dict[str, float | None] | None, metrics: Iterable[Metric]) -> list[str]:
    return [number((means or {}).get(m.name), m.digits) for m in metrics]


def _percent(value: float | None, clips: int | None = None) -> str:
    if value is None:
        return NONE
    return f"{value:+.1f} %" + ("" if clips is None else f" ({clips})")


def csv_text(rows: Iterable[Row]) -> str:
    """One line per row, the columns of CSV_COLUMNS."""
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
