"""Figures as SVG of a page: every panel by itself, points that a pointer or the keyboard can ask for their values.

Everything is taken from the figure that is also drawn as PNG, so that the two cannot differ. Colours are classes, which
the page's style gives to light and dark screens.
"""

import re
from collections.abc import Iterator
from html import escape
from itertools import groupby

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.path import Path
from matplotlib.text import Annotation
from numpy.typing import ArrayLike, NDArray

from bench.report.escape import shorten
from bench.report.styles import BOUND_COLOUR, COLOURS

WIDTH, HEIGHT = 340, 240
LEFT, RIGHT, TOP, BOTTOM = 50, 14, 26, 40
CLASSES = {colour.lower(): f"c{number}" for number, colour in enumerate((*COLOURS, BOUND_COLOUR))}
BITS = re.compile(r"([0-9]+) bits")
LONGEST = 44
"""Characters of a title; its panel is labelled with the whole."""
MOST_POINTS, FEW = 24, 5
"""Points of a line that can all be asked, and how many of one with more."""
TICK = 5.6
"""Units that a character of a tick takes."""
TOLERANCE = 0.25
"""Units that a line may run beside its points."""
SHAPES = {
    "o": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z", "s": "M-3.5-3.5h7v7h-7z", "^": "M0-4.6l4.4 8h-8.8z",
    "v": "M0 4.6l4.4-8h-8.8z", "D": "M0-5l5 5l-5 5l-5-5z", "P": "M-1.5-4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",
    "X": "M-4-2.5l1.5-1.5l2.5 2.5l2.5-2.5l1.5 1.5l-2.5 2.5l2.5 2.5l-1.5 1.5l-2.5-2.5l-2.5 2.5l-1.5-1.5l2.5-2.5z",
    "p": "M0-4.8l4.6 3.3l-1.8 5.4h-5.6l-1.8-5.4z", "<": "M-4.6 0l8-4.4v8.8z", ">": "M4.6 0l-8-4.4v8.8z",
    "h": "M0-4.8l4.2 2.4v4.8l-4.2 2.4l-4.2-2.4v-4.8z",
}  # fmt: skip
"""Outlines of markers, 8 to 10 units wide."""
DASHES = {"--": "5 3", ":": "1.5 2", "-.": "7 2 1.5 2"}
"""By Matplotlib's names of line styles."""
MARKS = {marker: f"mark-{number}" for number, marker in enumerate(SHAPES)}
DEFINITIONS = "".join(f'<path id="{MARKS[marker]}" d="{outline}"/>' for marker, outline in SHAPES.items())
"""What a page with charts holds once, in its `defs`."""


Look = tuple[str, str, str, str]
"""Colour and marker of a line, the colour within the marker, and the style of a line without one."""


def chart(figure: Figure) -> str:
    """The panels of a figure as SVG elements, and a legend of its series as a list."""
    names = _names(figure)
    left = min(map(_left, figure.axes), default=0)
    return f'<div class="chart">{"".join(_panel(axes, names, left) for axes in figure.axes)}</div>{_legend(names)}'


def _left(axes: Axes) -> float:
    """Where a panel begins: before 0 if the ticks of its upright axis are long."""
    longest = max((len(text) for _, text in _ticks(axes.yaxis, *sorted(axes.get_ylim()))), default=0)
    return min(0, LEFT - 22 - TICK * longest)


def _names(figure: Figure) -> dict[Look, str]:
    """What lines are called, by their look: their own labels, or those of the legend."""
    found = {_look(line): str(line.get_label()) for axes in figure.axes for line in axes.lines}
    found = {look: name for look, name in found.items() if not name.startswith("_")}
    for legend in figure.legends:
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            if isinstance(handle, Line2D):
                found.setdefault(_look(handle), text.get_text().strip())
    return found


def _look(line: Line2D) -> Look:
    marker = str(line.get_marker())
    pattern = "" if marker in MARKS else str(line.get_linestyle())
    return to_hex(line.get_color()), marker, to_hex(line.get_markerfacecolor()), pattern


def _legend(names: dict[Look, str]) -> str:
    items = []
    for (colour, marker, face, pattern), name in names.items():
        if marker in MARKS:
            box, mark = "-5 -5 10 10", f'<use class="{_filled(face, colour)}" href="#{MARKS[marker]}"/>'
        else:
            box, mark = "-12 -5 24 10", f'<path class="line"{_dashes(pattern)} d="M-12 0h24"/>'
        items.append(
            f'<li data-method="{escape(name)}"><svg class="{_class(colour)}" viewBox="{box}">{mark}</svg>'
            f"{escape(name)}</li>"
        )
    return f'<ul class="legend">{"".join(items)}</ul>' if items else ""


