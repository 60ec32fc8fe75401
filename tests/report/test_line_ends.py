"""Names at the ends of lines: near them, in their order, and none over another."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text

from bench.report.compose import compose
from bench.report.figures import MOST_IN_LEGEND
from bench.report.figures import settings as plot_settings
from bench.report.line_ends import spread
from bench.report.runs import name_runs


def test_places_that_have_room_stay_and_others_stand_around_their_mean() -> None:
    assert spread([0.9, 0.1, 0.5], 0.1) == [0.9, 0.1, 0.5]
    assert spread([0.5, 0.5], 0.2) == pytest.approx([0.4, 0.6])
    # Two groups that touch become one: the mean of all is 0.55.
    assert spread([0.5, 0.5, 0.6, 0.6], 0.1) == pytest.approx([0.4, 0.5, 0.6, 0.7])
    # Nothing stands below the axis.
    assert spread([0.0, 0.0], 0.2) == pytest.approx([0.0, 0.2])
    assert spread([], 0.1) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), max_size=12), st.floats(0.01, 0.3))
def test_none_is_over_another(places: list[float], gap: float) -> None:
    moved = np.array(spread(places, gap))
    order = np.argsort(places, kind="stable")
    assert (np.diff(moved[order]) >= gap - 1e-9).all()
    assert (moved >= -1e-9).all()


@pytest.mark.parametrize("count", [MOST_IN_LEGEND, MOST_IN_LEGEND + 1])
def test_many_methods_have_names_instead_of_a_legend(builder: Any, count: int) -> None:
    for number in range(count):
        builder.add(f"method{number}", 16, level=0.5 - 0.001 * number)
    with plot_settings():
        figure = compose(name_runs(builder.store.runs())).plots[0].figure
        figure.draw_without_rendering()
        (axes,) = figure.axes
        # Without the lines that lead to them.
        boxes = [Text.get_window_extent(text) for text in axes.texts]
        names = [text.get_text() for text in axes.texts]
    assert bool(figure.legends) == (count <= MOST_IN_LEGEND)
    if count <= MOST_IN_LEGEND:
        assert names == []
        return
    assert sorted(names) == sorted(f"METHOD{number}" for number in range(count))
    below = sorted(boxes, key=lambda box: box.y0)
    assert all(lower.y1 <= upper.y0 + 0.5 for lower, upper in pairwise(below))
    assert max(box.x1 for box in boxes) <= figure.bbox.x1
    # In the order of the lines' ends.
    ends = {str(line.get_label()): float(np.asarray(line.get_ydata())[-1]) for line in axes.lines}
    by_box = [name for _, name in sorted(zip([box.y0 for box in boxes], names, strict=True))]
    assert by_box == sorted(names, key=lambda name: ends[name])


def test_wide_names_leave_room_and_names_that_would_be_the_same_stand_in_a_legend(builder: Any) -> None:
    for number in range(MOST_IN_LEGEND):
        builder.add(f"method{number}", 16, title="W" * 30 + str(number))
    builder.add("method", 16, title="W" * 30)
    with plot_settings():
        figure = compose(name_runs(builder.store.runs())).plots[0].figure
        figure.draw_without_rendering()
        assert figure.axes[0].get_window_extent().width > 1.5 * figure.dpi
        builder.add("other", 16, title="W" * 31)
        assert compose(name_runs(builder.store.runs())).plots[0].figure.legends
