"""Plots of retrieval quality and training, each with the frame it was drawn from: the CSV file beside it."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator

from bench.metrics.protocols import measure_of
from bench.report.edges import fit, limits
from bench.report.figures import (
    NEUTRAL,
    PLAIN,
    Plot,
    finished,
    methods_in,
    panels,
    seeds_phrase,
    with_legend,
    with_methods,
)
from bench.report.lettering import drawable
from bench.report.quality import select
from bench.report.runs import headline_ks
from bench.report.styles import LINES, Style, look

MAP_AT_K_X = "retrieved videos k"
LEAST_RECALL = 0.01
"""Below, few queries have found anything."""


def map_at_k(name: str, title: str, scores: pd.DataFrame, styles: dict[str, Style]) -> Plot:
    """mAP@k over k, a panel for each code length. `scores`: one dataset and protocol, from `quality.aggregate`."""

    ends = limits(scores, "map")

    def draw(axes: Axes, bits: int) -> None:
        draw_map_at_k(axes, fit(axes, select(scores, bits=bits), "map", ends, falling=True), scores, styles)
        axes.set_title(f"{bits} bits")

    def make() -> Figure:
        figure = panels(sorted(scores["bits"].unique()), draw, MAP_AT_K_X, f"{measure_in(scores)}@k", share_y=True)
        return with_methods(figure, scores, styles, ends=True)

    return finished(name, f"{measure_in(scores)}@k on {title}, by code length", make, scores)


def draw_map_at_k(axes: Axes, here: pd.DataFrame, scores: pd.DataFrame, styles: dict[str, Style]) -> None:
    """Draw the curves of one panel, `here`, with ticks at every k of all `scores` in the figure."""
    _draw_curves(axes, here, ("k", "map"), styles)
    ks = sorted(int(k) for k in scores["k"].unique())
    _exact_ticks(axes, ks, log=_crowded(ks))


def map_by_bits(name: str, title: str, scores: pd.DataFrame, styles: dict[str, Style]) -> Plot:
    """mAP over code length, a panel for each headline k. `scores`: one dataset and protocol."""
    ks = headline_ks([int(k) for k in scores["k"].unique()])
    shown = scores[scores["k"].isin(ks)]
    lengths = sorted(int(bits) for bits in shown["bits"].unique())

    ends = limits(shown, "map")

    def draw(axes: Axes, k: int) -> None:
        _draw_curves(axes, fit(axes, select(shown, k=k), "map", ends, falling=False), ("bits", "map"), styles)
        axes.set_title(f"k = {k}")
        _exact_ticks(axes, lengths, log=True)

    def make() -> Figure:
        figure = panels(ks, draw, "code length (bits)", f"{measure_in(scores)}@k", share_y=True)
        return with_methods(figure, shown, styles, ends=True)

    return finished(name, f"{measure_in(scores)}@k on {title}, against code length", make, shown)


def precision_recall(name: str, title: str, curves: pd.DataFrame, styles: dict[str, Style]) -> Plot:
    """Precision over recall, a point for each Hamming radius, a panel for each code length.

    Recall is on a logarithmic axis: what methods retrieve first tells them apart, and takes little of a linear one.
    `curves`: one dataset and protocol, from `other_metrics.curves`.
    """
    shown = curves[curves["recall"] >= LEAST_RECALL]
    ends = limits(curves if shown.empty else shown, "precision")

    def draw(axes: Axes, bits: int) -> None:
        fitting = fit(axes, select(shown, bits=bits), "precision", ends, falling=True)["method"]
        here = select(curves, bits=bits)
        # Large radii crowd at recall 1: markers stand evenly along the line instead.
        _draw_curves(axes, here[here["method"].isin(fitting)], ("recall", "precision"), styles, every=0.15)
        axes.set_title(f"{bits} bits")
        axes.set_xscale("log")
        axes.set_xlim(LEAST_RECALL, 1.05)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(PLAIN)

    def make() -> Figure:
        figure = panels(sorted(curves["bits"].unique()), draw, "recall", "precision", share_y=True)
        return with_methods(figure, curves, styles)

    caption = (
        f"Precision and recall on {title}, within Hamming distance 0, 1, 2 … of the query, from recall "
        f"{LEAST_RECALL:g} on"
    )
    return finished(name, caption, make, curves)


def training_loss(name: str, title: str, losses: pd.DataFrame, styles: dict[str, Style]) -> Plot:
    """Training loss over epochs, a panel for each method since their losses do not compare.

    `losses`: one dataset, over seeds, with `loss` and `loss_std`.
    """
    lengths = sorted(int(bits) for bits in losses["bits"].unique())
    patterns = {bits: LINES[index % len(LINES)] for index, bits in enumerate(lengths)}

    def draw(axes: Axes, method: str) -> None:
        here = select(losses, method=method)
        by_bits = {bits: replace(styles[method], line=patterns[bits]) for bits in here["bits"].unique()}
        _draw_curves(axes, here, ("epoch", "loss"), by_bits, by="bits")
        axes.set_label(method)
        heading = textwrap.fill(drawable(method, 88), 20)
        axes.set_title(heading, fontsize=6.5 if "\n" in heading else None)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4))

    def make() -> Figure:
        handles = [Line2D([], [], color=NEUTRAL, linestyle=patterns[bits]) for bits in lengths]
        figure = panels(methods_in(losses), draw, "epoch", "training loss", share_y=False)
        return with_legend(figure, handles, [f"{bits} bits" for bits in lengths], seeds_phrase(losses))

    return finished(name, f"Training loss on {title}", make, losses)


def _draw_curves(
    axes: Axes,
    here: pd.DataFrame,
    along: tuple[str, str],
    styles: Mapping[Any, Style],
    *,
    by: str = "method",
    every: float | None = None,
) -> None:
    """Draw a curve for each value of `by`, with the standard deviation around it where there is one.

    Args:
        here: the panel's rows.
        along: the columns of the two axes; markers stand where methods are compared, and on single points.
        every: the distance of markers, as a share of the panel's diagonal; at every point unless given.
    """
    bands, colours = [], []
    for key, rows in here.groupby(by, sort=False):
        style, values = styles[key], rows[[*along, f"{along[1]}_std"]].to_numpy(dtype=float)
        x, y, std = values[np.argsort(values[:, 0], kind="stable")].T
        named = by == "method"
        drawn = look(style) | {"markevery": every} if named or len(rows) == 1 else {"color": style.colour}
        axes.plot(x, y, linestyle=style.line, zorder=2 if style.bound else 3, label=key if named else None, **drawn)
        if not np.isnan(std).all():
            spread = np.nan_to_num(std)
            upper, lower = np.stack([x, y + spread], axis=1), np.stack([x, y - spread], axis=1)
            bands.append(np.concatenate([lower, upper[::-1]]))
            colours.append(style.colour)
    # One collection for all, since the time to draw goes by the number of artists.
    axes.add_collection(PolyCollection(bands, facecolors=colours, alpha=0.15, linewidth=0, zorder=1))
    axes.autoscale_view()


def _exact_ticks(axes: Axes, values: Sequence[int], log: bool) -> None:
    """Ticks at the measured values and nowhere else."""
    if log:
        axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(values))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(PLAIN)


def _crowded(values: Sequence[int]) -> bool:
    """Whether labels at these values would touch on a linear axis."""
    return len(values) > 1 and float(np.diff(values).min()) < 0.1 * (values[-1] - values[0])


def measure_in(scores: pd.DataFrame) -> str:
    """The measure in the column `map`: mAP, or recall where there are no labels."""
    return measure_of(str(scores["protocol"].iloc[0]))
