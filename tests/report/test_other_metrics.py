"""The metrics beside mAP@k."""

import statistics
from typing import Any

import pytest

from bench.metrics import Scores
from bench.report import frames, other_metrics, quality
from bench.report.document import Document
from bench.report.runs import ReportRun, name_runs, protocols_of
from bench.store.store import Store
from bench.store.stored_run import StoredRun, write_record


def values_of(runs: list[StoredRun], method: str, bits: int) -> list[Scores]:
    return [
        run.record.metrics["paper"]
        for run in runs
        if (run.record.spec.method, run.record.spec.bits, run.record.status) == (method, bits, "done")
    ]


def edit_metrics(store: Store, **values: Any) -> None:
    """Put values into the metrics of every stored record, under every protocol."""
    for run in list(store.runs()):
        metrics = {name: found.model_copy(update=values) for name, found in run.record.metrics.items()}
        write_record(run.folder, run.record.model_copy(update={"metrics": metrics}))


def test_table_shows_the_stored_metrics(composed: Document, runs: list[StoredRun]) -> None:
    table = next(table for table in composed.tables if table.name == "toy-paper-other-metrics")
    assert list(table.header) == [
        "method", "bits", "precision@20", "recall@20", "NDCG@20", "mAP, whole ranking", "precision, radius 2", "seeds",
        "note",
    ]  # fmt: skip
    row = next(row for row in table.rows if (row[0].text, row[1].text) == ("BETA", "64"))
    stored = values_of(runs, "beta", 64)
    columns: list[list[float]] = [
        [scores.precision[20] for scores in stored],
        [scores.recall[20] for scores in stored],
        [scores.ndcg[20] for scores in stored],
        [scores.map_full for scores in stored if scores.map_full is not None],
        [scores.precision_radius2 for scores in stored if scores.precision_radius2 is not None],
    ]
    for cell, column in zip(row[2:7], columns, strict=True):
        assert cell.text == f"{statistics.mean(column):.3f} ± {statistics.stdev(column):.3f}"
    assert row[7].text == "2"
    assert table.notes[0].startswith("Protocol paper: AP@k is divided by k;")


def test_queries_that_find_nothing_are_counted(builder: Any) -> None:
    builder.add("alpha", 16)
    edit_metrics(builder.store, queries_empty_radius2=5)
    table = other_metrics.table(name_runs(builder.store.runs()), ["paper"], 20)
    assert table.header[-1] == "nothing within 2"
    assert table.rows[0][-1].text == "12.5 %"  # 5 of 40
    assert "Nothing within 2: the share of such queries." in table.notes


def test_what_an_earlier_record_does_not_know_is_a_dash(builder: Any) -> None:
    builder.add("alpha", 16)
    edit_metrics(builder.store, queries_empty_radius2=5)
    builder.add("beta", 16)
    table = other_metrics.table(name_runs(builder.store.runs()), ["paper"], 20)
    assert [row[-1].text for row in table.rows] == ["12.5 %", "–"]


@pytest.mark.parametrize(
    ("values", "shown"), [((0.125,), "12.5 %"), ((0.125, 0.01), "12.5 ± 1.0 %"), ((float("nan"),), "–")]
)
def test_shares(values: tuple[float, ...], shown: str) -> None:
    assert other_metrics.share(*values) == shown


def groups(runs: list[ReportRun]) -> list[list[str]]:
    return quality.equal_protocols(frames.other_metrics(runs, 20), protocols_of(runs))


def test_protocols_that_agree_share_a_table(builder: Any) -> None:
    builder.add("alpha", 16)
    assert groups(name_runs(builder.store.runs())) == [["paper"], ["strict"]]
    same = dict.fromkeys((5, 20, 40, 60, 80, 100), 0.5)
    edit_metrics(builder.store, precision=same, recall=same, ndcg=same)
    runs = name_runs(builder.store.runs())
    assert groups(runs) == [["paper", "strict"]]
    notes = " ".join(other_metrics.table(runs, ["paper", "strict"], 20).notes)
    assert "Protocol paper:" in notes
    assert "Protocol strict:" in notes
    assert "are the same under every protocol" in notes


def test_curves_are_means_over_seeds_at_every_radius(runs: list[StoredRun]) -> None:
    curves = other_metrics.curves(name_runs(runs), "paper")
    rows = curves[(curves["method"] == "BETA") & (curves["bits"] == 16)]
    stored = [curve for scores in values_of(runs, "beta", 16) if (curve := scores.precision_recall)]
    assert rows["radius"].tolist() == list(range(17))
    for radius, row in enumerate(rows.itertuples()):
        precisions = [curve.precision[radius] for curve in stored]
        assert row.precision == pytest.approx(statistics.mean(precisions))
        assert row.precision_std == pytest.approx(statistics.stdev(precisions), abs=1e-12)
        # Two of the 40 queries have nothing to find.
        assert row.recall == pytest.approx(0.95 * radius / 16)


def test_a_cut_off_that_was_not_evaluated_gives_no_rows(runs: list[StoredRun]) -> None:
    assert frames.other_metrics(name_runs(runs), 7).empty
