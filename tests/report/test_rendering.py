"""Escaping, formats, and reports on disk."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pandas as pd
import pytest

from bench.errors import InputError
from bench.report import document, escape, plots, write_report
from bench.report.render import Cell, Table, number, significant_decimals, to_latex, to_markdown
from bench.report.runs import name_runs
from bench.report.style import assign
from bench.store import StoredRun

ODD = "50% | $x$\n& <b> _y_ {z} #1 ~ ^ \\end{tabular} `c` *d* [e](f)"


def table(text: str) -> Table:
    rows = [[Cell(text), Cell("0.500", bold=True)], [Cell("plain"), Cell("0.400 ± 0.010", mark="†")]]
    return Table("name", "Caption & more.", ("method", "mAP@5"), rows, pd.DataFrame(), notes=("A note.",))


def test_markdown_rows_survive_odd_text() -> None:
    rows = to_markdown(table(ODD)).split("\n\n")[0].splitlines()
    assert len(rows) == 4
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {3}
    assert "<b>" not in rows[2]
    assert "**0.500**" in rows[2]
    assert "0.400 ± 0.010<sup>†</sup>" in rows[3]


def test_latex_is_balanced_and_escaped() -> None:
    text = to_latex(table(ODD))
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert text.count(rule) == 1
    assert text.count(r"\begin{") == text.count(r"\end{")
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    rows = text.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [1, 1]
    assert all(row.endswith(r"\\") for row in rows)
    assert r"50\% \textbar{} \$x\$ \& \textless{}b\textgreater{} \_y\_ \{z\} \#1" in rows[0]
    assert r"\textbf{0.500}" in rows[0]
    assert r"0.400 $\pm$ 0.010\textsuperscript{$\dagger$}" in rows[1]


@pytest.mark.parametrize(
    ("value", "decimals"), [(0.0, 0), (123456.0, 0), (123.0, 0), (12.3, 1), (1.23, 2), (0.0123, 4), (1e-9, 6)]
)
def test_three_significant_digits(value: float, decimals: int) -> None:
    assert significant_decimals(value) == decimals


def test_numbers() -> None:
    assert number(0.5124) == "0.512"
    assert number(0.5124, 0.0041) == "0.512 ± 0.004"
    assert number(float("nan")) == "–"
    assert number(1234567, decimals=0) == "1,234,567"


def test_shortened_text_is_one_line() -> None:
    assert escape.shorten("a\nb\tc\x1b", 20) == "a b c"
    assert escape.shorten("word " * 50, 30).endswith("…")
    assert len(escape.shorten("x" * 99, 30)) == 30


def test_styles_are_distinct_and_bounds_grey() -> None:
    styles = assign([f"method {index:02}" for index in range(40)], ["bound"])
    looks = {(style.colour, style.marker) for style in styles.values()}
    assert len(looks) == 41
    assert {name for name, style in styles.items() if style.bound} == {"bound"}
    assert styles == assign(reversed(list(styles)), ["bound"])


def test_same_results_give_the_same_bytes(runs: list[StoredRun], tmp_path: Path) -> None:
    reports = [write_report(runs[:12], tmp_path / name).parent for name in ("one", "two")]
    contents = [
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()} for root in reports
    ]
    assert contents[0] == contents[1]


def test_order_of_the_runs_does_not_matter(runs: list[StoredRun]) -> None:
    with plots.settings():
        there = document.compose(name_runs(runs))
        back = document.compose(name_runs(runs[::-1]))
    assert there.text == back.text


def test_csv_holds_what_is_plotted(runs: list[StoredRun]) -> None:
    with plots.settings():
        composed = document.compose(name_runs(runs))
    columns = {"map-at-k": ("bits", "map"), "map-by-bits": ("k", "map"), "loss": ("method", "loss")}
    for plot in composed.plots:
        found = [names for ending, names in columns.items() if plot.name.endswith(ending)]
        for panel, value in found:
            groups = [rows for _, rows in plot.frame.groupby(panel, sort=panel != "method")]
            for axes, rows in zip(plot.figure.axes, groups, strict=True):
                drawn = sorted(float(y) for line in axes.lines for y in line.get_ydata())  # type: ignore[union-attr]
                assert drawn == sorted(rows[value])
    assert {plot.name for plot in composed.plots} == {
        "toy-paper-map-at-k",
        "toy-paper-map-by-bits",
        "toy-strict-map-at-k",
        "toy-strict-map-by-bits",
        "toy-map-by-time",
        "toy-training-loss",
    }


def test_k_axis_has_exactly_the_measured_cutoffs(runs: list[StoredRun]) -> None:
    with plots.settings():
        plot = document.compose(name_runs(runs)).plots[0]
    assert plot.figure.axes[0].get_xticks().tolist() == [5, 20, 40, 60, 80, 100]


def test_every_link_leads_somewhere_and_pictures_are_sound(runs: list[StoredRun], tmp_path: Path) -> None:
    path = write_report(runs, tmp_path / "report")
    links = set(re.findall(r"\]\(((?:tables|figures)/[^)]+)\)", path.read_text(encoding="utf-8")))
    files = {file.relative_to(path.parent).as_posix() for file in path.parent.rglob("*") if file.is_file()}
    assert links == files - {"report.md"}
    for file in path.parent.rglob("*.svg"):
        ET.parse(file)
    assert len(list(path.parent.rglob("*.svg"))) == len(list(path.parent.rglob("*.png"))) == 6


def test_report_replaces_a_report(builder: Any, tmp_path: Path) -> None:
    builder.add("alpha", 16)
    first = list(builder.store.runs())
    builder.add("beta", 16)
    write_report(list(builder.store.runs()), tmp_path / "report")
    text = write_report(first, tmp_path / "report").read_text(encoding="utf-8")
    assert "BETA" not in text
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("name", ["thesis.tex", "report.md"])
def test_foreign_folder_is_left_alone(builder: Any, tmp_path: Path, name: str) -> None:
    builder.add("alpha", 16)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / name).write_text("years of work")
    with pytest.raises(InputError, match="--report"):
        write_report(list(builder.store.runs()), folder)
    assert (folder / name).read_text() == "years of work"


def test_file_added_to_a_report_is_not_lost(builder: Any, tmp_path: Path) -> None:
    builder.add("alpha", 16)
    runs = list(builder.store.runs())
    write_report(runs, tmp_path / "report")
    (tmp_path / "report" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"notes\.txt"):
        write_report(runs, tmp_path / "report")
    assert (tmp_path / "report" / "notes.txt").exists()


def test_no_runs_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="bench run"):
        write_report([], tmp_path / "report")
    assert not (tmp_path / "report").exists()
