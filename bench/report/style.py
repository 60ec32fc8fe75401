"""How plots look: sizes for print, colours that colour-blind readers can tell apart, one style per method."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

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
BOUND_MARKERS = ("o", "s", "^", "D")

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
