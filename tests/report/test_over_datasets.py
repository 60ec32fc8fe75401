"""Ranks over datasets: against values by hand and the published table of Nemenyi's quantiles; what a report shows."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2

from bench.report.compose import compose
from bench.report.document import Document
from bench.report.figures import settings
from bench.report.over_datasets import TITLE, add_summary, ranking
from bench.report.runs import ReportRun, name_runs
from tests.report.conftest import Builder

SCORES = np.array([[0.9, 0.8, 0.7], [0.6, 0.5, 0.4], [0.8, 0.9, 0.1], [0.5, 0.5, 0.2]])
"""Four datasets, three methods; on the last one two are equal."""
QUANTILES = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}
"""Of Nemenyi's test at 0.05 by the number of methods: Demšar, JMLR 7, 2006, Table 5a."""


def test_ranks_and_counts_by_hand() -> None:
    found = ranking(SCORES)
    assert found.ranks.tolist() == [[1, 2, 3], [1, 2, 3], [2, 1, 3], [1.5, 1.5, 3]]
    assert found.mean.tolist() == [1.375, 1.625, 3.0]
    assert found.borda.tolist() == [6.5, 5.5, 0.0]


def test_friedmans_statistic_by_hand() -> None:
    without_ties = SCORES[:3]
    # 12 N / (k (k + 1)) (sum of squared mean ranks - k (k + 1)² / 4), with mean ranks 4/3, 5/3 and 3.
    statistic = 12 * 3 / 12 * ((4 / 3) ** 2 + (5 / 3) ** 2 + 3**2 - 12)
    assert ranking(without_ties).p == pytest.approx(chi2.sf(statistic, 2))


@pytest.mark.parametrize(("methods", "quantile"), QUANTILES.items())
def test_the_critical_difference_is_that_of_the_published_table(methods: int, quantile: float) -> None:
    scores = np.random.default_rng(0).random((12, methods))
    expected = quantile * np.sqrt(methods * (methods + 1) / (6 * 12))
    assert ranking(scores).critical_difference == pytest.approx(expected, rel=5e-4)


def test_who_cannot_be_told_apart_from_the_best() -> None:
    # Ranks 1, 2, 3 and 4 on all of 8 datasets: the critical difference is 2.569 √(20 / 48) = 1.66.
    steady = np.tile([0.4, 0.3, 0.2, 0.1], (8, 1))
    assert ranking(steady).not_worse.tolist() == [True, True, False, False]
    # Friedman's test finds nothing in three datasets with other winners, whatever the critical difference says.
    assert ranking(np.array([[0.3, 0.2, 0.1], [0.1, 0.3, 0.2], [0.2, 0.1, 0.3]])).not_worse.all()


def runs_on(builder: Builder, datasets: int) -> list[ReportRun]:
    for number in range(datasets):
        place: dict[str, Any] = {
            "dataset": f"set-{number}", "dataset_title": f"Set {number}", "fingerprint": f"{number}" * 64
        }  # fmt: skip
        builder.add("alpha", 16, level=0.7, **place)
        builder.add("beta", 16, level=0.5 if number else 0.9, **place)
        builder.add("gamma", 16, level=0.3, **place)
        builder.add("oracle", 16, level=0.9, uses_labels=True, epochs=0, **place)
        if number:
            builder.add("delta", 16, level=0.8, **place)
    return name_runs(builder.store.runs())


def test_the_report_shows_one_summary_of_three_datasets(builder: Builder) -> None:
    with settings():
        document = compose(runs_on(builder, 3))
    assert document.text.count(f"## {TITLE}\n") == 1
    tables = {table.name: table for table in document.tables if table.name.startswith("over-datasets")}
    table = tables["over-datasets-paper"]
    assert table.header == ["method", "bits", "mean rank", "Borda", "Set 0", "Set 1", "Set 2"]
    assert [[cell.text for cell in row] for row in table.rows[:3]] == [
        ["ALPHA", "16", "1.33", "5", "2", "1", "1"],
        ["BETA", "16", "1.67", "4", "1", "2", "2"],
        ["GAMMA", "16", "3.00", "0", "3", "3", "3"],
    ]
    assert [[cell.bold, cell.mark] for cell in (row[2] for row in table.rows[:3])] == [
        [True, ""], [False, "†"], [False, "†"],
    ]  # fmt: skip
    assert "Not ranked, without a result on all datasets: DELTA." in table.notes
    assert len([plot for plot in document.plots if plot.name == "over-datasets-paper"]) == 1


def test_two_datasets_are_not_ranked(builder: Builder) -> None:
    document = Document()
    add_summary(document, runs_on(builder, 2), {})
    assert not document.blocks
