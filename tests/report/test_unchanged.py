"""A report is drawn again exactly where it would come out another."""

from pathlib import Path
from typing import Any

import pytest

from bench.report.write import write_report
from bench.store.stored_run import PER_QUERY


@pytest.fixture
def drawn(builder: Any, tmp_path: Path) -> Any:
    """Writes the report; was it drawn?"""
    builder.add("alpha", 16)

    def draw() -> bool:
        path = tmp_path / "report/report.md"
        before = path.stat().st_ino if path.exists() else None
        write_report(builder.store.runs(), path.parent)
        return path.stat().st_ino != before

    draw()
    return draw


def test_the_same_results_are_not_drawn_again(drawn: Any) -> None:
    assert not drawn()


def test_another_run_is_drawn(drawn: Any, builder: Any) -> None:
    builder.add("beta", 16)
    assert drawn()
    assert not drawn()


def test_names_of_classes_are_drawn(drawn: Any, builder: Any) -> None:
    builder.name_classes("abcdefghij")
    assert drawn()
    assert not drawn()


def test_other_values_per_query_are_drawn(drawn: Any, builder: Any) -> None:
    (run,) = builder.store.runs()
    (run.folder / PER_QUERY).unlink()
    assert drawn()


@pytest.mark.parametrize("file", ["report.md", "tables/toy-cost.csv", "figures/toy-training-loss.png"])
def test_a_report_whose_files_are_missing_is_drawn(drawn: Any, tmp_path: Path, file: str) -> None:
    (tmp_path / "report" / file).unlink()
    assert drawn()
    assert not drawn()
    assert (tmp_path / "report" / file).is_file()


def test_what_others_leave_beside_it_draws_nothing(drawn: Any, tmp_path: Path) -> None:
    for name in (".DS_Store", "figures/.DS_Store", "figures/mine.png", "notes.txt"):
        (tmp_path / "report" / name).write_text("mine")
    assert not drawn()


def test_line_ends_that_git_changed_draw_nothing(drawn: Any, tmp_path: Path) -> None:
    for path in (tmp_path / "report").rglob("*.*"):
        if path.suffix in {".md", ".csv", ".tex"}:
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert not drawn()


def test_other_code_draws_again(drawn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.report.unchanged.version", lambda name: "another")
    assert drawn()
