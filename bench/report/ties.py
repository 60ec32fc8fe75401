"""A figure of the range of mAP@k that the order of ties alone allows."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from bench.report.figures import Plot, finished, panels
from bench.report.line_ends import SIZE, short
from bench.report.quality import select
from bench.report.runs import headline_ks
from bench.report.styles import Style, look

ROW = 0.125
"""Inches of height a method."""
ROOM = 0.4
"""For names beside the lines, as a share of the length of the longest axis."""
SEEN = 5e-4
"""Shares of mAP that rounding does not hide."""


def tie_ranges(name: str, title: str, scores: pd.DataFrame, styles: dict[str, Style]) -> Plot | None:
    """mAP at the first headline k, from the worst to the best order of ties, a panel for each code length.

    `scores`: one dataset and protocol, from `quality.aggregate`. None where ties change nothing.
    """
    k = headline_ks([int(k) for k in scores["k"].unique()])[0]
    shown = select(scores, k=k)
    shown = shown[shown["map_best"].notna() & ~shown["bound"].astype(bool)]
    if shown.empty or (shown["map_best"] - shown["map_worst"]).max() <= SEEN:
        return None
    low, high = float(shown["map_worst"].min()), float(shown["map_best"].max())
    lengths = sorted(int(bits) for bits in shown["bits"].unique())
    most = max(len(select(shown, bits=bits)) for bits in lengths)

    def draw(axes: Axes, bits: int) -> None:
        rows = select(shown, bits=bits).sort_values("map", ascending=False, kind="stable")
        colours = [styles[method].colour for method in rows["method"]]
        axes.hlines(-np.arange(len(rows)), rows["map_worst"], rows["map_best"], colors=colours, linewidth=1.6)
        for place, row in enumerate(rows.to_dict("records")):
            method, style = row["method"], styles[row["method"]]
            axes.plot([row["map"]], [-place], linestyle="none", label=method, **look(style, 3.5))
            axes.annotate(
                short(method), (row["map_best"], -place), (3, 0), textcoords="offset points",
                va="center", fontsize=SIZE, color=style.colour,
            )  # fmt: skip
        axes.set_title(f"{bits} bits")
        axes.set_xlim(low - 0.03 * (high - low), high + ROOM * (high - low))
        axes.set_ylim(-most + 0.4, 0.6)
        axes.yaxis.set_major_locator(NullLocator())

    def make() -> Figure:
        figure = panels(lengths, draw, f"mAP@{k}", "", share_y=False)
        width, height = figure.get_size_inches()
        figure.set_size_inches(width, max(height, ROW * most + 0.7))
        return figure

    caption = (
        f"mAP@{k} on {title}: the exact mean over all orders of videos at equal distance, and the range from the worst "
        "to the best order of the same codes"
    )
    return finished(name, caption, make, shown)
