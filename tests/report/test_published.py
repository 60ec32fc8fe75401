"""The literature's numbers: all there, sources kept, suspect rows out."""

import csv
import hashlib
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from bench.base.errors import InputError
from bench.report.published import (
    PAPER,
    dataset_title,
    paper_costs,
    paper_scores,
    published,
    published_costs,
    published_datasets,
    published_methods,
)
from bench.report.published_tables import published_table

PAGE = Path(__file__).parents[2] / "docs/methods.md"


def shipped(name: str) -> list[dict[str, str]]:
    text = (files("bench.results") / "published" / f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


DIGESTS = {
    "efficiency.csv": "11298df691e42324d5d37726401efdaaff586af3cf13a78b3813adfcac62d41d",
    "map.csv": "2e0365ea1dda5afcdaf883163f132243a15a7c753fc9aff89505f8c035f386de",
    "map_suspect.csv": "2c7d04b8e63470a8e27cd0fd7588b30959271bd4e64040e16a3936d83c426dea",
    "paper_table1.csv": "8a41bbf530af0680c2aaa45a4ea300577adfb7fc9e5ff792a8ac3ec28243cb2b",
    "paper_table2.csv": "9a1797c619bea26c1fa6cd130ea804d3de1898f9eac7023d6eba7c6d79322bd1",
    "paper_table3.csv": "891d50db907914e204e43c309b98d8076e848e68de92945e55642d2971cb5dcd",
    "published_only.csv": "696a27124c2e7006165d6c299b92fb7a3a2c72d48e8b37dc09f35e426d634d30",
    "test_set_use.csv": "079fedf5895987349461c214672dbada246999a0f17c34459ffc9a4003c4943e",
}
"""SHA-256. A figure that somebody corrects changes the digest here, in the same commit, with its source."""


def test_not_a_figure_has_changed() -> None:
    folder = files("bench.results") / "published"
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name.endswith(".csv")
    }
    assert found == DIGESTS


@pytest.mark.parametrize(("name", "column"), [("map", "source"), ("map_suspect", "source"), ("efficiency", "source"),
                                              ("test_set_use", "evidence")])  # fmt: skip
def test_every_row_names_its_source(name: str, column: str) -> None:
    rows = shipped(name)
    assert rows
    assert all(row[column].strip() for row in rows)


def test_loaded_rows_keep_the_source_of_their_row() -> None:
    """The papers' own tables have one source each; every other row has its own."""
    shipped_rows = Counter(
        (row["paper_method"], row["dataset"], int(row["bits"]), int(row["k"]), float(row["map"]), row["source"])
        for row in shipped("map")
        if "doubtful" not in row["source"]
    )
    loaded = Counter(
        (row.method, row.dataset, row.bits, row.k, row.map, row.source) for row in published(other_protocols=True)
    )
    assert not shipped_rows - loaded
    assert {source for *_, source in loaded - shipped_rows} == {f"{PAPER}, Table {number}" for number in (1, 2)}
    costs = {(row["method"], row["source"]) for row in shipped("efficiency") if row["platform"] != "computed"}
    assert {(row.method, row.source) for row in published_costs()} == costs


def test_counts() -> None:
    rows = shipped("map")
    assert len(rows) == 1254
    doubtful = sum("doubtful" in row["source"] for row in rows)
    own = 5 * 2 + 6  # MC-MLP of the paper's Table 1, "all" of its Table 2
    assert doubtful == 12
    assert len(published(other_protocols=True)) == 1254 - doubtful + own
    assert len(published()) == 1254 - doubtful + own - 72 - 18  # without PABSHVL-FNSC and WSCH on YFCC


def test_suspect_rows_stay_out() -> None:
    suspect = {
        (row["paper_method"], row["dataset"], int(row["bits"] or 0), int(row["k"]), row["source"])
        for row in shipped("map_suspect")
        if row["bits"].isdigit()
    }
    loaded = {(row.method, row.dataset, row.bits, row.k, row.source) for row in published(other_protocols=True)}
    assert suspect
    assert not suspect & loaded
    assert "tphash" not in published_methods()


