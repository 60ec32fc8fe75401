"""Published numbers stand beside measured ones, and never among them."""

import csv
from pathlib import Path
from typing import Any

import pytest

from bench.report.compose import compose
from bench.report.document import Document
from bench.report.figures import settings
from bench.report.published_tables import beside, published_table
from bench.report.runs import ReportRun, name_runs
from bench.report.tables import Table, to_latex, to_markdown

PUBLISHED = Path(__file__).parents[2] / "results" / "published"


def document_of(builder: Any) -> Document:
    with settings():
        return compose(name_runs(builder.store.runs()))


def shown(runs: list[ReportRun], bits: int, ks: list[int]) -> Table:
    table = beside(runs, bits, ks)
    assert table is not None
    return table


def named(builder: Any, dataset: str, **options: Any) -> list[ReportRun]:
    builder.add("alpha", 16, dataset=dataset, **options)
    return name_runs(builder.store.runs())


def rows_of(file: str) -> list[dict[str, str]]:
    with (PUBLISHED / file).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_rows_are_those_of_the_file_in_italics_with_their_sources(builder: Any) -> None:
    table = shown(named(builder, "hmdb51"), 16, [5, 20, 100])
    assert list(table.header) == ["published", "mAP@5", "mAP@20", "mAP@100", "protocol", "source"]
    assert all(cell.italic and not cell.bold and not cell.mark for row in table.rows for cell in row)
    expected: dict[tuple[str, str], dict[int, str]] = {}
    for row in rows_of("map.csv"):
        other = row["paper_method"] == "PABSHVL-FNSC" or "doubtful" in row["source"]
        if (row["dataset"], row["bits"]) == ("HMDB51", "16") and row["k"] in {"5", "20", "100"} and not other:
            cells = expected.setdefault((row["paper_method"], row["source"]), {})
            cells[int(row["k"])] = f"{float(row['map']):.3f}"
    sources = [entry.split("] ", 1)[1] for entry in ("; " + table.notes[1][:-1]).split("; [")[1:]]
    found = {}
    for row_cells in table.rows:
        method, *values, protocol, source = [cell.text for cell in row_cells]
        assert protocol == "papers' code"
        index = int(source.split("[")[1].rstrip("]"))
        found[method, sources[index - 1]] = dict(zip((5, 20, 100), values, strict=True))
    assert {key: {k: v for k, v in cells.items() if v != "–"} for key, cells in found.items()} == expected


def test_suspect_rows_stay_out(builder: Any) -> None:
    suspects = {
        (row["paper_method"], row["bits"], row["k"], row["source"])
        for row in rows_of("map_suspect.csv")
    }  # fmt: skip
    runs = named(builder, "fcvid")
    ks = [5, 20, 40, 60, 80, 100]
    published = {
        (row.method, str(row.bits), str(row.k), row.source)
        for bits in (16, 32, 64)
        for row in shown(runs, bits, ks).frame.itertuples()
    }
    assert published
    assert not published & suspects


@pytest.mark.parametrize("name", ["HMDB-51", "hmdb51", "HMDB_51"])
def test_names_of_a_dataset_in_several_spellings(builder: Any, name: str) -> None:
    assert beside(named(builder, name), 16, [20])


def test_nothing_where_nothing_was_published(builder: Any) -> None:
    assert beside(named(builder, "toy"), 16, [20]) is None


def test_nothing_at_other_code_lengths_or_cut_offs(builder: Any) -> None:
    runs = named(builder, "fcvid")
    assert beside(runs, 17, [20]) is None
    assert beside(runs, 16, [7]) is None


def test_nothing_beside_stand_in_data(builder: Any) -> None:
    assert beside(named(builder, "fcvid", stand_in=True), 16, [20]) is None


def test_only_the_protocol_of_the_papers_has_them_beside_it(builder: Any) -> None:
    builder.add("alpha", 16, dataset="fcvid", dataset_title="FCVID")
    builder.add("alpha", 16)
    document = document_of(builder)
    assert [table.name for table in document.tables if "published" in table.name] == ["fcvid-published-16-bits"]
    paper, strict = (document.text.index(f"Protocol “{name}”") for name in ("paper", "strict"))
    assert paper < document.text.index("fcvid-published-16-bits") < strict


def test_measured_tables_and_plots_are_the_same_as_without(builder: Any) -> None:
    builder.add("mcmsh", 16, dataset="fcvid", title="MCMSH")
    document = document_of(builder)
    frames = [table.frame for table in document.tables if "published" not in table.name]
    frames += [plot.frame for plot in document.plots]
    for frame in frames:
        assert set(frame.get("method", ["MCMSH"])) == {"MCMSH"}


def test_methods_whose_code_looks_at_the_test_set_are_named(builder: Any) -> None:
    table = shown(named(builder, "hmdb51"), 16, [20])
    kept = "AutoSSVH and S5VH: the epoch with the best mAP@5 on the test set is kept"
    assert kept in table.notes[2]
    assert "MCMSH: epochs 26 to 55" in table.notes[2]
    assert not {"BTH", "ConMH", "DKPH"} & set(table.notes[2].replace(":", "").split())
    assert kept in published_table(["s5vh", "autossvh"], [], [])
    assert "Test set" not in published_table(["conmh"], [], [])


def test_italics_in_every_format(builder: Any) -> None:
    table = shown(named(builder, "fcvid"), 16, [20])
    row = next(line for line in to_markdown(table).splitlines() if line.startswith("| *BTH*"))
    assert [cell.strip() for cell in row.strip("|").split("|")][1:3] == ["*0.121*", "*papers' code*"]
    assert r"\textit{BTH} & \textit{0.121} & \textit{papers' code}" in to_latex(table)
