"""The literature's numbers, each with its source. They are shown beside measured ones, never mixed with them."""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from bench.errors import InputError
from bench.text import closest, slug
from bench.text_table import text_table

PAPER = "MCMSH paper (Hao et al., ACM MM 2022)"
PAPER_DATASET = "FCVID"
"""Where the paper's own tables were measured."""
PROTOCOL = (
    "AP@k is divided by k; where the queries are the gallery (FCVID) a query stays in it; equal distances keep "
    "whatever order an unstable sort gives."
)
PREFERENCE = ("own_paper", "official_readme", "official_log", "github_issue", "other_paper")
"""Kinds of sources, the most trusted first (see the README beside the numbers)."""
OWN_ROWS = {1: "MC-MLP", 2: "MCMSH (all)"}
"""Which row of the paper's Tables 1 and 2 is the whole method."""


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
    """What a source says of a method's cost, in its own words; an empty text where it says nothing."""

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
    """Which methods among `scores` look at the test set while they train, as their released code does; empty for none.

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


def published_table(methods: Sequence[str], datasets: Sequence[str], bits: Sequence[int]) -> str:
    """A text table of published mAP@k, one row for every source; nothing named means everything.

    Costs, which belong to no dataset or code length, follow where neither is asked for.

    Raises:
        InputError: there are no numbers of a method, on a dataset, or of the methods, datasets and bits together.
    """
    asked_methods: Sequence[str | None] = methods or [None]
    asked_datasets: Sequence[str | None] = datasets or [None]
    rows = [
        row
        for method in asked_methods
        for dataset in asked_datasets
        for row in published(method=method, dataset=dataset)
        if not bits or row.bits in bits
    ]
    if not rows:
        lengths = ", ".join(map(str, sorted({row.bits for row in published()})))
        raise InputError(f"no published numbers of these methods, datasets and bits together; bits known: {lengths}")
    # Names may be given twice, in several spellings.
    rows = sorted(dict.fromkeys(rows), key=_order)
    ks = sorted({row.k for row in rows})
    sources = {source: number for number, source in enumerate(dict.fromkeys(row.source for row in rows), start=1)}
    cells: dict[tuple[str, int, str, str], dict[int, float]] = {}
    for row in rows:
        cells.setdefault((row.dataset, row.bits, row.method, row.source), {})[row.k] = row.map
    lines = [
        [
            dataset,
            str(length),
            method,
            *(f"{values[k]:.3f}" if k in values else "–" for k in ks),
            f"[{sources[source]}]",
        ]
        for (dataset, length, method, source), values in cells.items()
    ]
    header = ["dataset", "bits", "method", *(f"mAP@{k}" for k in ks), "source"]
    align = ["left", "right", "left", *["right"] * (len(ks) + 1)]
    parts = [
        text_table(lines, header, colalign=align),
        "\n".join(f"[{number}] {source}" for source, number in sources.items()),
        " ".join(filter(None, [f"Published, not measured here. {PROTOCOL}", test_set_sentence(rows)])),
    ]
    if not datasets and not bits:
        parts += _cost_table(methods)
    return "\n\n".join(parts)


def _cost_table(methods: Sequence[str]) -> list[str]:
    wanted = {slug(method) for method in methods} or published_methods()
    # The rows name variants: "AutoSSVH small encoder (25x4096)".
    rows = [
        (row.method, row.parameters, row.flops, row.encode_ms, row.platform, row.source)
        for row in published_costs()
        if slug(row.method.split()[0]) in wanted
    ]
    header = ("method", "parameters", "FLOPs", "ms/video", "platform", "source")
    widths = [30, 20, 10, 22, 20, 60]
    return [text_table(rows, header, maxcolwidths=widths)] if rows else []


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
    return tuple(sorted(rows, key=_order))


def _order(row: PublishedScore) -> tuple[str, int, str, int, str, int]:
    preference = PREFERENCE.index(row.source_kind)
    return row.dataset, row.bits, row.method.casefold(), preference, row.source, row.k


def _read(name: str) -> list[dict[str, str]]:
    text = (files("bench.results") / "published" / f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