def _dashes(pattern: str) -> str:
    return f' stroke-dasharray="{DASHES[pattern]}"' if pattern in DASHES else ""


def _panel(axes: Axes, names: dict[Look, str], left: float) -> str:
    title = axes.get_title()
    labels = _label(axes, "x"), _label(axes, "y")
    parts = [*_frame(axes, title, labels, left), *_areas(axes), *_bars(axes, labels)]
    for line in axes.lines:
        parts += _line(axes, line, names.get(_look(line), ""), title, labels)
    parts += _edges(axes)
    bits = BITS.fullmatch(title)
    about = f' data-bits="{bits.group(1)}"' if bits else ""
    if axes.get_label():
        about += f' data-method="{escape(str(axes.get_label()))}"'
    about += f' viewBox="{left:.0f} 0 {WIDTH - left:.0f} {HEIGHT}"'
    said = escape(title or labels[1])
    return f'<svg class="panel"{about} role="group" aria-label="{said}">{"".join(parts)}</svg>'


def _label(axes: Axes, which: str) -> str:
    """The label of an axis, which in a grid only the panels at the edge have."""
    own = [other.get_xlabel() if which == "x" else other.get_ylabel() for other in (axes, *axes.figure.axes)]
    return next(filter(None, own), "")


def _frame(axes: Axes, title: str, labels: tuple[str, str], left: float) -> Iterator[str]:
    yield f'<text class="title" x="{WIDTH / 2}" y="15">{escape(shorten(title, LONGEST))}</text>'
    yield f'<text class="label" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}">{escape(labels[0])}</text>'
    middle = (TOP + HEIGHT - BOTTOM) / 2
    yield f'<text class="label" transform="translate({left + 11:.0f} {middle}) rotate(-90)">{escape(labels[1])}</text>'
    for value, text in _ticks(axes.xaxis, *sorted(axes.get_xlim())):
        (x, _) = _places(axes, [(value, axes.get_ylim()[0])])[0]
        yield f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 14}">{escape(text)}</text>'
    for value, text in _ticks(axes.yaxis, *sorted(axes.get_ylim())):
        (_, y) = _places(axes, [(axes.get_xlim()[0], value)])[0]
        if not axes.patches:
            yield f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text class="tick end" x="{LEFT - 5}" y="{y + 3:.1f}">{escape(text)}</text>'
    yield f'<path class="axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>'


def _edges(axes: Axes) -> Iterator[str]:
    """What is written into a panel: the bounds that lie beyond it."""
    for text in axes.texts:
        lines = [] if isinstance(text, Annotation) else text.get_text().split("\n")
        below = text.get_verticalalignment() == "bottom"
        for number, line in enumerate(reversed(lines) if below else lines):
            x = WIDTH - RIGHT - 4 if text.get_horizontalalignment() == "right" else LEFT + 4
            y = HEIGHT - BOTTOM - 5 - 12 * number if below else TOP + 10 + 12 * number
            yield f'<text class="tick{" end" if x > LEFT + 4 else " begin"}" x="{x}" y="{y}">{escape(line)}</text>'


def _ticks(axis: Axis, low: float, high: float) -> list[tuple[float, str]]:
    values = [float(value) for value in axis.get_majorticklocs()]
    texts = axis.get_major_formatter().format_ticks(values)
    return [(value, text) for value, text in zip(values, texts, strict=True) if low <= value <= high]


def _places(axes: Axes, points: ArrayLike) -> NDArray[np.float64]:
    """Where data points lie in a panel."""
    shares = (axes.transData.transform(np.asarray(points, dtype=float)) - axes.bbox.min) / axes.bbox.size
    x = LEFT + shares[:, 0] * (WIDTH - LEFT - RIGHT)
    y = HEIGHT - BOTTOM - shares[:, 1] * (HEIGHT - TOP - BOTTOM)
    return np.stack([x, y], axis=1)


