"""Axes fit the methods; bounds beyond them are named at the edge."""

import pandas as pd
import pytest
from matplotlib.figure import Figure

from bench.report.edges import fit, limits


def frame(**values: list[float]) -> pd.DataFrame:
    """Rows of methods, of which those called `bound…` are bounds; `method_std` is 0.1."""
    rows = [
        {
            "method": f"{name}, bound" if "bound" in name else name,
            "bound": "bound" in name,
            "map": value,
            "map_std": 0.1,
        }
        for name, found in values.items()
        for value in found
    ]
    return pd.DataFrame(rows)


def test_limits_are_those_of_the_methods() -> None:
    # 0.4 − 0.1 to 0.7 + 0.1, and 6 % of that on either side.
    assert limits(frame(a=[0.4, 0.5], b=[0.7]), "map") == pytest.approx((0.27, 0.83))
    # Room for the name of what lies above.
    assert limits(frame(a=[0.4, 0.5], b=[0.7], bound=[1.0]), "map") == pytest.approx((0.27, 0.86))
    assert limits(frame(bound=[0.2, 1.0]), "map") == pytest.approx((0.1 - 0.06, 1.1 + 0.06))
    assert limits(frame(a=[0.5]).assign(map_std=float("nan")), "map") == pytest.approx((0.44, 0.56))


def test_bounds_beyond_are_named_and_not_drawn() -> None:
    axes = Figure().subplots()
    here = frame(a=[0.4, 0.5], bound=[0.99, 1.0], bound_low=[0.01, 0.02], bound_within=[0.45, 0.5, 2.0])
    shown = fit(axes, here, "map", (0.3, 0.7), falling=True)
    assert set(shown["method"]) == {"a", "bound_within, bound"}
    assert axes.get_ylim() == (0.3, 0.7)
    assert [text.get_text() for text in axes.texts] == ["↑ bound 0.99–1.00", "↓ bound_low\n0.01–0.02"]
    # Curves that fall leave room above on the right, and below on the left.
    assert [text.get_horizontalalignment() for text in axes.texts] == ["right", "left"]


def test_methods_are_drawn_wherever_they_lie() -> None:
    axes = Figure().subplots()
    assert len(fit(axes, frame(a=[5.0]), "map", (0.3, 0.7), falling=True)) == 1
    assert not axes.texts
