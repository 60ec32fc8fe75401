"""The figure of what the order of ties can do: lines are the ranges of the table; there is none where none are."""

import pytest
from matplotlib.collections import LineCollection

from bench.report import figures, quality
from bench.report.chart import chart
from bench.report.runs import ReportRun, bounds_of, name_runs
from bench.report.styles import assign
from bench.report.ties import tie_ranges
from bench.store.stored_run import StoredRun
from tests.report.test_page import Reader


@pytest.fixture(scope="module")
def named(runs: list[StoredRun]) -> list[ReportRun]:
    return name_runs(runs)


def test_lines_go_from_the_worst_to_the_best_order(named: list[ReportRun]) -> None:
    scores = quality.select(quality.aggregate(named), protocol="paper")
    styles = assign({run.method: run.record.spec.method for run in named}, bounds_of(named))
    plot = tie_ranges("ties", "Toy", scores, styles)
    assert plot is not None
    with figures.settings():
        panels = plot.figure.axes
    assert [axes.get_title() for axes in panels] == ["16 bits", "32 bits", "64 bits"]
    for axes, bits in zip(panels, (16, 32, 64), strict=True):
        rows = quality.select(scores, bits=bits, k=20).sort_values("map", ascending=False)
        rows = rows[~rows["bound"].astype(bool)]
        lines = [line for part in axes.collections if isinstance(part, LineCollection) for line in part.get_segments()]
        assert [(float(line[0][0]), float(line[1][0])) for line in lines] == [
            *zip(rows.map_worst, rows.map_best, strict=True)
        ]
        # Made so in the tests' store: 0.3 / bits to both sides.
        assert (rows.map_best - rows.map_worst).tolist() == pytest.approx([0.6 / bits] * 3)


def test_points_of_the_page_say_the_mean_and_no_place(named: list[ReportRun]) -> None:
    scores = quality.select(quality.aggregate(named), protocol="paper")
    styles = assign({run.method: run.record.spec.method for run in named}, bounds_of(named))
    plot = tie_ranges("ties", "Toy", scores, styles)
    assert plot is not None
    with figures.settings():
        said = [attributes["aria-label"] for attributes, _ in Reader(chart(plot.figure)).all("use")
                if attributes["class"].startswith("point")]  # fmt: skip
    (beta,) = quality.select(scores, bits=16, k=20, method="BETA")["map"]
    assert f"BETA, 16 bits: mAP@20 {beta:g}" in said


def test_nothing_is_drawn_where_ties_change_nothing(named: list[ReportRun]) -> None:
    scores = quality.select(quality.aggregate(named), protocol="paper")
    same = scores.assign(map_best=scores["map"], map_worst=scores["map"])
    assert tie_ranges("ties", "Toy", same, {}) is None
    unknown = scores.assign(map_best=float("nan"), map_worst=float("nan"))  # recall without labels
    assert tie_ranges("ties", "Toy", unknown, {}) is None