def test_other_protocols_only_when_asked_for() -> None:
    assert "pabshvl-fnsc" not in published_methods()
    assert not [row for row in published(dataset="yfcc") if row.method == "WSCH"]
    assert len(published(method="wsch", dataset="yfcc", other_protocols=True)) == 18
    with pytest.raises(InputError, match="PABSHVL"):
        published(method="PABSHVL-FNSC")


def test_every_source_of_a_cell_in_order_of_preference() -> None:
    rows = published(method="bth", dataset="FCVID", bits=64, k=20)
    assert [(row.source_kind, row.map) for row in rows] == [
        ("official_log", pytest.approx(0.310392, abs=1e-6)),
        ("github_issue", 0.310),
    ]
    kinds = [row.source_kind for row in published(method="MCMSH", dataset="fcvid", bits=64, k=20)]
    assert kinds == ["own_paper", "own_paper", "github_issue"]
    assert all(row.source for row in published())
    assert all(0 <= row.map <= 1 for row in published())


def test_unknown_names() -> None:
    with pytest.raises(InputError, match="did you mean conmh"):
        published(method="conhm")
    with pytest.raises(InputError, match="on the dataset 'moving-digits'"):
        published(dataset="moving-digits")
    with pytest.raises(InputError, match="bits known: 16, 32"):
        published_table(["mcmsh"], ["fcvid"], [48])


def test_paper_tables() -> None:
    assert len(paper_scores(1)) == 50
    assert len(paper_scores(2)) == 42
    assert [cell.map for cell in paper_scores(1) if (cell.label, cell.bits, cell.k) == ("+M-RD", 64, 20)] == [0.332]
    assert paper_costs()["MCMSH"].parameters == "1.76M"
    assert paper_costs()["BTH"].parameters == ""
    assert all(row.platform != "computed" for row in published_costs())


def test_published_table() -> None:
    text = published_table(["mcmsh", "BTH", "bth"], ["fcvid"], [64])
    rows = [line.split() for line in text.splitlines() if line.startswith("FCVID")]
    assert [row[2] for row in rows] == ["BTH", "BTH", "MCMSH", "MCMSH", "MCMSH"]
    assert rows[0] == ["FCVID", "64", "BTH", "0.473", "0.375", "0.310", "0.262", "0.237", "0.219", "0.204", "[1]"]
    assert "[1] BTH repo" in text
    assert "not measured here" in text
    assert "platform" not in text
    assert "platform" in published_table(["mcmsh"], [], [])


def test_names_of_datasets() -> None:
    assert published_datasets()["activitynet"] == "ActivityNet"
    assert dataset_title("hmdb-51") == dataset_title("HMDB 51") == "HMDB51"
    assert dataset_title("moving-digits") is None
    assert published(dataset="HMDB-51") == published(dataset="hmdb51") != []
    assert published_table([], ["ucf-101"], []) == published_table([], ["UCF101"], [])


def test_the_page_on_methods_has_the_numbers_of_the_most_trusted_sources() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## Published beside measured")[2]
    table = section.partition("| method |")[2].splitlines()
    titles = [cell.strip() for cell in table[0].strip("| ").split("|")]
    assert titles[:3] == ["published: FCVID", "published: ActivityNet", "published: YFCC"]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:] if line.startswith("|")]
    ablations = {cell.label: cell.map for cell in paper_scores(1) if (cell.bits, cell.k) == (64, 20)}
    shown = 0
    for method, *cells in rows:
        for title, text in zip(titles[:3], cells[:3], strict=True):
            dataset = title.removeprefix("published: ")
            if method.lower() in published_methods():
                found = published(method=method, bits=64, k=20)
                first = [score.map for score in found if score.dataset == dataset][:1]
            else:
                first = [ablations[method]] if method in ablations and dataset == "FCVID" else []
            assert text == (f"{first[0]:.3f}" if first else "–"), (method, title)
            shown += bool(first)
    assert shown == 25
