"""The look of every method in figures: colour, marker and line, the same in each report whatever else is in it."""

import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import cycle, product
from typing import Any

from bench.store.registered import known_methods

# Okabe and Ito (2008) without yellow, which vanishes on white paper, then three dark hues of Tol's "muted" scheme.
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255", "#999933", "#332288",
)  # fmt: skip
OTHERS = "#000000"
"""The colour of the first method that is not built in, and of none that is: it stands out among those."""
BUILT_IN = tuple(colour for colour in COLOURS if colour != OTHERS)
# Two more than the colours of built-in methods: a colour that comes again has another marker.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "<", ">", "h")
# Named styles first: charts of the page draw the others as dashes, since a Matplotlib line does not give its pattern.
LINES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (9, 2)), (0, (4, 1, 1, 1, 1, 1)))
BOUND_COLOUR = "#7F7F7F"
BOUND_LINES: tuple[Any, ...] = ((0, (5, 2)), (0, (2, 2)), (0, (5, 2, 1, 2)))


@dataclass(frozen=True)
class Style:
    """The look of one method in all plots of a report."""

    colour: str
    marker: str
    line: Any
    bound: bool


def assign(methods: Mapping[str, str], bounds: Collection[str]) -> dict[str, Style]:
    """A style for every row label, no two with the same colour and marker; bounds are grey and dashed.

    A built-in method has the look that `results/methods.json` numbers. The others have markers that follow from their
    names: the first by name is black, the next have colours in turn. Variants of a method share its colour. A look that
    is taken in this report gives way to the next that is free.

    Args:
        methods: the name of the method by its label.
        bounds: labels of those that do not compete.
    """
    known = known_methods()
    own = {name: _numbered(method.look, method.bound) for name, method in known.items()}
    foreign = sorted({name for label, name in methods.items() if name not in own and label not in bounds})
    colours = dict(zip(foreign, cycle((OTHERS, *BUILT_IN)), strict=False))
    styles: dict[str, Style] = {}
    for label in sorted(methods, key=lambda label: (label.casefold(), label)):
        name, bound = methods[label], label in bounds
        colour = BOUND_COLOUR if bound else own[name][0] if name in own else colours[name]
        begin = zlib.crc32(name.encode()) % len(MARKERS)
        free = product([colour] if bound else [colour, *COLOURS], MARKERS[begin:] + MARKERS[:begin])
        looks = [own[name]] if name in own else []
        looks += [look for look in free if look not in own.values()]
        taken = [(style.colour, style.marker) for style in styles.values()]
        chosen = next((look for look in looks if look not in taken), looks[0])
        if name in own and chosen == own[name]:
            number = known[name].look // len(BUILT_IN)
        else:
            number = sum(colour == chosen[0] for colour, _ in taken)
        lines = BOUND_LINES if bound else LINES
        styles[label] = Style(*chosen, lines[number % len(lines)], bound)
    return styles


def look(style: Style, size: float | None = None) -> dict[str, Any]:
    """Colour and marker, for Matplotlib; those of bounds are open."""
    chosen: dict[str, Any] = {"color": style.colour, "marker": style.marker}
    if style.bound:
        chosen["markerfacecolor"] = "white"
    return chosen if size is None else chosen | {"markersize": size}


def _numbered(number: int, bound: bool) -> tuple[str, str]:
    """Colour and marker of a built-in method."""
    return BOUND_COLOUR if bound else BUILT_IN[number % len(BUILT_IN)], MARKERS[number % len(MARKERS)]
