"""Names at the ends of lines, for figures with more of them than a legend can tell apart."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import TightLayoutEngine

from bench.report.lettering import fitting

SIZE = 6.0
"""Points of the names; a line of them takes a quarter more."""
WIDEST = 0.9
"""Inches of a name: the panels need some, too."""
TALLER = 1.3
"""Times the height that panels have with a legend."""
LONGEST = 24


def short(method: str) -> str:
    """The name of a method's line."""
    return fitting(method, LONGEST, SIZE, WIDEST)


def name_ends(figure: Figure, methods: Sequence[str]) -> None:
    """Write the name of every method's line beside its end, in all panels, none over another."""
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height * TALLER)
    layout = figure.get_layout_engine()
    assert isinstance(layout, TightLayoutEngine)
    layout.set(rect=(0, 0, 0.98, 1))
    # Once to learn how high the panels are; the names take their width from them later.
    layout.execute(figure)
    for axes in figure.axes:
        axes.tick_params(axis="x", labelsize=SIZE)
        lines = [line for line in axes.lines if line.get_label() in methods]
        ends = [(line, np.asarray(line.get_xydata(), dtype=float)[-1]) for line in lines]
        to_share = axes.transData + axes.transAxes.inverted()
        places = [float(to_share.transform(end)[1]) for _, end in ends]
        gap = 1.25 * SIZE / 72 / (axes.get_position().height * height * TALLER)
        for (line, end), place in zip(ends, spread(places, gap), strict=True):
            axes.annotate(
                short(str(line.get_label())),
                xy=(end[0], end[1]),
                xytext=(1.1, place),
                textcoords="axes fraction",
                va="center",
                fontsize=SIZE,
                color=line.get_color(),
                annotation_clip=False,
                arrowprops={"color": line.get_color(), "arrowstyle": "-", "linewidth": 0.4, "relpos": (0, 0.5)},
            )


def spread(places: Sequence[float], gap: float) -> list[float]:
    """The nearest places, by squares, that are `gap` apart at least and in the same order; not below 0.

    Whatever stands too close forms a group around its mean.
    """
    order = sorted(range(len(places)), key=lambda index: places[index])
    groups: list[tuple[float, int]] = []  # the mean place of a group's members, and their number
    for index in order:
        place, count = places[index], 1
        while groups and place - groups[-1][0] < gap * (count + groups[-1][1]) / 2:
            before, members = groups.pop()
            place, count = (before * members + place * count) / (members + count), members + count
        groups.append((place, count))
    ends = [place + gap * (member - (count - 1) / 2) for place, count in groups for member in range(count)]
    lowest = 0.0
    for position, end in enumerate(ends):
        ends[position] = lowest = max(end, lowest)
        lowest += gap
    return [end for _, end in sorted(zip(order, ends, strict=True))]
