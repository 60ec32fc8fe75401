"""Axes that fit the methods: a bound that lies beyond them is named at the edge and stretches nothing."""

import pandas as pd
from matplotlib.axes import Axes

from bench.report.lettering import drawable
from bench.report.runs import BOUND, REFERENCE
from bench.report.styles import BOUND_COLOUR
from bench.report.tables import number

SIZE = 6.0
MARGIN = 0.06
"""The share of the methods' range that stays free above and below; twice where a bound is named."""
LONGEST, LONGEST_LINE = 24, 20
"""Characters of a name, and of a line that a panel with names beside it has room for."""


def limits(frame: pd.DataFrame, column: str) -> tuple[float, float]:
    """The ends of an axis of `column` that shows all methods that compete, with their standard deviations.

    Where none competes, all are shown.
    """
    bound = frame["bound"].astype(bool)
    rows = frame if bound.all() else frame[~bound]
    spread = rows[f"{column}_std"].fillna(0.0)
    low, high = float((rows[column] - spread).min()), float((rows[column] + spread).max())
    margin = MARGIN * (high - low) or MARGIN
    others = frame.loc[bound, column]
    return low - margin * (1 + (others < low).any()), high + margin * (1 + (others > high).any())


def fit(axes: Axes, here: pd.DataFrame, column: str, ends: tuple[float, float], *, falling: bool) -> pd.DataFrame:
    """Give a panel's upright axis its ends, and name the bounds that lie mostly beyond. Returns the rows of all others.

    Args:
        here: the panel's rows.
        ends: from `limits`, of all panels that share the axis.
        falling: whether curves fall to the right, and leave room for names above there and below on the left.
    """
    axes.set_ylim(*ends)
    beyond: dict[str, list[str]] = {"top": [], "bottom": []}
    bounds = here[here["bound"].astype(bool)]
    for method, values in bounds.groupby("method", sort=False)[column]:
        if ends[0] <= values.median() <= ends[1]:
            continue
        edge, arrow = ("top", "↑") if values.median() > ends[1] else ("bottom", "↓")
        name = drawable(str(method).removesuffix(BOUND).removesuffix(REFERENCE).partition(" (")[0], LONGEST)
        low, high = (number(value, decimals=2) for value in (values.min(), values.max()))
        line = f"{arrow} {name} {low if low == high else f'{low}–{high}'}"
        beyond[edge].append(line if len(line) <= LONGEST_LINE else "\n".join(line.rsplit(" ", 1)))
        here = here[here["method"] != method]
    for edge, names in beyond.items():
        if not names:
            continue
        right = falling == (edge == "top")
        axes.text(
            *(0.98 if right else 0.02, 0.98 if edge == "top" else 0.02), "\n".join(names), transform=axes.transAxes,
            ha="right" if right else "left", va=edge, fontsize=SIZE, color=BOUND_COLOUR,
        )  # fmt: skip
    return here
