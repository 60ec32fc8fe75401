"""One table of all datasets, as papers print it."""

import statistics
from typing import Any

import pytest

from bench.base.errors import InputError
from bench.report.compose import compose
from bench.report.document import Document
from bench.report.figures import settings
from bench.report.runs import methods_of, name_runs
from bench.report.selection import narrow_runs
from bench.report.tables import Table, to_latex, to_markdown
from bench.store.store import Store
from tests.report.conftest import Builder

LEVELS = {"alpha": 0.5, "beta": 0.4, "mcmsh": 0.3, "oracle": 0.9}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two methods of somebody's, MCMSH and a bound, on two datasets; one method lacks a code length."""
    builder = Builder(Store(tmp_path_factory.mktemp("combined")))
    for place, dataset in enumerate(("digits", "toys")):
        for bits in (16, 32):
            for method, level in LEVELS.items():
                if (method, dataset, bits) != ("beta", "toys", 32):
                    bound = method == "oracle"
                    builder.add(method, bits, level=level - place / 10, dataset=dataset, dataset_title=dataset.title(),
                                fingerprint=str(place) * 64, uses_labels=bound, epochs=0)  # fmt: skip
    return builder.store


def composed(store: Store, **narrowed: Any) -> Document:
    with settings():
        return compose(name_runs(narrow_runs(store.runs(), **narrowed)))


@pytest.fixture(scope="module")
def table(store: Store) -> Table:
    return next(table for table in composed(store).tables if table.name == "all-paper-at-20")


def test_methods_in_rows_and_datasets_over_code_lengths(table: Table, store: Store) -> None:
    assert table.spans == [("", 1), ("Digits", 2), ("Toys", 2), ("", 1)]
    assert list(table.header) == ["method", "16 bits", "32 bits", "16 bits", "32 bits", "mean rank"]
    # Those that are not built in come after those that are, then bounds, then the ceiling.
    titles = ["MCMSH", "ALPHA", "BETA", "oracle (labels), bound", "ceiling"]
    assert [row[0].text for row in table.rows] == titles
    stored = {(run.record.spec.method, run.record.spec.dataset, run.record.spec.bits): run for run in store.runs()}
    for name, row in zip(("mcmsh", "alpha", "beta", "oracle"), table.rows, strict=False):
        for cell, key in zip(row[1:5], [(data, bits) for data in ("digits", "toys") for bits in (16, 32)], strict=True):
            run = stored.get((name, *key))
            assert cell.text == ("–" if run is None else f"{run.record.metrics['paper'].map[20]:.3f}")


def test_ranks_are_means_over_the_columns_and_bounds_have_none(table: Table) -> None:
    assert [row[-1].text for row in table.rows] == ["2.8", "1.0", "–", "–", "–"]
    assert statistics.mean([3, 3, 3, 2]) == 2.75
    assert [row[1].bold for row in table.rows] == [False, True, False, False, False]


def test_the_ceiling_is_shown_where_it_says_something(table: Table, store: Store) -> None:
    assert [cell.text for cell in table.rows[-1][1:5]] == ["0.750"] * 4
    assert table.rows[-1][0].italic
    strict = next(table for table in composed(store).tables if table.name == "all-strict-at-20")
    assert "ceiling" not in {row[0].text for row in strict.rows}


def test_the_csv_has_every_number(table: Table) -> None:
    frame = table.frame.set_index(["dataset", "bits", "method"])
    assert len(frame) == 15
    assert frame.loc[("toys", 16, "ALPHA"), "map"] == pytest.approx(float(table.rows[1][3].text), abs=5e-4)
    assert set(frame["ceiling"]) == {0.75}


def test_latex_has_headings_over_several_columns(table: Table) -> None:
    text = to_latex(table)
    assert r"} & \multicolumn{2}{c}{Digits} & \multicolumn{2}{c}{Toys} & \multicolumn{1}{c}{} \\" in text
    assert r"\cmidrule(lr){2-3}\cmidrule(lr){4-5}" in text
    assert "| Digits 16 bits |" in " ".join(to_markdown(table).split())


def test_one_column_has_no_mean_rank(builder: Builder) -> None:
    builder.add("alpha", 16)
    builder.add("beta", 16)
    table = next(table for table in composed(builder.store).tables if table.name.startswith("all-"))
    assert list(table.header) == ["method", "16 bits"]
    assert not [note for note in table.notes if "Mean rank" in note]


def test_cutoffs_and_metrics_are_selected(store: Store) -> None:
    document = composed(store, ks=[5, 40], metrics=["ndcg"])
    assert "all-paper-at-5" in {table.name for table in document.tables}
    (quality,) = [table for table in document.tables if table.name == "digits-paper-16-bits"]
    assert list(quality.header)[:3] == ["method", "mAP@5", "mAP@40"]
    (others,) = [table for table in document.tables if table.name == "digits-paper-other-metrics"]
    assert list(others.header) == ["method", "bits", "NDCG@5"]
    assert not [plot for plot in document.plots if plot.name.endswith("precision-recall")]
    curves = composed(store, metrics=["precision_recall"])
    assert [plot for plot in curves.plots if plot.name.endswith("precision-recall")]


@pytest.mark.parametrize(
    ("narrowed", "message"),
    [
        ({"ks": [7]}, "--k 7: no selected run was evaluated at it; known: 5, 20, 40, 60, 80, 100"),
        ({"metrics": ["nadcg"]}, "unknown metric 'nadcg'.*ndcg"),
    ],
)
def test_what_is_unknown_is_named(store: Store, narrowed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        narrow_runs(store.runs(), **narrowed)


@pytest.mark.parametrize(
    ("variants", "labels"),
    [
        # One parameter at a time: the row that changed nothing needs no mention.
        ([(8, 1), (5, 1), (8, 2)], ["ALPHA", "ALPHA (rate=2)", "ALPHA (weight=5)"]),
        # No value is the usual one.
        ([(8, 1), (5, 2)], ["ALPHA (rate=1, weight=8)", "ALPHA (rate=2, weight=5)"]),
        ([(8, 1), (5, 1), (2, 1)], ["ALPHA (weight=2)", "ALPHA (weight=5)", "ALPHA (weight=8)"]),
    ],
)
def test_rows_are_told_apart_by_what_differs(
    builder: Builder, variants: list[tuple[int, int]], labels: list[str]
) -> None:
    for weight, rate in variants:
        builder.add("alpha", 16, parameters={"weight": weight, "rate": rate, "size": 7})
    assert sorted(methods_of(name_runs(builder.store.runs()))) == labels


def test_a_parameter_that_only_some_have_tells_rows_apart(builder: Builder) -> None:
    for parameters in ({"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1}):
        builder.add("alpha", 16, parameters=parameters)
    assert methods_of(name_runs(builder.store.runs())) == ["ALPHA", "ALPHA (a=2)", "ALPHA (no b)"]
