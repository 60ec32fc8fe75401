"""Escaping, formats, and reports on disk."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from bench.base.errors import InputError
from bench.report import escape
from bench.report.compose import compose
from bench.report.document import Document
from bench.report.figures import settings
from bench.report.runs import name_runs
from bench.report.tables import Cell, Table, number, significant_decimals, to_latex, to_markdown
from bench.report.write import write_report
from bench.store.stored_run import StoredRun

ODD = "50% | $x$\n& <b> _y_ {z} #1 ~ ^ \\end{tabular} `c` *d* [e](f)"


def table(text: str) -> Table:
    rows = [[Cell(text), Cell("0.500", bold=True)], [Cell("plain"), Cell("0.400 ± 0.010", mark="†")]]
    return Table("name", "Caption & more.", ("method", text), rows, pd.DataFrame(), notes=("A note.",))


def test_markdown_rows_survive_odd_text() -> None:
    rows = to_markdown(table(ODD)).split("\n\n")[0].splitlines()
    assert len(rows) == 4
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {3}
    assert "<b>" not in rows[0] + rows[2]
    assert "**0.500**" in rows[2]
    assert "0.400 ± 0.010<sup>†</sup>" in rows[3]


def test_latex_is_balanced_and_escaped() -> None:
    text = to_latex(table(ODD))
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert text.count(rule) == 1
    assert text.count(r"\begin{") == text.count(r"\end{")
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    header, rest = text.split(r"\toprule")[1].split(r"\midrule")
    rows = [header.strip(), *rest.split(r"\bottomrule")[0].strip().splitlines()]
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [1, 1, 1]
    assert all(row.endswith(r"\\") for row in rows)
    assert all(r"50\% \textbar{} \$x\$ \& \textless{}b\textgreater{} \_y\_ \{z\} \#1" in row for row in rows[:2])
    assert r"\textbf{0.500}" in rows[1]
    assert r"0.400 $\pm$ 0.010\textsuperscript{$\dagger$}" in rows[2]


@pytest.mark.parametrize("name", ["*", "[b]"])
def test_latex_takes_no_name_for_an_argument_of_what_stands_before(name: str) -> None:
    assert "\\midrule\n{" in to_latex(table(name))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("--seeds -1", r"-\/-seeds -1"),
        ("a---b", r"a-\/-\/-b"),
        ("`x`", r"\textasciigrave{}x\textasciigrave{}"),
        ("10⁹ λω", r"10\textsuperscript{9} $\lambda$$\omega$"),
        ("e\u0301", "é"),  # of two characters, for which pdfLaTeX has no glyph
    ],
)
def test_latex_draws_what_is_written(name: str, expected: str) -> None:
    assert escape.latex(name) == expected


def test_latex_names_what_pdflatex_may_lack(composed: Document) -> None:
    assert all(map(str.isascii, map(to_latex, composed.tables)))
    assert to_latex(table("比較 β 比")).splitlines()[1].startswith("% if pdfLaTeX lacks any of 比較: ")


def test_latex_tables_compile_and_fit_the_page(composed: Document, tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None or not subprocess.getoutput("kpsewhich adjustbox.sty"):
        pytest.skip("no pdflatex")
    tables = [*composed.tables, *map(table, (ODD, "* \" `` ''", "é" * 200))]
    lines = [r"\documentclass{article}\usepackage{booktabs,adjustbox}\begin{document}"]
    lines += [f"{to_latex(one)}\\clearpage" for one in tables]
    (tmp_path / "all.tex").write_text("\n".join([*lines, r"\end{document}"]), encoding="utf-8")
    command = ["pdflatex", "-draftmode", "-halt-on-error", "-interaction=nonstopmode", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
    assert "too large" not in done.stdout


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


def contents(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def of_16_bits(runs: list[StoredRun]) -> list[StoredRun]:
    """A third of the panels: drawing takes long."""
    return [run for run in runs if run.record.spec.bits == 16]


@pytest.fixture(scope="module")
def drawn(runs: list[StoredRun], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`report.md` of one code length, with its pictures."""
    return write_report(of_16_bits(runs), tmp_path_factory.mktemp("drawn") / "latest")


def test_same_results_give_the_same_bytes(drawn: Path, runs: list[StoredRun], tmp_path: Path) -> None:
    again = write_report(of_16_bits(runs)[::-1], tmp_path / "again")
    assert contents(again.parent) == contents(drawn.parent)


def test_csv_holds_what_is_plotted(composed: Document) -> None:
    panels = {
        "map-at-k": ("bits", "map"),
        "map-by-bits": ("k", "map"),
        "precision-recall": ("bits", "precision"),
        "training-loss": ("method", "loss"),
    }
    compared = 0
    for plot in composed.plots:
        for panel, value in (names for ending, names in panels.items() if plot.name.endswith(ending)):
            groups = [rows for _, rows in plot.frame.groupby(panel, sort=panel != "method")]
            for axes, rows in zip(plot.figure.axes, groups, strict=True):
                drawn = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines])
                # The oracle's mAP lies beyond the axis, and is named at its edge.
                assert sorted(drawn) == sorted(rows[~rows["bound"]][value] if value == "map" else rows[value])
                compared += 1
    assert compared == 2 * 3 + 2 * 2 + 2 * 3 + 3


def test_plot_of_time_holds_its_csv(composed: Document) -> None:
    plot = next(plot for plot in composed.plots if plot.name.endswith("map-by-time"))
    for axes, (_, rows) in zip(plot.figure.axes, plot.frame.groupby("bits"), strict=True):
        points = [line for line in axes.lines if line.get_linestyle() == "None"]
        drawn = [np.asarray(point.get_xydata(), dtype=float)[0].tolist() for point in points]
        assert drawn == rows[["batched_ms", "map"]].to_numpy().tolist()


def test_plots_of_a_report(composed: Document) -> None:
    assert [plot.name for plot in composed.plots] == [
        "toy-paper-map-at-k",
        "toy-paper-ties",
        "toy-paper-map-by-bits",
        "toy-strict-map-at-k",
        "toy-strict-ties",
        "toy-strict-map-by-bits",
        "toy-paper-precision-recall",
        "toy-strict-precision-recall",
        "toy-map-by-time",
        "toy-map-by-flops",
        "toy-throughput",
        "toy-roofline",
        "toy-time-by-part",
        "toy-training-loss",
    ]
    assert composed.plots[0].figure.axes[0].get_xticks().tolist() == [5, 20, 40, 60, 80, 100]


def test_every_link_leads_somewhere_and_pictures_are_sound(drawn: Path) -> None:
    links = set(re.findall(r"\]\(((?:tables|figures)/[^)]+)\)", drawn.read_text(encoding="utf-8")))
    files = {path.as_posix() for path in contents(drawn.parent)}
    assert links == files - {"report.md", "report.html", ".report.md.json"}
    for file in drawn.parent.rglob("*.svg"):
        ET.parse(file)


def test_no_runs_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="bench run"):
        write_report([], tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_variants_that_differ_near_their_ends_are_told_apart_in_legends(builder: Any) -> None:
    for weight in (0.25, 0.75):
        title = "An architecture with a name that fills the legend"
        builder.add("alpha", 16, title=title, epochs=0, parameters={"weight": weight})
    with settings():
        plot = compose(name_runs(builder.store.runs())).plots[0]
    shown = [text.get_text() for text in plot.figure.legends[0].get_texts()]
    assert [text[-13:] for text in shown] == ["(weight=0.25)", "(weight=0.75)"]
