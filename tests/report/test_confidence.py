"""Confidence intervals, and protocols side by side."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.metrics.statistics import bootstrap_mean, not_worse_than_best
from bench.report.compose import compose
from bench.report.document import Document
from bench.report.figures import settings
from bench.report.runs import ReportRun, name_runs
from bench.report.significance import ALPHA, REPETITIONS, average_precision, bootstrap_means, indistinguishable
from bench.report.tables import Table
from bench.store.stored_run import PER_QUERY, StoredRun
from tests.report.conftest import KS


def document_of(builder: Any) -> Document:
    with settings():
        return compose(name_runs(builder.store.runs()))


def table_of(document: Document, name: str) -> Table:
    return next(table for table in document.tables if table.name == name)


@pytest.mark.parametrize("queries", [1, 37, 1500])
def test_many_series_at_once_are_the_series_one_by_one(queries: int) -> None:
    generator = np.random.default_rng(queries)
    series = {name: generator.random(queries) ** 2 for name in "abc"}
    found = bootstrap_means(series)
    for name, values in series.items():
        assert found[name] == pytest.approx(bootstrap_mean(values), rel=1e-12, nan_ok=True)


def test_interval_of_a_share_is_the_one_in_textbooks() -> None:
    queries, share = 4000, 0.3
    values = (np.arange(queries) < share * queries).astype(float)
    low, high = bootstrap_means({"share": values})["share"]
    half = 1.96 * math.sqrt(share * (1 - share) / queries)
    assert low == pytest.approx(share - half, abs=0.1 * half)
    assert high == pytest.approx(share + half, abs=0.1 * half)


def test_nothing_has_no_intervals() -> None:
    assert bootstrap_means({}) == {}


def test_table_holds_both_protocols_and_the_interval_of_the_mean_seed(
    composed: Document, runs: list[StoredRun]
) -> None:
    table = table_of(composed, "toy-protocols")
    assert list(table.header) == [
        "method", "bits", "paper mAP@20", "paper 95% CI", "strict mAP@20", "strict 95% CI", "seeds", "note",
    ]  # fmt: skip
    shown = [[cell.text for cell in row] for row in table.rows]
    assert [row[1] for row in shown] == ["16"] * 4 + ["32"] * 4 + ["64"] * 4
    row = next(row for row in shown if row[:2] == ["BETA", "16"])
    folders = [run.folder for run in runs if (run.record.spec.method, run.record.spec.bits) == ("beta", 16)]
    for column, protocol in ((2, "paper"), (4, "strict")):
        seeds = [np.load(folder / PER_QUERY)[f"{protocol}@20"] for folder in folders]
        means = [values.mean() for values in seeds]
        assert row[column] == f"{np.mean(means):.3f} ± {np.std(means, ddof=1):.3f}"
        low, high = bootstrap_mean(np.stack(seeds))
        assert row[column + 1] == f"{low:.3f}–{high:.3f}"
    assert row[6] == "2"


def test_table_names_what_its_columns_mean(composed: Document) -> None:
    notes = " ".join(table_of(composed, "toy-protocols").notes)
    assert "Protocol paper: AP@k is divided by k;" in notes
    assert "Protocol strict: AP@k is divided by the smaller of k" in notes
    assert "Mean ± standard deviation over the seeds 0, 1." in notes
    assert "percentile bootstrap over queries" in notes


def test_failed_rows_stay_and_say_why(builder: Any) -> None:
    builder.add("alpha", 16)
    builder.add("beta", 16, reason="no such device")
    table = table_of(document_of(builder), "toy-protocols")
    assert [cell.text for cell in table.rows[1]] == ["BETA", "16", "–", "–", "–", "–", "failed: no such device"]


@pytest.mark.parametrize("content", [None, b"PK\x03\x04 cut short"])
def test_without_values_per_query_no_mean_is_believed(content: bytes | None, builder: Any) -> None:
    builder.add("beta", 16)
    path: Path = builder.add("alpha", 16).folder / PER_QUERY
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    row = table_of(document_of(builder), "toy-protocols").rows[0]
    what = "average_precision.npz is missing" if content is None else "average_precision.npz differs from its checksum"
    assert [cell.text for cell in row[2:]] == ["–", "–", "–", "–", f"unsound: damaged ({what})"]
    assert path.exists() == (content is not None)


def one_by_one(runs: list[ReportRun], protocol: str) -> dict[int, set[str]]:
    """What `indistinguishable` finds, k after k."""
    found = {}
    for k in KS:
        values = {run.method: average_precision(run, [(protocol, k)])[protocol, k] for run in runs}
        found[k] = set(not_worse_than_best(values, ALPHA, repetitions=REPETITIONS)[1])
    return found


@pytest.mark.parametrize("protocol", ["paper", "strict"])
def test_significance_at_all_k_at_once_is_that_of_one_after_the_other(builder: Any, protocol: str) -> None:
    """Methods that differ by nothing, by little and by much."""
    for number, level in enumerate((0.5, 0.5, 0.49, 0.45, 0.3)):
        builder.add(f"method{number}", 16, level=level)
    runs = name_runs(builder.store.runs())
    found = indistinguishable(runs, protocol, KS)
    assert found == one_by_one(runs, protocol)
    assert all(names and "METHOD4" not in names and len(names) > 1 for names in found.values())


def test_significance_looks_at_all_seeds(builder: Any) -> None:
    """Each of two methods is the better one under one seed: over both they cannot be told apart."""
    for seed, (first, second) in enumerate([(0.6, 0.4), (0.4, 0.6)]):
        builder.add("alpha", 16, seed, first)
        builder.add("beta", 16, seed, second)
    (near,) = indistinguishable(name_runs(builder.store.runs()), "paper", [20]).values()
    assert near is not None
    assert len(near) == 1


def test_tables_say_how_sph_is_ranked(builder: Any) -> None:
    builder.add("sph", 16, title="SpH")
    builder.add("mine", 16)
    note = "SpH is ranked by Hamming distance, as all methods are; its paper prefers a spherical Hamming distance."
    assert table_of(document_of(builder), "toy-protocols").notes.count(note) == 1


def test_queries_without_anything_relevant_are_told_of(composed: Document) -> None:
    assert "2 of 40 queries have nothing relevant in the gallery and count as 0." in composed.text
