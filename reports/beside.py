"""Measured mAP@k of a paper's rows, the published one, and the difference where it means one: as numbers and tables."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from bench.base.text import one_line
from bench.data.dataset import Summary
from bench.data.feature_files import FeatureFiles
from bench.metrics.protocols import choose_protocol
from bench.metrics.statistics import Evidence, evidence
from bench.registry import DATASETS, load_registry
from bench.report import problems
from bench.report.published import PaperScore, dataset_title
from bench.report.recipe import Results
from bench.report.runs import ReportRun
from bench.report.significance import of_seeds
from bench.report.tables import NOTHING, Cell, Table, best_as_shown, number

PROTOCOL = "paper"
"""The protocol of all published numbers."""
DECIMALS = 3
SHORT_REASON = 60
Labels = tuple[str, str]
"""Of two rows that are compared."""
TIES = "worst to best order of ties"
HOW_TO_READ = """\
- **Measured** rows come from runs made and stored here; their number of seeds stands under every table.
- **Published** rows are copied from the source named under the table. They are never averaged or ranked; in the
  panels their marks are hollow.
- **Difference** (measured minus published) is shown only where both are of the same dataset under the same protocol."""


@cache
def real_sizes() -> dict[str, dict[str, Any]]:
    """Summaries of the real files of the literature's datasets, by the literature's name."""
    found = {}
    for name, source in load_registry(kinds=(DATASETS,)).datasets.items():
        title = dataset_title(name)
        if title is None or not issubclass(source, FeatureFiles):
            continue
        sizes, query, gallery = source.sizes, source.description.query, source.description.gallery
        if query is not None and gallery is not None:
            found[title] = {
                "query_videos": sizes.videos[query],
                "gallery_videos": sizes.videos[gallery],
                "frames": sizes.frames,
                "dimensions": sizes.dimensions,
                "classes": sizes.classes,
                "self_search": query == gallery,
            }
    return found


def like_with_like(summary: Summary, dataset: str) -> bool:
    """Whether this is the literature's `dataset`, searched as papers do.

    Its name alone would let a part of it pass, or other features.
    """
    sizes = real_sizes().get(dataset)
    if sizes is None or summary.stand_in or dataset_title(summary.name) != dataset:
        return False
    return all(getattr(summary, name) == size for name, size in sizes.items())


@dataclass(frozen=True)
class Beside:
    """Mean over seeds of mAP@k, and what was published on `dataset`.

    `frame` has a row for every bits, label and k: measured, measured_std (of a sample; empty for one seed),
    measured_worst and measured_best (in the worst and the best order of ties), seeds, published, difference
    (measured − published; empty unless `comparable`: measured on that dataset, too).
    """

    results: Results
    frame: pd.DataFrame
    dataset: str
    comparable: bool
    where: str = "in the paper"
    """The name of the published numbers in sentences."""

    def measured(self, label: str, bits: int, k: int) -> float:
        """NaN where nothing was measured."""
        return self._cell("measured", label, bits, k)

    def published(self, label: str, bits: int, k: int) -> float:
        """NaN where nothing was published."""
        return self._cell("published", label, bits, k)

    def _cell(self, column: str, label: str, bits: int, k: int) -> float:
        frame = self.frame
        return float(frame.loc[(frame["label"] == label) & (frame["bits"] == bits) & (frame["k"] == k), column].iloc[0])

    @property
    def ks(self) -> list[int]:
        return sorted(int(k) for k in self.frame["k"].unique())

    def evidence(self, compared: Sequence[tuple[Labels, int]], bits: int) -> list[Evidence]:
        """p-values of whether two rows, by their labels, differ at a k; 1 for rows without values per query."""
        runs = {label: self.results.done(label, bits) for pair, _ in compared for label in pair}
        cells = dict.fromkeys((label, k) for pair, k in compared for label in pair)
        values = {(label, k): of_seeds(runs[label], PROTOCOL, k) for label, k in cells}
        known = {
            ((first, second), k): (one, other)
            for (first, second), k in compared
            if (one := values[first, k]) is not None and (other := values[second, k]) is not None
        }
        tested = dict(zip(known, evidence(list(known.values())), strict=True))
        return [
            tested.get((pair, k)) or Evidence(1.0, for_seeds=min(len(runs[label]) for label in pair) > 1)
            for pair, k in compared
        ]


def beside(results: Results, published: Sequence[PaperScore], dataset: str, comparable: bool) -> Beside:
    """Measured scores with the published ones of the same rows; a published NaN says that there is none."""
    rows = []
    for cell in published:
        runs = results.done(cell.label, cell.bits)
        values, *ends = (_values(runs, cell.k, table) for table in ("map", "map_worst", "map_best"))
        mean, worst, best = (float(np.mean(found)) if found else math.nan for found in (values, *ends))
        rows.append(
            {
                "bits": cell.bits,
                "label": cell.label,
                "k": cell.k,
                "measured": mean,
                "measured_std": float(np.std(values, ddof=1)) if len(values) > 1 else math.nan,
                "measured_worst": worst,
                "measured_best": best,
                "seeds": len(values),
                "published": cell.map,
                "published_dataset": dataset,
                "difference": mean - cell.map if comparable else math.nan,
            }
        )
    frame = pd.DataFrame(rows).sort_values("bits", kind="stable", ignore_index=True)
    return Beside(results, frame, dataset, comparable)


def _values(runs: list[ReportRun], k: int, table: str = "map") -> list[float]:
    found = [getattr(scores, table).get(k) for run in runs if (scores := run.record.metrics.get(PROTOCOL))]
    return [value for value in found if value is not None]


def quality_table(
    shown: Beside, name: str, what: str, caption: str, source: str, marks: Mapping[str, str] = MappingProxyType({})
) -> Table:
    """A group of lines for each row: measured, from worst to best order of ties, published, difference.

    A row that the results do not need is published only.

    Args:
        shown: with a column `source` in the frame where there are `marks`.
        name: of the table's files.
        what: the heading of the rows.
        caption: may hold `{conditions}`, for code lengths and dataset.
        source: of the published numbers.
        marks: of the sources, where there are several.
    """
    frame, ks = shown.frame, shown.ks
    several_lengths = frame["bits"].nunique() > 1
    best = _best(frame)
    measurable = {row.label for row in shown.results.need.rows}
    rows = []
    for (bits, label), group in frame.groupby(["bits", "label"], sort=False):
        by_k = group.set_index("k").reindex(ks)
        head = [Cell(str(label)), *[Cell(str(bits))] * several_lengths]
        if label in measurable:
            measured = [
                Cell(number(by_k["measured"][k], by_k["measured_std"][k], DECIMALS), bold=(bits, k, label) in best)
                for k in ks
            ]
            note = missing(shown.results, str(label), int(str(bits)))
            rows.append([*head, Cell("measured"), *measured, Cell(note)])
            head = [Cell("")] * len(head)
            ties = [_ties(by_k["measured_worst"][k], by_k["measured_best"][k]) for k in ks]
            if any(ties):
                rows.append([*head, Cell(TIES), *(Cell(text or NOTHING) for text in ties), Cell("")])
        rows.append([*head, *_published(by_k, published_label(shown.dataset, shown.comparable), marks), Cell("")])
        if shown.comparable and label in measurable:
            differences = [Cell(signed(by_k["difference"][k], DECIMALS)) for k in ks]
            rows.append([*head, Cell("difference"), *differences, Cell("")])
    header = [what, *["bits"] * several_lengths, "numbers", *(f"mAP@{k}" for k in ks), "note"]
    if not any(row[-1].text for row in rows):
        header, rows = header[:-1], [row[:-1] for row in rows]
    lengths = " and ".join(map(str, sorted(frame["bits"].unique())))
    return Table(
        name=name,
        caption=caption.format(conditions=f"{lengths} bits{_dataset_phrase(shown.results)}"),
        header=header,
        rows=rows,
        frame=frame,
        words=frozenset({"numbers", "note"}),
        notes=(" ".join([provenance(shown, source), "Bold: best of the measured rows."]),),
    )


def _published(by_k: pd.DataFrame, label: str, marks: Mapping[str, str]) -> list[Cell]:
    """A line of published numbers, marked with their source: once where it is the same for all."""
    own = [marks.get(source, "") for source in by_k["source"]] if marks else [""] * len(by_k)
    known = {mark for mark in own if mark}
    once = len(known) < 2
    cells = [
        Cell(number(value, decimals=DECIMALS), mark="" if once else mark)
        for value, mark in zip(by_k["published"], own, strict=True)
    ]
    return [Cell(label, mark="".join(known) if once else ""), *cells]


def _ties(worst: float, best: float) -> str:
    """From the worst to the best order of ties; empty where both round to the same."""
    shown = [number(value, decimals=DECIMALS) for value in (worst, best)]
    return "" if shown[0] == shown[1] else "–".join(shown)


def provenance(shown: Beside, source: str) -> str:
    """Conditions of a comparison: protocol, dataset, seeds, and the source of the published numbers."""
    results = shown.results
    texts = [f"Protocol {PROTOCOL}: {choose_protocol(PROTOCOL).description}"]
    if results.all:
        first = results.all[0]
        texts.append(f"Measured on {one_line(first.dataset_title)}, {seeds_phrase(results)}.")
        chosen = sorted({run.record.checkpoint for run in results.all if run.done and run.record.history})
        texts += [f"Weights: {one_line(', '.join(chosen))}; never chosen by test labels."] if chosen else []
    else:
        texts.append("Nothing was measured.")
    texts.append(f"Published: {source}, on {shown.dataset}, one number without a spread.")
    if shown.comparable:
        texts.append(
            "Difference: measured minus published; the paper leaves the order of equal distances to an unstable sort."
        )
    else:
        texts.append(
            f"{shown.dataset} is another dataset: its numbers are for reference and do not compare with these."
        )
    return " ".join(texts)


def published_label(dataset: str, comparable: bool) -> str:
    """The label of a row of published numbers."""
    return f"published: {dataset}" if comparable else f"published: {dataset}, another dataset"


def seeds_phrase(results: Results) -> str:
    """The number of seeds, and the seeds."""
    seeds = sorted({run.record.spec.seed for run in results.all})
    if len(seeds) == 1:
        return f"one seed ({seeds[0]})"
    return f"mean ± standard deviation over {len(seeds)} seeds ({', '.join(map(str, seeds))})"


def missing(results: Results, label: str, bits: int) -> str:
    """The reasons why runs of a row have no result; empty where all have one."""
    runs = results.runs.get((label, bits), ())
    if not runs:
        return "not run"
    return "; ".join(dict.fromkeys(problems.why(run, SHORT_REASON) for run in runs if not run.done))


def signed(value: float, decimals: int) -> str:
    """`+0.012`, `-0.003`; a dash where there is no value."""
    return NOTHING if math.isnan(value) else f"{value:+.{decimals}f}"


def _dataset_phrase(results: Results) -> str:
    return f" on {one_line(results.all[0].dataset_title)}" if results.all else ""


def _best(frame: pd.DataFrame) -> set[tuple[int, int, str]]:
    """(bits, k, label) of the measured scores that, as shown, are the highest."""
    known = frame.dropna(subset="measured")
    best = known[best_as_shown(known["measured"], [known["bits"], known["k"]], DECIMALS)]
    return set(zip(best["bits"], best["k"], best["label"], strict=True))