def _inside(places: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which places lie in the panel's frame, or at most a marker's width beyond."""
    low, high = np.array([LEFT, TOP]) - 4, np.array([WIDTH - RIGHT, HEIGHT - BOTTOM]) + 4
    return np.asarray(((low <= places) & (places <= high)).all(axis=1))


def _clipped(drawn: str, places: NDArray[np.float64]) -> str:
    """What is drawn, within the panel's frame."""
    if _inside(places).all():
        return drawn
    box = f"{LEFT} {TOP} {WIDTH - LEFT - RIGHT} {HEIGHT - TOP - BOTTOM}"
    x, y, width, height = box.split()
    return f'<svg x="{x}" y="{y}" width="{width}" height="{height}" viewBox="{box}">{drawn}</svg>'


def _path(places: NDArray[np.float64]) -> str:
    """The line through the places, without those that lie on it anyhow: they would be most of the page."""
    path = Path(places)
    path.should_simplify, path.simplify_threshold = True, TOLERANCE
    found = path.cleaned(simplify=True)
    kept = np.asarray(found.vertices)[np.asarray(found.codes) != Path.STOP]
    return "M" + "L".join(place for place, _ in groupby(f"{x:.1f} {y:.1f}" for x, y in kept))


def _line(
    axes: Axes, line: Line2D, name: str, title: str, labels: tuple[str, str]
) -> Iterator[str]:  # fmt: skip
    points = np.asarray(line.get_xydata(), dtype=float)
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return
    colour, marker, face, _ = _look(line)
    places = _places(axes, points)
    parts = []
    if line.get_linestyle() not in ("None", "none", "") and len(points) > 1:
        course = places
        if line.get_drawstyle() == "steps-post":
            twice = np.repeat(places, 2, axis=0)
            course = np.stack([twice[1:, 0], twice[:-1, 1]], axis=1)
        parts.append(_clipped(f'<path class="line"{_dashes(str(line.get_linestyle()))} d="{_path(course)}"/>', course))
    if marker in MARKS:
        for index in _asked(places):
            (x, y), (left, top) = points[index], places[index]
            values = ((labels[0], f"{x:g}"), (labels[1], f"{y:.4g}"))
            said = f"{name}, {title}: {', '.join(f'{label} {value}' for label, value in values if label)}"
            parts.append(
                f'<use class="point {_filled(face, colour)}" href="#{MARKS[marker]}" x="{left:.1f}" y="{top:.1f}" '
                f'aria-label="{escape(" ".join(said.split()))}"/>'
            )
    yield f'<g class="{_class(colour)}" data-method="{escape(name)}">{"".join(parts)}</g>'


def _asked(places: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices of a line's points that can be asked: all of a few, else some evenly along the line."""
    inside = np.flatnonzero(_inside(places))
    if len(places) <= MOST_POINTS or not len(inside):
        return inside
    along = np.cumsum(np.hypot(*np.diff(places[inside], axis=0, prepend=places[inside[:1]]).T))
    return inside[np.unique(np.searchsorted(along, along[-1] * np.arange(1, FEW + 1) / (FEW + 1)))]


def _areas(axes: Axes) -> Iterator[str]:
    for collection in axes.collections:
        if isinstance(collection, PolyCollection):
            colours = _classes(collection.get_facecolor())
            for path, colour in zip(collection.get_paths(), colours, strict=True):
                places = _places(axes, path.vertices)
                yield _clipped(f'<path class="area {colour}" d="{_path(places)}z"/>', places)
        elif isinstance(collection, LineCollection):
            colours = _classes(collection.get_colors())
            for segment, colour in zip(collection.get_segments(), colours, strict=True):
                yield f'<path class="line {colour}" d="{_path(_places(axes, segment))}"/>'
        elif isinstance(collection, PathCollection):
            for x, y in _places(axes, np.reshape(collection.get_offsets(), (-1, 2))):
                yield f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="7"/>'


def _bars(axes: Axes, labels: tuple[str, str]) -> Iterator[str]:
    names = [text for _, text in _ticks(axes.yaxis, *sorted(axes.get_ylim()))]
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    for number, bar in enumerate(bars):
        corners = [(bar.get_x(), bar.get_y()), (bar.get_x() + bar.get_width(), bar.get_y() + bar.get_height())]
        (left, top), (right, bottom) = _places(axes, corners)
        said = f"{names[number] if number < len(names) else ''}: {labels[0]} {bar.get_width():.4g}"
        yield (
            f'<rect class="point f {_class(to_hex(bar.get_facecolor()))}" x="{min(left, right):.1f}" '
            f'y="{min(top, bottom):.1f}" width="{abs(right - left):.1f}" height="{abs(bottom - top):.1f}" '
            f'aria-label="{escape(" ".join(said.split()))}"/>'
        )


def _classes(colours: ArrayLike) -> list[str]:
    """The classes of colours (n, 4): red, green, blue and opacity."""
    return [_class(to_hex(tuple(colour[:3]))) for colour in np.reshape(colours, (-1, 4))]


def _class(colour: str) -> str:
    return CLASSES.get(colour.lower(), "neutral")


def _filled(face: str, colour: str) -> str:
    """Markers of bounds are open."""
    return "f" if face.lower() == colour.lower() else "open"
