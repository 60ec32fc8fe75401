"""Plots of a report. Each carries the frame it was drawn from, which becomes the CSV file beside it."""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from bench.metrics.protocols import measure_of
from bench.report import escape
from bench.report.quality import headline_ks, select
from bench.report.style import FULL_WIDTH, LINES, SETTINGS, Style

Key = TypeVar("Key")

MOST_COLUMNS = 4
PANEL_HEIGHT = 2.1
LEGEND_LINE = 0.19
NEUTRAL = "#404040"
PLAIN = FuncFormatter(lambda value, _: f"{value:g}")


@dataclass(frozen=True)
class Plot:
    """A figure, what it shows in a sentence, and the numbers in it."""

    name: str
    caption: str
    make: Callable[[], Figure]
    """Makes the figure: where it is drawn, which may be another process."""
    frame: pd.DataFrame
    banner: str = ""
    """A line above all panels."""

    @cached_property
    def figure(self) -> Figure:
        """The figure; to be asked for within `settings()`."""
        figure = self.make()
        if self.banner:
            width, height = figure.get_size_inches()
            figure.set_size_inches(width, height + LEGEND_LINE)
            figure.suptitle(escape.plot(self.banner, 100), fontsize=8.5, fontweight="bold")
        return figure


def map_at_k(name: str, title: str, scores: pd.DataFrame, styles: dict[str, Style]) -> Plot:
    """mAP@k over k, a panel for each code length. `scores`: one dataset and protocol, from `quality.aggregate`."""
    ks = sorted(int(k) for k in scores["k"].unique())

    def draw(axes: Axes, bits: int) -> None:
        for method, rows in select(scores, bits=bits).groupby("method", sort=False):
            by_k = rows.sort_values("k")
            _line(axes, by_k["k"], by_k["map"], by_k["map_std"], styles[str(method)], markers=True)
        axes.set_title(f"{bits} bits")
        _exact_ticks(axes, ks, log=_crowded(ks))

    def make() -> Figure:
        figure = panels(
            sorted(scores["bits"].unique()), draw, "retrieved videos k", f"{measure_in(scores)}@k", share_y=True
        )
        return with_methods(figure, scores, styles)

    return finished(name, f"{measure_in(scores)}@k on {title}, by code length", make, scores)


def map_by_bits(name: str, title: str, scores: pd.DataFrame, styles: dict[str, Style]) -> Plot:
    """mAP over code length, a panel for each headline k. `scores`: one dataset and protocol."""
    ks = headline_ks([int(k) for k in scores["k"].unique()])
    shown = scores[scores["k"].isin(ks)]
    lengths = sorted(int(bits) for bits in shown["bits"].unique())

    def draw(axes: Axes, k: int) -> None:
        for method, rows in select(shown, k=k).groupby("method", sort=False):
            by_bits = rows.sort_values("bits")
            _line(axes, by_bits["bits"], by_bits["map"], by_bits["map_std"], styles[str(method)], markers=True)
        axes.set_title(f"k = {k}")
        _exact_ticks(axes, lengths, log=True)

    def make() -> Figure:
        figure = panels(ks, draw, "code length (bits)", f"{measure_in(scores)}@k", share_y=True)
        return with_methods(figure, shown, styles)

    return finished(name, f"{measure_in(scores)}@k on {title}, against code length", make, shown)


def precision_recall(name: str, title: str, curves: pd.DataFrame, styles: dict[str, Style]) -> Plot:
    """Precision over recall, a point for each Hamming radius, a panel for each code length.

    `curves`: one dataset and protocol, from `other_metrics.curves`.
    """

    def draw(axes: Axes, bits: int) -> None:
        for method, rows in select(curves, bits=bits).groupby("method", sort=False):
            by_radius = rows.sort_values("radius")
            x, y, std = by_radius["recall"], by_radius["precision"], by_radius["precision_std"]
            # Small radii crowd at recall 0: markers stand evenly along the line instead.
            _line(axes, x, y, std, styles[str(method)], markers=True, every=0.15)
        axes.set_title(f"{bits} bits")
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)

    def make() -> Figure:
        figure = panels(sorted(curves["bits"].unique()), draw, "recall", "precision", share_y=True)
        return with_methods(figure, curves, styles)

    caption = f"Precision and recall on {title}, within Hamming distance 0, 1, 2 … of the query"
    return finished(name, caption, make, curves)


def training_loss(name: str, title: str, losses: pd.DataFrame, styles: dict[str, Style]) -> Plot:
    """Training loss over epochs, a panel for each method since their losses do not compare.

    `losses`: one dataset, over seeds, with `loss` and `loss_std`.
    """
    lengths = sorted(int(bits) for bits in losses["bits"].unique())
    patterns = {bits: LINES[index % len(LINES)] for index, bits in enumerate(lengths)}

    def draw(axes: Axes, method: str) -> None:
        for bits, rows in select(losses, method=method).groupby("bits"):
            by_epoch = rows.sort_values("epoch")
            style = replace(styles[method], line=patterns[int(str(bits))])
            _line(axes, by_epoch["epoch"], by_epoch["loss"], by_epoch["loss_std"], style, markers=len(rows) == 1)
        heading = textwrap.fill(escape.plot(method, 88), 26)
        axes.set_title(heading, fontsize=6.5 if "\n" in heading else None)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4))

    def make() -> Figure:
        handles = [Line2D([], [], color=NEUTRAL, linestyle=patterns[bits]) for bits in lengths]
        figure = panels(methods_in(losses), draw, "epoch", "training loss", share_y=False)
        return with_legend(figure, handles, [f"{bits} bits" for bits in lengths], _seeds(losses))

    return finished(name, f"Training loss on {title}", make, losses)


