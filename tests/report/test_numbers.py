"""The numbers in a report are those of the records."""

import csv
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.report.compose import compose
from bench.report.document import Document
from bench.report.figures import settings
from bench.report.runs import methods_of, name_runs
from bench.report.terminal import summary
from bench.store.stored_run import StoredRun


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def map_values(runs: Sequence[StoredRun], method: str, bits: int, k: int) -> list[float]:
    return [
        run.record.metrics["paper"].map[k]
        for run in runs
        if (run.record.spec.method, run.record.spec.bits, run.record.status) == (method, bits, "done")
    ]


def document_of(builder: Any) -> Document:
    with settings():
        return compose(name_runs(builder.store.runs()))


def text_of(builder: Any) -> str:
    return document_of(builder).text


def row_of(markdown: str, heading: str, label: str) -> list[str]:
    """Cells of the row that starts with `label` in the first table after `heading`."""
    lines = markdown.split(heading, 1)[1].splitlines()
    row = next(line for line in lines if line.startswith(f"| {label} "))
    return [cell.strip() for cell in row.strip("|").split(" | ")]


def test_table_shows_mean_and_standard_deviation(report: Path, runs: list[StoredRun]) -> None:
    cells = row_of(report.read_text(encoding="utf-8"), "#### 16 bits", "BETA")
    for cell, k in zip(cells[1:7], (5, 20, 40, 60, 80, 100), strict=True):
        values = map_values(runs, "beta", 16, k)
        assert cell.removesuffix("<sup>†</sup>") == f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"
    assert cells[9] == "2"


def test_csv_has_full_precision(report: Path, runs: list[StoredRun]) -> None:
    rows = read(report.parent / "tables" / "toy-paper-16-bits.csv")
    row = next(row for row in rows if row["method"] == "BETA" and row["k"] == "20")
    values = map_values(runs, "beta", 16, 20)
    assert float(row["map"]) == pytest.approx(statistics.mean(values), rel=1e-15)
    assert float(row["map_std"]) == pytest.approx(statistics.stdev(values), rel=1e-12)
    assert row["seeds"] == "2"


