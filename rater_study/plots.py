"""The report's figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

#: Inches and dots per inch.
SIZE, DPI = (7.0, 4.4), 110
#: Okabe and Ito's colours, which colour-blind people can tell apart.
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
MARKERS = "osD^vPX"


def elo_against_bpp(result: dict[str, Any], path: Path) -> None:
    """Elo over bits per pixel, a line per method with its intervals, as Figure 6 of the paper; a
    condition whose rate is unknown is a line across."""
    pyplot = _pyplot()
    figure, axis = pyplot.subplots(figsize=SIZE, layout="constrained")
    methods = list(dict.fromkeys(c["method"] for c in result["conditions"]))
    for number, method in enumerate(methods):
        own = [c for c in result["conditions"] if c["method"] == method and np.isfinite(c["elo"])]
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        rated = sorted((c for c in own if c["bpp"] is not None), key=lambda c: c["bpp"])
        name: str | None = method
        if rated:
            half = np.array([[c["elo"] - c["low"], c["high"] - c["elo"]] for c in rated]).T
            axis.errorbar([c["bpp"] for c in rated], [c["elo"] for c in rated],
                          yerr=np.nan_to_num(np.abs(half)), color=colour, marker=marker,
                          capsize=3, linewidth=1.8, label=name)
            name = None
        for flat in (c for c in own if c["bpp"] is None):
            axis.axhline(flat["elo"], color=colour, linestyle="--", linewidth=1.4, label=name)
            name = None
    axis.set_xlabel("bits per pixel")
    axis.set_ylabel("Elo (Bradley-Terry, mean 0)")
    axis.grid(alpha=0.3)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(frameon=False)
    votes, raters = result["votes"]["counted"], sum(x["kept"] for x in result["screening"])
    axis.set_title(f"{votes} votes of {raters} raters on {result['clips']} clips; bars: "
                   f"{100 * result['method']['level']:.0f}% intervals", fontsize=10)
    figure.savefig(path, dpi=DPI, metadata={"Software": None})
    pyplot.close(figure)


def win_matrix(result: dict[str, Any], path: Path) -> None:
    """Share of votes that the row won against the column, with the number of votes."""
    pyplot = _pyplot()
    wins = np.array(result["matrix"])
    games = wins + wins.T
    share = np.divide(wins, games, out=np.full_like(wins, np.nan), where=games > 0)
    labels = [c["label"] for c in result["conditions"]]
    side = 1.8 + 0.55 * len(labels)
    figure, axis = pyplot.subplots(figsize=(side + 1, side), layout="constrained")
    image = axis.imshow(share, cmap="RdBu", vmin=0, vmax=1)
    for i, j in np.argwhere(games > 0):
        axis.text(j, i, f"{100 * share[i, j]:.0f}%\n{games[i, j]:.0f}", ha="center", va="center",
                  fontsize=7, color="white" if abs(share[i, j] - 0.5) > 0.35 else "black")
    axis.set_xticks(range(len(labels)), labels, rotation=60, ha="right", fontsize=8)
    axis.set_yticks(range(len(labels)), labels, fontsize=8)
    figure.colorbar(image, label="row preferred to column", shrink=0.8)
    figure.savefig(path, dpi=DPI, metadata={"Software": None})
    pyplot.close(figure)


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot
