"""The literature's numbers, each with its source."""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from bench.base.errors import InputError
from bench.base.text import closest, slug

PAPER = "MCMSH paper (Hao et al., ACM MM 2022)"
PAPER_DATASET = "FCVID"
"""The dataset of the paper's own tables."""
PROTOCOL = (
    "AP@k is divided by k; where the queries are the gallery (FCVID) a query stays in it; equal distances keep "
    "whatever order an unstable sort gives."
)
PREFERENCE = ("own_paper", "official_readme", "official_log", "github_issue", "other_paper")
"""Kinds of sources, the most trusted first (see the README beside the numbers)."""
OWN_ROWS = {1: "MC-MLP", 2: "MCMSH (all)"}
"""The row of the whole method in the paper's Tables 1 and 2."""


@dataclass(frozen=True)
class PublishedScore:
    """One mAP@k (0 to 1) that a source gives for a method at a code length."""

    method: str
    dataset: str
    bits: int
    k: int
    map: float
    source: str
    source_kind: str


@dataclass(frozen=True)
class PublishedCost:
    """A source's words on the cost of a method; an empty text where it says nothing."""

    method: str
    parameters: str
    flops: str
    encode_ms: str
    platform: str
    source: str


@dataclass(frozen=True)
class PaperScore:
    """One cell of the MCMSH paper's Table 1 or 2: mAP@k (0 to 1) on FCVID of the row `label`."""

    label: str
    bits: int
    k: int
    map: float


def published(
    *,
    method: str | None = None,
    dataset: str | None = None,
    bits: int | None = None,
    k: int | None = None,
    other_protocols: bool = False,
) -> list[PublishedScore]:
    """Published mAP@k. A cell that several sources give comes several times, the most trusted source first.

    Names are matched without regard to case, those of datasets by letters and digits alone. Rows marked suspect or
    doubtful are never among them, rows that follow another protocol only with `other_protocols`.

    Raises:
        InputError: there are no numbers of this method, or on this dataset.
    """
    rows = [row for row in _scores() if other_protocols or not _follows_other_protocol(row)]
    if method is not None:
        rows = _named(rows, "method", method)
    if dataset is not None:
        rows = _named(rows, "dataset", dataset_title(dataset) or dataset)
    return [row for row in rows if bits in (None, row.bits) and k in (None, row.k)]


def published_methods() -> set[str]:
    """Names, in lower case, of the methods with numbers under the common protocol."""
    return {slug(row.method) for row in published()}


def published_datasets() -> dict[str, str]:
    """The literature's names of datasets, by their names in lower case."""
    return {slug(row.dataset): row.dataset for row in published()}


def dataset_title(name: str) -> str | None:
    """The literature's name of a dataset, by letters and digits alone (`hmdb-51` is HMDB51); None where it has none."""
    return {_letters(title): title for title in published_datasets().values()}.get(_letters(name))


def test_set_sentence(scores: Iterable[PublishedScore]) -> str:
    """The methods among `scores` whose released code looks at the test set during training; empty for none.

    Methods whose code was not read for it are not named.
    """
    known, methods_of_rule = {score.method for score in scores}, defaultdict[str, list[str]](list)
    for row in _read("test_set_use"):
        if row["method"] in known:
            methods_of_rule[row["rule"]].append(row["method"])
    rules = "; ".join(f"{' and '.join(methods)}: {rule}" for rule, methods in methods_of_rule.items())
    return f"Test set in the released training code: {rules}." if rules else ""


def published_costs() -> list[PublishedCost]:
    """Published costs; what was merely computed from released code is not among them."""
    rows = [
        PublishedCost(row["method"], row["params"], row["flops"], row["encode_time_ms"], row["platform"], row["source"])
        for row in _read("efficiency")
    ]
    return [row for row in rows if row.platform != "computed" and not row.source.startswith("computed")]


def paper_scores(table: int) -> list[PaperScore]:
    """The cells of the MCMSH paper's Table 1 (`label` is the backbone) or 2 (the losses), in the paper's order."""
    label = {1: "model", 2: "loss"}[table]
    return [
        PaperScore(row[label], int(row["bits"]), int(row["k"]), float(row["map"]))
        for row in _read(f"paper_table{table}")
    ]


def paper_costs() -> dict[str, PublishedCost]:
    """The rows of the MCMSH paper's Table 3, by method."""
    return {
        row["method"]: PublishedCost(
            row["method"], row["params"], row["flops"], row["encode_ms"], "not stated", f"{PAPER}, Table 3"
        )
        for row in _read("paper_table3")
    }


def _named(rows: list[PublishedScore], what: str, name: str) -> list[PublishedScore]:
    known = {slug(getattr(row, what)): getattr(row, what) for row in rows}
    if slug(name) not in known:
        on = "of the method" if what == "method" else "on the dataset"
        raise InputError(f"no published numbers {on} '{name}': {closest(slug(name), known)}")
    return [row for row in rows if slug(getattr(row, what)) == slug(name)]


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _follows_other_protocol(row: PublishedScore) -> bool:
    return row.method == "PABSHVL-FNSC" or (row.method, row.dataset) == ("WSCH", "YFCC")


@cache
def _scores() -> tuple[PublishedScore, ...]:
    rows = [
        PublishedScore(
            row["paper_method"],
            row["dataset"],
            int(row["bits"]),
            int(row["k"]),
            float(row["map"]),
            row["source"],
            row["source_kind"],
        )
        for row in _read("map")
        if "doubtful" not in row["source"]
    ]
    rows += [
        PublishedScore("MCMSH", PAPER_DATASET, cell.bits, cell.k, cell.map, f"{PAPER}, Table {table}", "own_paper")
        for table, label in OWN_ROWS.items()
        for cell in paper_scores(table)
        if cell.label == label
    ]
    return tuple(sorted(rows, key=preference))


def preference(row: PublishedScore) -> tuple[str, int, str, int, str, int]:
    """Sorts the numbers of a cell by how far their source is trusted."""
    return row.dataset, row.bits, row.method.casefold(), PREFERENCE.index(row.source_kind), row.source, row.k


def _read(name: str) -> list[dict[str, str]]:
    text = (files("bench.results") / "published" / f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