def test_best_is_bold_and_a_bound_is_not(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    assert row_of(text, "#### 16 bits", "α\\_1")[1].startswith("**")
    bound = row_of(text, "#### 16 bits", "oracle (labels), bound")
    assert not any("**" in cell for cell in bound)


def test_ties_are_shown(report: Path, runs: list[StoredRun]) -> None:
    cells = row_of(report.read_text(encoding="utf-8"), "#### 16 bits", "BETA")
    mean = statistics.mean(map_values(runs, "beta", 16, 20))
    assert cells[7] == f"{mean - 0.3 / 16:.3f}–{mean + 0.3 / 16:.3f}"


def test_failed_run_keeps_its_row_and_reason(report: Path, runs: list[StoredRun]) -> None:
    text = report.read_text(encoding="utf-8")
    cells = row_of(text, "#### 32 bits", "GAMMA")
    values = map_values(runs, "gamma", 32, 20)
    assert len(values) == 1
    assert cells[2] == f"{values[0]:.3f}"
    assert cells[9] == "1"
    assert cells[10].startswith("seed 1 failed: out of memory")
    assert "## Runs without a result" in text
    assert "23 finished, 1 [without a result]" in text


def test_method_without_any_result_keeps_its_row(builder: Any) -> None:
    builder.add("alpha", 16)
    builder.add("beta", 16, reason="no such device")
    text = text_of(builder)
    assert row_of(text, "#### 16 bits", "BETA")[1:] == [*["–"] * 8, "failed: no such device"]
    for heading in ("### Cost", "### Training"):
        assert row_of(text, heading, "BETA")[-1] == "failed: no such device"


def test_report_of_nothing_but_failures(builder: Any) -> None:
    builder.add("beta", 16, reason="no such device")
    assert "0 finished, 1 [without a result]" in text_of(builder)
    assert "BETA, 16 bits: failed: no such device" in summary(list(builder.store.runs()))


def test_one_seed_is_shown_plainly(builder: Any) -> None:
    builder.add("alpha", 16)
    assert "±" not in text_of(builder).split("### Retrieval quality")[1].split("## How to read this")[0]


def test_parameter_sets_are_not_merged(builder: Any) -> None:
    for epochs in (5, 60):
        builder.add("alpha", 16, parameters={"epochs": epochs, "rate": 0.1})
    builder.add("beta", 16)
    assert methods_of(name_runs(builder.store.runs())) == ["ALPHA (epochs=5)", "ALPHA (epochs=60)", "BETA"]


def test_datasets_that_differ_in_content_are_not_merged(builder: Any) -> None:
    for letter in "ab":
        builder.add("alpha", 16, fingerprint=letter * 64)
    named = name_runs(builder.store.runs())
    assert [run.dataset for run in named] == ["toy-aaaaaaaa", "toy-bbbbbbbb"]
    assert [run.dataset_title for run in named] == ["Toy videos (data aaaaaaaa)", "Toy videos (data bbbbbbbb)"]


@pytest.mark.parametrize(
    ("places", "marks", "keys"),
    [
        (["/data/2023/clips", "/data/2024/clips"], [" (2023)", " (2024)"], ["toy-2023", "toy-2024"]),
        (
            ["/d/a/v1/x", "/d/b/v1/x", "/d/b/v2/x"],
            [" (a/v1)", " (b/v1)", " (b/v2)"],
            ["toy-a-v1", "toy-b-v1", "toy-b-v2"],
        ),
        (["/clips", "/old/clips"], ["", " (old)"], ["toy", "toy-old"]),
        (["/数据/一/片", "/数据/二/片"], [" (一)", " (二)"], ["toy-一", "toy-二"]),
        (["/a/clips", "/A/clips"], [" (a)", " (A)"], ["toy-00000000", "toy-11111111"]),
        (["/clips", "/clips"], [" (data 00000000)", " (data 11111111)"], ["toy-00000000", "toy-11111111"]),
        (["/clips", ""], [" (data 00000000)", " (data 11111111)"], ["toy-00000000", "toy-11111111"]),
    ],
)
def test_folders_of_one_name_are_told_apart_by_their_paths(
    builder: Any, places: list[str], marks: list[str], keys: list[str]
) -> None:
    for number, place in enumerate(places):
        builder.add("alpha", 16, fingerprint=str(number) * 64, place=place)
    named = sorted(name_runs(builder.store.runs()), key=lambda run: run.record.spec.dataset_fingerprint)
    assert [run.dataset_title for run in named] == [f"Toy videos{mark}" for mark in marks]
    assert [run.dataset for run in named] == keys


def test_equal_titles_are_told_apart(builder: Any) -> None:
    builder.add("alpha", 16, title="Hash")
    builder.add("beta", 16, title="Hash")
    assert methods_of(name_runs(builder.store.runs())) == ["Hash [alpha]", "Hash [beta]"]


def test_times_of_different_machines_stay_apart(builder: Any) -> None:
    builder.add("alpha", 16, seed=0, cpu="Slow CPU", milliseconds=4.0)
    builder.add("alpha", 16, seed=1, cpu="Fast CPU", milliseconds=1.0)
    document = document_of(builder)
    assert "come from 2 machines and must not be ranked together" in document.text
    for name in ("toy-cost", "toy-training"):
        table = next(table for table in document.tables if table.name == name)
        assert "Times of different machines do not compare" in " ".join(table.notes)
        assert not any(cell.bold for row in table.rows for cell in row)
    costs = next(table for table in document.tables if table.name == "toy-cost").frame
    assert dict(zip(costs["machine"], costs["batched_ms"], strict=True)) == {
        "Slow CPU, 2 threads": 4.0,
        "Fast CPU, 2 threads": 1.0,
    }
    for kind in ("map-by-time", "throughput", "roofline", "time-by-part"):
        plots = [plot for plot in document.plots if kind in plot.name]
        assert [(plot.name, set(plot.frame["machine"])) for plot in plots] == [
            (f"toy-{kind}-1", {"Fast CPU, 2 threads"}),
            (f"toy-{kind}-2", {"Slow CPU, 2 threads"}),
        ]
    # No time stands where machines would be compared; their shares of each machine's rate do.
    table = next(table for table in document.tables if table.name == "toy-cost")
    assert not any("ms" in title for title in table.header)
    assert [title for title in table.header if "share" in title] == [
        "share of the rate, batch 1",
        "share of the rate, best batch",
    ]
    assert "do not compare" in summary(list(builder.store.runs()))
    assert "1.00" not in summary(list(builder.store.runs())).split("ALPHA")[1].splitlines()[0]


def test_summary_for_the_terminal(runs: list[StoredRun]) -> None:
    text = summary(runs)
    values = map_values(runs, "beta", 64, 100)
    assert f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}" in text
    assert "Toy videos" in text
    assert "1,000,064" in text
    assert "GAMMA, 32 bits: seed 1 failed: out of memory" in text
    assert "seed 0" not in text
    assert max(map(len, text.splitlines())) <= 120


