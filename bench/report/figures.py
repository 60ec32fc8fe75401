"""Figures: their look, their panels and legends."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, TypeVar

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from bench.report import escape
from bench.report.line_ends import name_ends

Key = TypeVar("Key")
# Okabe and Ito (2008) without yellow, which vanishes on white paper, then three dark hues of Tol's "muted" scheme.
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255", "#999933", "#332288",
)  # fmt: skip
# One more than the colours: a colour that comes again has another marker.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "<", ">", "h")
LINES: tuple[Any, ...] = (
    "-", (0, (4, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)), (0, (9, 2)), (0, (4, 1, 1, 1, 1, 1)),
)  # fmt: skip
BOUND_COLOUR = "#7F7F7F"
BOUND_LINES: tuple[Any, ...] = ((0, (5, 2)), (0, (2, 2)), (0, (5, 2, 1, 2)))
BOUND_MARKERS = ("o", "s", "^", "D", "v", "P")
FULL_WIDTH = 7.0
"""Inches: the text width of a two-column paper. Figures are drawn at the size they are printed."""
SETTINGS: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.title_fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.edgecolor": "#404040",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "text.parse_math": False,  # names from files may hold dollar signs
    "svg.hashsalt": "vhbench",  # equal results give equal bytes
    "svg.fonttype": "path",
}
MOST_COLUMNS = 4
PANEL_HEIGHT = 2.1
LEGEND_LINE = 0.19
MOST_IN_LEGEND = 10
"""Methods that a reader can tell apart by a legend; of more, each line has its name at its end."""
NEUTRAL = "#404040"
PLAIN = FuncFormatter(lambda value, _: f"{value:g}")


@dataclass(frozen=True)
class Style:
    """The look of one method in all plots of a report."""

    colour: str
    marker: str
    line: Any
    bound: bool


def assign(methods: Iterable[str], bounds: Iterable[str]) -> dict[str, Style]:
    """A style for every row label, by sorted order; bounds are grey and dashed."""
    bounded = sorted(set(bounds))
    competing = sorted(set(methods) - set(bounded), key=lambda label: (label.casefold(), label))
    styles = {
        label: Style(
            COLOURS[index % len(COLOURS)],
            MARKERS[index % len(MARKERS)],
            LINES[index // len(COLOURS) % len(LINES)],
            False,
        )
        for index, label in enumerate(competing)
    }
    for index, label in enumerate(bounded):
        line, marker = BOUND_LINES[index % len(BOUND_LINES)], BOUND_MARKERS[index % len(BOUND_MARKERS)]
        styles[label] = Style(BOUND_COLOUR, marker, line, True)
    return styles


@dataclass(frozen=True)
class Plot:
    """A figure with its caption, a sentence, and the numbers in it."""

    name: str
    caption: str
    make: Callable[[], Figure]
    """Makes the figure, in the process that draws it."""
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


@contextmanager
def settings() -> Iterator[None]:
    """Matplotlib with this package's settings and none of the user's own, which must not change a report."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        yield


def finished(name: str, caption: str, make: Callable[[], Figure], frame: pd.DataFrame) -> Plot:
    """A plot whose caption says over how many seeds it is a mean."""
    seeds = seeds_phrase(frame)
    return Plot(name, f"{caption}; {seeds}." if seeds else f"{caption}.", make, frame)


def panels(
    keys: Sequence[Key],
    draw: Callable[[Axes, Key], None],
    x_label: str,
    y_label: str,
    *,
    share_y: bool | Literal["row"],
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


def with_methods(
    figure: Figure,
    frame: pd.DataFrame,
    styles: dict[str, Style],
    lines: bool = True,
    others: Mapping[str, Line2D] = MappingProxyType({}),
) -> Figure:
    """The figure with a legend of the methods in `frame`, and of `others`, below all panels.

    Where lines of many methods have labels, these stand at the ends of the lines, and the legend holds the others.
    """
    methods = methods_in(frame)
    labelled = {line.get_label() for axes in figure.axes for line in axes.lines}
    if len(methods) > MOST_IN_LEGEND and labelled >= {*methods}:
        name_ends(figure, methods)
        return with_legend(figure, [*others.values()], [*others], seeds_phrase(frame)) if others else figure
    handles = [
        Line2D([], [], linestyle=styles[method].line if lines else "none", **look(styles[method]))
        for method in methods
    ]  # fmt: skip
    labels = [escape.plot(method, 44) for method in methods]
    if len(set(labels)) < len(labels):  # variants often differ near their ends
        labels = [escape.plot(method, 88) for method in methods]
    return with_legend(figure, [*handles, *others.values()], [*labels, *others], seeds_phrase(frame))


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


def look(style: Style, size: float | None = None) -> dict[str, Any]:
    """Colour and marker; those of bounds are open."""
    chosen: dict[str, Any] = {"color": style.colour, "marker": style.marker}
    if style.bound:
        chosen["markerfacecolor"] = "white"
    return chosen if size is None else chosen | {"markersize": size}


def methods_in(frame: pd.DataFrame) -> list[str]:
    """Methods in the order of table rows, in which frames come."""
    return list(dict.fromkeys(frame["method"]))


def seeds_phrase(frame: pd.DataFrame) -> str:
    """The meaning of `±` in a plot; empty for one seed."""
    least, most = int(frame["seeds"].min()), int(frame["seeds"].max())
    if most == 1:
        return ""
    count = str(most) if least == most else f"{least} to {most}"
    return f"mean ± standard deviation over {count} seeds"
