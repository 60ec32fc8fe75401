"""Cost tables and plots: figures by hand, fronts by definition, and what is said where something is missing."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.profile.cost_types import EncodingTimes
from bench.report import costs, times
from bench.report.compose import compose
from bench.report.document import Document
from bench.report.figures import settings
from bench.report.plots_cost import pareto_front
from bench.report.runs import ReportRun, name_runs
from bench.report.tables import Table
from bench.report.terminal import profile_text, summary
from bench.store.record import RunRecord
from bench.store.stored_run import StoredRun, write_record

from .conftest import encoding, timing


def named(builder: Any) -> list[ReportRun]:
    return name_runs(builder.store.runs())


def composed_of(builder: Any) -> Document:
    with settings():
        return compose(named(builder))


def table_of(document: Document, name: str) -> Table:
    return next(table for table in document.tables if table.name == name)


def change_costs(stored: StoredRun, **update: Any) -> RunRecord:
    """Store the run again with other costs; `costs=None`: not measured."""
    assert stored.record.costs is not None
    changed = None if "costs" in update else stored.record.costs.model_copy(update=update)
    record = stored.record.model_copy(update={"costs": changed})
    write_record(stored.folder, record)
    return record


def texts(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12))
def test_a_front_holds_what_nothing_beats(points: list[tuple[int, int]]) -> None:
    beaten = {
        index
        for index, (cost, quality) in enumerate(points)
        for other in points
        if other[0] <= cost and other[1] >= quality and other != (cost, quality)
    }
    found = pareto_front([cost for cost, _ in points], [quality for _, quality in points])
    assert sorted(found) == sorted(set(range(len(points))) - beaten)
    assert [points[index][0] for index in found] == sorted(points[index][0] for index in found)


def test_the_front_is_marked_and_bounds_take_no_part(builder: Any) -> None:
    builder.add("alpha", 16, level=0.5, milliseconds=0.05)
    builder.add("beta", 16, level=0.4, milliseconds=0.02)
    builder.add("gamma", 16, level=0.3, milliseconds=0.04)
    builder.add("ideal", 16, level=0.9, milliseconds=0.01, bound=True)
    plot = next(plot for plot in composed_of(builder).plots if plot.name == "toy-map-by-time")
    assert dict(zip(plot.frame["method"], plot.frame["pareto"], strict=True)) == {
        "ALPHA": True,
        "BETA": True,
        "GAMMA": False,
        "IDEAL, bound": False,
    }


def test_shares_of_the_rate_by_hand(builder: Any) -> None:
    builder.add("alpha", 16, milliseconds=0.05)
    frame = times.aggregate(named(builder))
    found = frame.set_index(["setting", "batch"])
    # 24 M multiply-adds at 40 G/s take 0.6 ms; (25·64 + 16)·4 + 4 MB / 256 bytes at 10 GB/s take 0.0022 ms.
    assert found["share"]["2 threads", 256] == pytest.approx(0.6 / 0.05)
    assert found["share"]["1 thread", 1] == pytest.approx(1.2 / 1.5)
    assert found["rate"]["2 threads", 256] == pytest.approx(24e6 / 0.05e-3)
    assert found["intensity"]["2 threads", 256] == pytest.approx(24e6 / (4 * 1616 + 4e6 / 256))


def test_time_table_has_a_row_for_every_setting(builder: Any) -> None:
    builder.add("alpha", 16, milliseconds=0.05)
    table = table_of(composed_of(builder), "toy-encoding-time")
    assert texts(table) == [
        ["ALPHA", "16", "1 thread", "1.50 [1.47–1.53]", "80.0 %", "256", "0.0750 [0.0735–0.0765]", "1,600 %", "13,333"],
        ["ALPHA", "16", "2 threads", "1.00 [0.98–1.02]", "60.0 %", "256", "0.0500 [0.0490–0.0510]", "1,200 %",
         "20,000"],
    ]  # fmt: skip
    assert "too noisy" not in " ".join(table.notes)


def test_a_gpu_is_shown_with_and_without_the_copy(builder: Any) -> None:
    stored = builder.add("alpha", 16)
    gpu = EncodingTimes(
        device="Some GPU",
        threads=2,
        rates=encoding(2, 1.0).rates,
        sweep=[timing(1, 0.2), timing(256, 0.001)],
        with_transfer=[timing(1, 0.3), timing(256, 0.004)],
    )
    change_costs(stored, encoding=[*stored.record.costs.encoding, gpu])
    document = composed_of(builder)
    rows = texts(table_of(document, "toy-encoding-time"))
    assert [row[2] for row in rows] == ["1 thread", "2 threads", "Some GPU", "Some GPU, with copy"]
    assert [row[6].split()[0] for row in rows[2:]] == ["0.00100", "0.00400"]
    assert costs.aggregate(named(builder))["machine"].tolist() == ["Some GPU (Synthetic CPU 3000)"]


@pytest.mark.parametrize("several", [False, True])
def test_noise_is_said(several: bool, builder: Any) -> None:
    stored = builder.add("alpha", 16, milliseconds=0.05)
    if several:
        builder.add("beta", 16, cpu="Other CPU", milliseconds=0.05)
    shaky = encoding(2, 0.05)
    noisy = [one.model_copy(update={"noisy": True}) for one in shaky.sweep]
    change_costs(stored, encoding=[shaky.model_copy(update={"sweep": noisy})])
    document = composed_of(builder)
    for name in ("toy-cost", "toy-encoding-time"):
        table = table_of(document, name)
        assert sum(text.endswith("too noisy") for text in texts(table)[0]) == 2
        assert "more than a tenth" in " ".join(table.notes)


def test_what_was_not_measured_says_so(builder: Any) -> None:
    builder.add("alpha", 16)
    change_costs(builder.add("beta", 16), costs=None)
    builder.add("oracle", 16, uses_labels=True)
    rows = {row[0]: row for row in texts(table_of(composed_of(builder), "toy-cost"))}
    last = [rows[label][-1] for label in ("BETA", "oracle (labels), bound", "ALPHA")]
    assert last == ["not measured", "made from labels", ""]
    assert len({len(row) for row in rows.values()}) == 1


def test_a_report_without_any_costs(builder: Any) -> None:
    change_costs(builder.add("alpha", 16), costs=None)
    document = composed_of(builder)
    assert [table.name for table in document.tables if table.name == "toy-encoding-time"] == []
    assert texts(table_of(document, "toy-cost"))[0][-1] == "not measured"


def test_seeds_that_share_a_measurement_have_no_spread(builder: Any) -> None:
    first = builder.add("alpha", 16, seed=0, milliseconds=0.05)
    change_costs(builder.add("alpha", 16, seed=1), **dict(first.record.costs))
    frame = costs.aggregate(named(builder))
    assert frame["seeds"].tolist() == [1]
    assert pd.isna(frame["batched_ms_std"].iloc[0])
    change_costs(builder.add("alpha", 16, seed=2, milliseconds=0.07), measured_at="another day")
    frame = costs.aggregate(named(builder))
    assert frame["seeds"].tolist() == [2]
    assert frame["batched_ms_std"].iloc[0] == pytest.approx(np.std([0.05, 0.07], ddof=1))


def test_operators_are_named_with_their_calls(builder: Any) -> None:
    builder.add("alpha", 16)
    table = table_of(composed_of(builder), "toy-cost")
    assert table.notes[1] == (
        "a: not counted by fvcore: lift_fresh ×1, softmax ×3; of these counted nowhere: lift_fresh."
    )
    modules = table_of(composed_of(builder), "toy-modules")
    assert texts(modules) == [["ALPHA", "project", "16.0", "66.7 %"], ["ALPHA", "output", "8.00", "33.3 %"]]


def test_search_and_reading_stand_apart(builder: Any) -> None:
    for method in ("alpha", "beta"):
        for bits in (16, 32):
            builder.add(method, bits)
    rows = texts(table_of(composed_of(builder), "toy-search"))
    assert [row[:3] for row in rows] == [
        ["search, 16 bits: 100 nearest of 1,000", "0.160 (0.152–0.176)", "query"],
        ["search, 32 bits: 100 nearest of 1,000", "0.320 (0.304–0.352)", "query"],
        ["reading features", "0.00200 (0.00190–0.00220)", "video"],
    ]


def test_throughput_and_roof_are_those_of_the_frame(composed: Document) -> None:
    throughput = next(plot for plot in composed.plots if plot.name == "toy-throughput")
    assert set(throughput.frame["bits"]) == {64}
    for axes, (_, rows) in zip(throughput.figure.axes, throughput.frame.groupby("setting"), strict=True):
        drawn = sorted(value for line in axes.lines for value in np.asarray(line.get_ydata(), dtype=float))
        assert drawn == pytest.approx(sorted(1000 / rows["ms"]))
    roofline = next(plot for plot in composed.plots if plot.name == "toy-roofline")
    for axes, (_, rows) in zip(roofline.figure.axes, roofline.frame.groupby("setting"), strict=True):
        roof, *points = axes.lines
        assert np.max(np.asarray(roof.get_ydata())) * 1e9 == pytest.approx(rows["product_rate"].max())
        assert sorted(float(np.asarray(point.get_ydata())[0]) for point in points) == pytest.approx(
            sorted(rows["rate"] / 1e9)
        )


def test_profile_as_text(runs: list[StoredRun]) -> None:
    text = profile_text(run for run in runs if run.record.status == "done")
    for part in ("Cost of encoding", "Encoding time", "1 thread", "project", "memory copy", "100 nearest of 1,000"):
        assert part in text


@pytest.mark.parametrize(("others", "warned"), [(None, False), (0.08, False), (0.43, True)])
def test_a_machine_that_was_busy_is_told_of(builder: Any, others: float | None, warned: bool) -> None:
    stored = builder.add("alpha", 16)
    places = [place.model_copy(update={"others": others}) for place in stored.record.costs.encoding]
    change_costs(stored, encoding=places)
    warning = "Disturbed: other programs took up to 43% of the machine"
    table = costs.encoding_table(named(builder))
    assert (warning in " ".join(table.notes)) is warned
    assert (warning in summary(builder.store.runs())) is warned
    shares = [row[-1].text for row in times.machine_table(named(builder)).rows]
    assert shares == [{None: "–", 0.08: "8 %", 0.43: "43 %"}[others]] * 2


def test_the_summary_marks_noisy_times(builder: Any) -> None:
    stored = builder.add("alpha", 16, milliseconds=0.05)
    assert "≈" not in summary(builder.store.runs())
    *quiet, shaky = stored.record.costs.encoding
    noisy = [one.model_copy(update={"noisy": True}) for one in shaky.sweep]
    change_costs(stored, encoding=[*quiet, shaky.model_copy(update={"sweep": noisy})])
    text = summary(builder.store.runs())
    assert "0.0500 ≈" in text
    assert "≈ too noisy: an order of magnitude." in text


UNCOUNTED = {"softmax": 3, "scaled_dot_product_attention": 1}


@pytest.fixture
def bounded(builder: Any) -> list[ReportRun]:
    """ALPHA is counted whole; GAMMA, which would be cheapest and best, is not."""
    builder.add("alpha", 16, level=0.5)
    fewer = {"flops": 2_000_000, "flops_by_module": {"project": 1_500_000, "output": 500_000}}
    change_costs(builder.add("gamma", 16, level=0.6), uncounted_operators=UNCOUNTED, **fewer)
    return named(builder)


def test_lower_bounds_are_printed_as_such(builder: Any, bounded: list[ReportRun]) -> None:
    document = composed_of(builder)
    table = table_of(document, "toy-cost")
    column = list(table.header).index("multiply-adds (M)")
    assert [row[column] for row in texts(table)] == ["24.0", "≥ 2.00"]
    assert table.frame["flops_at_least"].tolist() == [False, True]
    assert "the figure is a lower bound" in " ".join(table.notes)
    times_table = table_of(document, "toy-encoding-time")
    assert [row[4].startswith("≥ ") for row in texts(times_table)] == [False, False, True, True]
    assert {row[0]: (row[2][:1], row[3]) for row in texts(table_of(document, "toy-modules"))}["GAMMA"] == ("≥", "–")
    (line,) = [line for line in summary(list(builder.store.runs())).splitlines() if "GAMMA" in line and "M" in line][:1]
    assert "≥ 2.00" in line
    assert "≥ 2.00" in profile_text(builder.store.runs())
    assert len(bounded) == 2


def test_lower_bounds_are_on_no_front_and_under_no_roof(builder: Any, bounded: list[ReportRun]) -> None:
    with settings():
        plots = {plot.name: plot for plot in compose(bounded).plots}
        by_flops, roofline = plots["toy-map-by-flops"], plots["toy-roofline"]
        assert dict(zip(by_flops.frame["method"], by_flops.frame["pareto"], strict=True)) == {
            "ALPHA": True,
            "GAMMA": False,
        }
        assert "≥: not all is counted of GAMMA, which are on no front" in by_flops.caption
        assert [text.get_text() for axes in by_flops.figure.axes for text in axes.texts] == ["≥"]
        assert set(roofline.frame["method"]) == {"ALPHA"}
        assert "≥: not all is counted of GAMMA, which are left out" in roofline.caption
        # Times are whole: there GAMMA competes.
        assert plots["toy-map-by-time"].frame["pareto"].tolist() == [False, True]


def test_each_number_of_parameters_stands_under_its_heading(composed: Document) -> None:
    table = next(table for table in composed.tables if table.name == "toy-cost")
    row = next(row for row in table.rows if [cell.text for cell in row[:2]] == ["BETA", "16"])
    shown = dict(zip(table.header, (cell.text for cell in row), strict=True))
    expected = {
        "parameters instantiated": "3,000,016",
        "parameters trained": "2,000,016",
        "parameters to encode": "1,000,016",
    }
    assert {name: shown[name] for name in expected} == expected