def test_summary_of_nothing() -> None:
    assert summary([]) == "No runs are stored."


def test_methods_that_chance_could_explain_are_marked(builder: Any) -> None:
    for seed in (0, 1, 2):
        for method, level in (("alpha", 0.5), ("beta", 0.499), ("gamma", 0.2)):
            builder.add(method, 16, seed, level)
        builder.add("oracle", 16, seed, 0.9, uses_labels=True)
    text = text_of(builder)
    for column in range(1, 7):
        close = [row_of(text, "#### 16 bits", label)[column] for label in ("ALPHA", "BETA")]
        assert all("**" in cell or "†" in cell for cell in close)
        assert any("**" in cell for cell in close)
        assert "†" not in row_of(text, "#### 16 bits", "GAMMA")[column]
        assert "†" not in row_of(text, "#### 16 bits", "oracle (labels), bound")[column]
    assert "<sup>†</sup>" in text
    assert "†: not significantly worse than the best (two-way bootstrap over seeds and queries;" in text
    assert "†: for these weights" not in text
    assert "For these weights only" not in text


def test_one_seed_is_marked_for_its_weights_only(builder: Any) -> None:
    for method, level in (("alpha", 0.5), ("beta", 0.499), ("gamma", 0.2)):
        builder.add(method, 16, 0, level)
    builder.add("random", 16, 0, 0.1, bound=True)
    text = text_of(builder)
    assert "†: for these weights (one seed), not significantly worse than the best (paired randomisation test" in text
    assert "two-way" not in text
    for method, level in (("alpha", 0.5), ("gamma", 0.2)):
        for seed in (1, 2):
            builder.add(method, 16, seed, level)
    mixed = text_of(builder)
    assert "†: not significantly worse than the best (two-way bootstrap over seeds and queries;" in mixed
    assert "For these weights only: comparisons with BETA (one seed), by a paired randomisation test" in mixed
    for method in ("alpha", "gamma"):
        for seed in (0, 1, 2):
            builder.add(method, 32, seed, 0.4)
        for bits in (8, 64):
            builder.add(method, bits, 0, 0.3)
    every = text_of(builder)
    assert "\n† at 8 and 64 bits: for these weights (one seed), not significantly" in every
    assert "\n† at 16 and 32 bits: not significantly worse than the best (two-way bootstrap" in every
    assert "\nAt 16 bits: For these weights only: comparisons with BETA (one seed)" in every


def test_earlier_sources_of_a_plug_in_are_named_by_their_date(builder: Any) -> None:
    def labels() -> list[str]:
        return methods_of(name_runs(builder.store.runs()))

    builder.add("mine", 16, revision="1-aaaaaaaaaaaa", started="2026-11-27T10:00:00+00:00")
    assert labels() == ["MINE"]
    builder.add("mine", 16, revision="1-bbbbbbbbbbbb", started="2026-11-28T10:00:00+00:00")
    builder.add("mine", 32, revision="1-bbbbbbbbbbbb", started="2026-11-28T11:00:00+00:00")
    assert labels() == ["MINE", "MINE (earlier source, 2026-11-27)"]
    builder.add("mine", 16, revision="1-cccccccccccc", started="2026-11-27T12:00:00+00:00")
    earlier = ["MINE (earlier source, 2026-11-27 10:00:00)", "MINE (earlier source, 2026-11-27 12:00:00)"]
    assert labels() == ["MINE", *earlier]
    builder.add("alpha", 16, revision=1)
    builder.add("alpha", 16, revision=2)
    assert labels()[:2] == ["ALPHA (method revision=1)", "ALPHA (method revision=2)"]
