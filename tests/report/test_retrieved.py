"""The first results of a few queries, and the table of all runs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.report import retrieved, run_table
from bench.report.runs import ReportRun, name_runs
from bench.store.codes_file import StoredCodes, write_codes
from bench.store.stored_run import CODES
from tests.report.conftest import Builder


def test_results_are_those_of_the_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builder: Builder) -> None:
    """Four queries search a gallery of three videos; distances and labels are counted by hand."""
    builder.add("alpha", 4, 0)
    (run,) = name_runs(builder.store.runs())
    queries = np.array([[1, 1, 1, 1], [1, 1, 1, -1], [-1, -1, -1, -1], [1, -1, 1, -1]], dtype=np.int8)
    gallery = np.array([[-1, -1, -1, -1], [1, 1, 1, 1], [1, 1, 1, -1]], dtype=np.int8)
    classes = np.eye(2, dtype=np.uint8)
    codes = StoredCodes(queries, classes[[0, 1, 0, 1]], gallery, classes[[0, 1, 0]])
    write_codes(tmp_path / CODES, codes)
    monkeypatch.setattr(type(run.stored), "verified", lambda stored, name: tmp_path / name)
    monkeypatch.setattr(retrieved, "average_precision", lambda run, wanted: {wanted[0]: np.array([0.1, 0.3, 0.2, 0.9])})
    table = retrieved.table([run])
    assert table is not None
    # Three of four queries, from the hardest, by AP: 0 (0.1), 2 (0.2), 1 (0.3).
    assert list(table.header) == [
        "method", "query 1, easy (class 1)", "query 2, middling (class 0)", "query 0, hard (class 0)",
    ]  # fmt: skip
    # Query 0 is at distances 4, 0 and 1: videos 1, 2, 0, of the classes 1, 0, 0, beside its own, 0.
    # Query 1: 3, 1, 0: videos 2, 1, 0 of classes 0, 1, 0, its own is 1. Query 2: 0, 4, 3: videos 0, 2, 1; its own is 0.
    assert [cell.text for cell in table.rows[0]] == ["ALPHA", "○●○", "●●○", "○●●"]
    frame = table.frame[table.frame["query"] == 0]
    assert frame["query_class_names"].tolist() == ["0", "0", "0"]
    assert frame[["query_classes", "rank", "video", "video_classes", "distance", "relevant"]].to_numpy().tolist() == [
        ["0", 1, 1, "1", 0, False], ["0", 2, 2, "0", 1, True], ["0", 3, 0, "0", 4, True],
    ]  # fmt: skip


def test_classes_have_their_names(builder: Builder) -> None:
    """The class of every query is the number that `random_codes` draws; one without a name keeps it."""
    builder.add("alpha", 16)
    names = ["dog", "x" * 300, "Größe, 犬", "two  spaces", "", "f", "g", "h", "i", "j"]
    builder.name_classes(names)
    table = retrieved.table(name_runs(builder.store.runs()))
    assert table is not None
    drawn = np.random.default_rng(0).integers(0, 10, 40).tolist()
    for query, title in zip(table.frame["query"].unique(), table.header[1:], strict=True):
        assert title.endswith(f"(class {' '.join(names[drawn[query]].split())[:40] or drawn[query]})")
    for what in ("query", "video"):
        numbers = table.frame[f"{what}_classes"].tolist()
        assert table.frame[f"{what}_class_names"].tolist() == [names[int(number)] or number for number in numbers]
    assert "Queries and videos have numbers" in table.notes[0]


@given(st.lists(st.text(), max_size=6))
@settings(max_examples=25, deadline=None)
def test_a_heading_names_classes_in_one_short_line(names: list[str]) -> None:
    said = retrieved._shortly(names)
    assert said.isprintable()
    assert len(said) <= len("class ") + 3 * 40 + 3 * len(" and ") + len("3 more")


def test_a_heading_counts_the_classes_beyond_three() -> None:
    assert retrieved._shortly([]) == "no class"
    assert retrieved._shortly(["dog", "park"]) == "class dog and park"
    assert retrieved._shortly(list("abcde")) == "class a and b and c and 2 more"


def test_a_query_is_not_among_its_own_results() -> None:
    codes = StoredCodes(np.array([[1, 1], [1, 1], [1, -1]], dtype=np.int8), np.eye(3, dtype=np.uint8), None, None)
    assert retrieved._results(codes, 1)["video"].tolist() == [0, 2]


def test_every_run_has_a_row(builder: Any) -> None:
    for seed in (0, 1):
        builder.add("alpha", 16, seed)
    builder.add("beta", 32, reason="out of memory")
    runs: list[ReportRun] = name_runs(builder.store.runs())
    table = run_table.table(runs)
    assert list(table.header) == [
        "method",
        "bits",
        "seed",
        "status",
        "measure",
        "score",
        "fit (s)",
        "started",
        "folder",
    ]
    cells = [[cell.text for cell in row] for row in table.rows]
    assert cells[0][:4] == ["ALPHA", "16", "0", "done"]
    assert cells[0][4:6] == ["mAP@20", f"{runs[0].record.metrics['paper'].map[20]:.3f}"]
    assert cells[1][6:] == ["11.0", "2026-01-01 00:00:00", runs[1].record.spec.folder]
    assert cells[2][2:6] == ["0", "failed", "–", "–"]
