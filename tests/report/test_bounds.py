"""Bounds are shown beside the methods and ranked with none."""

import json
from pathlib import Path

import pytest
import torch

from bench.registry import load_registry
from bench.report import quality
from bench.report.compose import compose
from bench.report.document import Document
from bench.report.figures import settings
from bench.report.runs import ReportRun, bounds_of, methods_of, name_runs
from bench.report.significance import indistinguishable
from bench.report.styles import BOUND_COLOUR, assign
from bench.running.one_run import new_record
from bench.running.plan import plan
from bench.store.record import RunRecord
from bench.store.store import Store
from tests.report.conftest import Builder

KS = [5, 20, 40, 60, 80, 100]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> list[ReportRun]:
    """Two methods and two bounds, both of which are made to be better than the methods."""
    builder = Builder(Store(tmp_path_factory.mktemp("mixed")))
    builder.add("alpha", 16, level=0.5)
    builder.add("beta", 16, level=0.499)
    builder.add("random", 16, level=0.8, title="random codes", bound=True, epochs=0, milliseconds=0.001)
    builder.add("oracle", 16, level=0.9, title="oracle (labels)", bound=True, uses_labels=True, epochs=0)
    return name_runs(builder.store.runs())


@pytest.fixture(scope="module")
def document(mixed: list[ReportRun]) -> Document:
    with settings():
        return compose(mixed)


def test_labels_say_it_in_one_way_and_stand_last(mixed: list[ReportRun]) -> None:
    assert methods_of(mixed) == [
        "ALPHA",
        "BETA",
        "oracle (labels), bound",
        "random codes, bound",
    ]


def test_variants_of_a_bound_end_alike(builder: Builder) -> None:
    for words in (1, 2):
        builder.add("ideal", 16, parameters={"words": words}, bound=True)
    assert methods_of(name_runs(builder.store.runs())) == ["IDEAL (words=1), bound", "IDEAL (words=2), bound"]


def test_the_first_lines_count_them_apart(document: Document) -> None:
    text = document.text
    assert "2 methods and 2 bounds on 1 dataset" in text
    assert "Methods: ALPHA, BETA. Bounds: oracle (labels), random codes." in text


def test_the_best_of_all_is_no_bound(document: Document) -> None:
    table = next(table for table in document.tables if table.name == "toy-paper-16-bits")
    marked = {row[0].text for row in table.rows for cell in row if cell.bold or cell.mark}
    assert marked <= {"ALPHA", "BETA"}
    for k in KS:
        best = table.frame[(table.frame["k"] == k) & table.frame["best"]]
        measured = table.frame[(table.frame["k"] == k) & table.frame["method"].isin(["ALPHA", "BETA"])]
        assert best["map"].max() == measured["map"].max()


def test_tests_are_those_without_bounds(mixed: list[ReportRun]) -> None:
    alone = [run for run in mixed if run.record.spec.method in {"alpha", "beta"}]
    assert indistinguishable(mixed, "paper", KS) == indistinguishable(alone, "paper", KS)


def test_they_are_grey_and_on_no_front(mixed: list[ReportRun], document: Document) -> None:
    styles = assign({run.method: run.record.spec.method for run in mixed}, bounds_of(mixed))
    assert {label for label, style in styles.items() if style.colour == BOUND_COLOUR} == {
        "oracle (labels), bound",
        "random codes, bound",
    }
    plot = next(plot for plot in document.plots if plot.name == "toy-map-by-time")
    assert set(plot.frame["method"][plot.frame["pareto"]]) <= {"ALPHA", "BETA"}
    # It costs what it costs: random codes are measured as any method.
    assert "random codes, bound" in set(plot.frame["method"])


def test_a_record_without_the_field_goes_by_its_labels(mixed: list[ReportRun]) -> None:
    for run in mixed:
        old = json.loads(run.record.model_dump_json())
        del old["bound"]
        read = RunRecord.model_validate_json(json.dumps(old))
        assert read.bound == (run.record.spec.method == "oracle")


def test_runs_that_start_say_what_they_are(feature_folder: Path) -> None:
    planned = plan(
        load_registry(),
        methods=["random", "oracle", "lsh"],
        datasets=[str(feature_folder)],
        bits=[8],
        seeds=[0],
        parameters={},
    )
    records = [new_record(run, torch.device("cpu")) for run in planned]
    assert {record.spec.method: record.bound for record in records} == {"random": True, "oracle": True, "lsh": False}


def test_no_rule_for_weights_where_there_are_no_epochs(document: Document) -> None:
    table = next(table for table in document.tables if table.name == "toy-training")
    column = list(table.header).index("weights")
    assert {row[0].text: row[column].text for row in table.rows} == {
        "ALPHA": "last epoch",
        "BETA": "last epoch",
        "oracle (labels), bound": "–",
        "random codes, bound": "–",
    }


@pytest.mark.parametrize(
    ("spread", "columns"),
    [
        ({}, []),
        ({100: 0.01}, ["ties @100"]),
        ({20: 0.01, 100: 0.01}, ["ties @20", "ties @100"]),
        ({5: 0.1}, []),
    ],
)
def test_ties_are_shown_at_each_k_where_they_exceed_rounding(
    spread: dict[int, float], columns: list[str], builder: Builder
) -> None:
    stored = builder.add("alpha", 16)
    found = stored.record.metrics["paper"]
    for k, value in found.map.items():
        found.map_worst[k] = value
        found.tie_spread[k] = spread.get(k, 0.0)
        found.map_best[k] = value + found.tie_spread[k]
    builder.store.rewrite(stored, stored.record, lambda folder: None)
    runs = name_runs(builder.store.runs())
    scores = quality.select(quality.aggregate(runs), protocol="paper")
    table = quality.table(runs, quality.marked(runs, scores), ["paper"], 16)
    assert [title for title in table.header if title.startswith("ties")] == columns
    shown = table.frame.set_index("k")
    assert {k: round(shown["map_best"][k] - shown["map_worst"][k], 9) for k in KS} == {
        k: spread.get(k, 0.0) for k in KS
    }
    cells = {title: cell.text for title, cell in zip(table.header, table.rows[0], strict=True)}
    for title in columns:
        k = int(title.removeprefix("ties @"))
        assert cells[title] == f"{found.map[k]:.3f}–{found.map[k] + spread[k]:.3f}"
