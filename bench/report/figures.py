"""Figures: their look, their panels and legends."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, TypeVar

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import TightLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from bench.report.lettering import FONT, drawable, fitting, width
from bench.report.line_ends import name_ends, short
from bench.report.styles import Style, look

Key = TypeVar("Key")
FULL_WIDTH = 7.0
"""Inches: the text width of a two-column paper. Figures are drawn at the size they are printed."""
POINTS = 8.0
SETTINGS: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": [FONT],
    "font.size": POINTS,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": POINTS,
    "legend.title_fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titley": 1.0,  # where it stands anyhow; to have it found takes a tenth of the time of drawing
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
    "lines.dashed_pattern": (4, 1.5),
    "lines.dotted_pattern": (1, 1),
    "lines.dashdot_pattern": (4, 1, 1, 1),
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "text.parse_math": False,  # names from files may hold dollar signs
    "svg.hashsalt": "vhbench",  # equal results give equal bytes
    "svg.fonttype": "none",  # text stays text, to be searched and edited
    "pdf.fonttype": 42,  # publishers refuse Type 3 fonts
}
MOST_COLUMNS = 4
PANEL_HEIGHT = 2.1
LEGEND_LINE = 0.19
HANDLE = 0.6
"""Inches that a legend's entry takes beside its label."""
MOST_IN_LEGEND = 10
"""Methods that a reader can tell apart by a legend; of more, each line has its name at its end."""
NEUTRAL = "#404040"
PLAIN = FuncFormatter(
    lambda value, _: f"{value:g}" if value < 1e4 else f"{value / 1e3:g}k" if value < 1e6 else f"{value / 1e6:g}M"
)


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
            figure.suptitle(drawable(self.banner, 100), fontsize=8.5, fontweight="bold")
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
    figure = Figure(figsize=(width, PANEL_HEIGHT * rows + 0.2), layout="tight")
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
    *,
    lines: bool = True,
    ends: bool = False,
    others: Mapping[str, Line2D] = MappingProxyType({}),
) -> Figure:
    """The figure with a legend of the methods in `frame`, and of `others`, below all panels.

    Methods without a line of their name are left out, unless no line has one. With `ends` the lines of many methods
    have their names at their ends instead, unless these are too long to differ there.
    """
    labelled = {line.get_label() for axes in figure.axes for line in axes.lines}
    methods = [method for method in methods_in(frame) if method in labelled] or methods_in(frame)
    if ends and len(methods) > MOST_IN_LEGEND and len(set(map(short, methods))) == len(methods):
        name_ends(figure, methods)
        return with_legend(figure, [*others.values()], [*others], seeds_phrase(frame)) if others else figure
    handles = [
        Line2D([], [], linestyle=styles[method].line if lines else "none", **look(styles[method]))
        for method in methods
    ]  # fmt: skip
    labels = [drawable(method, 44) for method in methods]
    if len(set(labels)) < len(labels):  # variants often differ near their ends
        labels = [fitting(method, 120, POINTS, FULL_WIDTH - HANDLE) for method in methods]
    return with_legend(figure, [*handles, *others.values()], [*labels, *others], seeds_phrase(frame))


def with_legend(figure: Figure, handles: Sequence[Line2D], labels: Sequence[str], title: str) -> Figure:
    """The figure with one legend for all panels, below them, with room made for its lines."""
    across, height = figure.get_size_inches()
    longest = max(width(line, POINTS) for line in labels)
    columns = max(1, min(len(labels), int(across / (longest + HANDLE))))
    rows = -(-len(labels) // columns)
    # As even as the rows allow: five entries stand as three and two, not as four and one.
    columns = -(-len(labels) // rows)
    room = LEGEND_LINE * (rows + bool(title))
    figure.set_size_inches(across, height + room)
    layout = figure.get_layout_engine()
    assert isinstance(layout, TightLayoutEngine)
    layout.set(rect=(0, room / (height + room), 1, 1))
    figure.legend(
        handles,
        labels,
        title=title or None,
        loc="lower center",
        ncols=columns,
        handlelength=2.6,
        columnspacing=1.4,
    )
    return figure


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