def finished(name: str, caption: str, make: Callable[[], Figure], frame: pd.DataFrame) -> Plot:
    """A plot whose caption says over how many seeds it is a mean."""
    seeds = _seeds(frame)
    return Plot(name, f"{caption}; {seeds}." if seeds else f"{caption}.", make, frame)


def panels(
    keys: Sequence[Key],
    draw: Callable[[Axes, Key], None],
    x_label: str,
    y_label: str,
    *,
    share_y: bool,
    share_x: bool = False,
    most_columns: int = MOST_COLUMNS,
) -> Figure:
    """A figure of small panels, one for each key."""
    columns = min(len(keys), 3 if len(keys) in {5, 6, 9} else most_columns)
    rows = -(-len(keys) // columns)
    width = FULL_WIDTH if columns > 1 else FULL_WIDTH * 0.6
    figure = Figure(figsize=(width, PANEL_HEIGHT * rows + 0.2), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=share_y, sharex=share_x)
    for index, axes in enumerate(grid.flat):
        if index >= len(keys):
            axes.remove()
            continue
        draw(axes, keys[index])
        if index + columns >= len(keys):
            axes.set_xlabel(x_label)
            axes.tick_params(labelbottom=True)
        if index % columns == 0:
            axes.set_ylabel(y_label)
    return figure


def look(style: Style, size: float | None = None) -> dict[str, Any]:
    """Colour and marker; those of bounds are open."""
    chosen: dict[str, Any] = {"color": style.colour, "marker": style.marker}
    if style.bound:
        chosen["markerfacecolor"] = "white"
    return chosen if size is None else chosen | {"markersize": size}


def _line(
    axes: Axes, x: pd.Series, y: pd.Series, std: pd.Series, style: Style, *, markers: bool, every: float | None = None
) -> None:
    drawn = look(style) | {"markevery": every} if markers else {"color": style.colour}
    axes.plot(x, y, linestyle=style.line, zorder=2 if style.bound else 3, **drawn)
    if std.notna().any():
        spread = std.fillna(0.0)
        axes.fill_between(x, y - spread, y + spread, color=style.colour, alpha=0.15, linewidth=0, zorder=1)


def _exact_ticks(axes: Axes, values: Sequence[int], log: bool) -> None:
    """Ticks at the measured values and nowhere else."""
    if log:
        axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(values))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(PLAIN)


def _crowded(values: Sequence[int]) -> bool:
    """Would labels at these values touch on a linear axis?"""
    return len(values) > 1 and float(np.diff(values).min()) < 0.1 * (values[-1] - values[0])


def measure_in(scores: pd.DataFrame) -> str:
    """What the column `map` holds: mAP, or recall where there are no labels."""
    return measure_of(str(scores["protocol"].iloc[0]))


def methods_in(frame: pd.DataFrame) -> list[str]:
    """Methods in the order of table rows, in which frames come."""
    return list(dict.fromkeys(frame["method"]))


def _seeds(frame: pd.DataFrame) -> str:
    least, most = int(frame["seeds"].min()), int(frame["seeds"].max())
    if most == 1:
        return ""
    count = str(most) if least == most else f"{least} to {most}"
    return f"mean ± standard deviation over {count} seeds"


def with_methods(figure: Figure, frame: pd.DataFrame, styles: dict[str, Style], lines: bool = True) -> Figure:
    """The figure with a legend of the methods in `frame`, below all panels."""
    methods = methods_in(frame)
    handles = [
        Line2D([], [], linestyle=styles[method].line if lines else "none", **look(styles[method]))
        for method in methods
    ]  # fmt: skip
    labels = [escape.plot(method, 44) for method in methods]
    if len(set(labels)) < len(labels):  # variants often differ near their ends
        labels = [escape.plot(method, 88) for method in methods]
    return with_legend(figure, handles, labels, _seeds(frame))


def with_legend(figure: Figure, handles: Sequence[Line2D], labels: Sequence[str], title: str) -> Figure:
    """The figure with one legend for all panels, below them, with room made for its lines."""
    width, height = figure.get_size_inches()
    longest = max(map(len, labels))
    columns = max(1, min(len(labels), int(width / (0.075 * longest + 0.6))))
    rows = -(-len(labels) // columns)
    # As even as the rows allow: five entries stand as three and two, not as four and one.
    columns = -(-len(labels) // rows)
    lines = rows + bool(title)
    figure.set_size_inches(width, height + LEGEND_LINE * lines)
    figure.legend(
        handles,
        labels,
        title=title or None,
        loc="outside lower center",
        ncols=columns,
        handlelength=2.6,
        columnspacing=1.4,
    )
    return figure


@contextmanager
def settings() -> Iterator[None]:
    """Matplotlib with this package's settings and none of the user's own, which must not change a report."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        yield
