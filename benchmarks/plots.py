"""Rate-distortion plots as PNG: one figure with LPIPS, PSNR and MS-SSIM per clip, one of means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.bdrate import Point
from benchmarks.plan import MATCHED_BPP
from benchmarks.summary import MAIN, Metric, Results, mean_curve
from benchmarks.table import PAPER, label

#: Inches and dots per inch: small files, still sharp at the page's width.
SIZE, DPI = (11.0, 3.4), 80
#: Okabe and Ito's colours, which colour-blind people can tell apart.
STYLES = {"nvcodec": ("#d55e00", "o", 2.2), "nvcodec-search": ("#8c2d04", "o", 2.2),
          "nvcodec-plain": ("#e69f00", "o", 1.3), "nvcodec-dense": ("#e69f00", "v", 1.3),
          "nvcodec-tokens": ("#e69f00", "x", 1.3),
          "hevc": ("#0072b2", "s", 1.3), "vvc": ("#009e73", "^", 1.3), "av1": ("#cc79a7", "D", 1.3)}


def draw_all(results: Results, folder: Path) -> list[Path]:
    """rd-mean.png first, then rd-CLIP.png of every clip."""
    paths = [folder / "rd-mean.png"]
    curves = {m.name: {c: mean_curve(results, c, m.name) for c in results.codecs} for m in MAIN}
    clips = len(results.clips)
    draw(curves, f"mean over {clips} clip{'s' * (clips != 1)}", paths[0], paper=True)
    for clip in results.clips:
        paths.append(folder / f"rd-{clip}.png")
        draw({m.name: {c: results.curve(c, clip, m.name) for c in results.codecs} for m in MAIN},
             clip, paths[-1])
    return paths


def draw(curves: dict[str, dict[str, list[Point]]], title: str, path: Path,
         paper: bool = False) -> None:
    """One figure; `curves` is by metric, then codec. `paper` marks the paper's own figure."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(MAIN), figsize=SIZE, layout="constrained")
    for axis, metric in zip(axes, MAIN, strict=True):
        _panel(axis, metric, curves[metric.name])
        if paper:
            axis.plot(MATCHED_BPP, PAPER["MAGVIT-v2"][MAIN.index(metric)], "k*", markersize=9,
                      linestyle="none", label="MAGVIT-v2 (paper, MCL-JCV)")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=6, frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=DPI, metadata={"Software": None})
    pyplot.close(figure)


def _panel(axis: Any, metric: Metric, curves: dict[str, list[Point]]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for codec, points in curves.items():
        if not points:
            continue
        colour, marker, width = STYLES.get(codec, ("#555555", "x", 1.3))
        axis.plot(*zip(*sorted(points), strict=True), color=colour, marker=marker, markersize=4,
                  linewidth=width, label=label(codec))
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.tick_params(labelsize=8)
    axis.grid(True, which="major", alpha=0.3)
    axis.set_xlabel("bits per pixel", fontsize=9)
    axis.set_title(metric.heading, fontsize=10)
