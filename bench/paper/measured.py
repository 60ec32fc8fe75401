"""Measured mAP@k of an artefact's rows, beside the published."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.data.dataset import Summary
from bench.metrics.statistics import bootstrap_difference
from bench.paper.artefacts import Results
from bench.published import PAPER_DATASET, paper_scores
from bench.report.per_query import average_precision
from bench.report.runs import ReportRun
from bench.text import slug

PROTOCOL = "paper"
"""The protocol of all published numbers."""


def like_with_like(summary: Summary) -> bool:
    """Is this the dataset of the paper's tables, under its protocol (the test set searched against itself)?"""
    return slug(summary.name) == slug(PAPER_DATASET) and summary.self_search and not summary.stand_in


@dataclass(frozen=True)
class Beside:
    """Mean over seeds of mAP@k, and what the paper's table says.

    `frame` has a row for every bits, label and k: measured, measured_std (of a sample; empty for one seed), seeds,
    published, difference (measured − published; empty unless the dataset is the paper's).
    """

    results: Results
    frame: pd.DataFrame
    comparable: bool

    def measured(self, label: str, bits: int, k: int) -> float:
        """NaN where nothing was measured."""
        return self._cell("measured", label, bits, k)

    def published(self, label: str, bits: int, k: int) -> float:
        return self._cell("published", label, bits, k)

    def _cell(self, column: str, label: str, bits: int, k: int) -> float:
        frame = self.frame
        return float(frame.loc[(frame["label"] == label) & (frame["bits"] == bits) & (frame["k"] == k), column].iloc[0])

    @property
    def ks(self) -> list[int]:
        return sorted(int(k) for k in self.frame["k"].unique())

    def within_noise(self, first: str, second: str, bits: int, k: int) -> bool:
        """Can chance alone explain the difference of two rows?

        It can where the 95 % bootstrap interval over queries holds 0, or where the difference of the means is no larger
        than the standard deviation of either over its seeds. A row without values per query proves nothing.
        """
        pair = [self.results.done(label, bits) for label in (first, second)]
        values = [_average_precision(runs, k) for runs in pair]
        if values[0] is None or values[1] is None:
            return True
        interval = bootstrap_difference(values[0], values[1])
        difference = abs(self.measured(first, bits, k) - self.measured(second, bits, k))
        spread = max((_std(runs, k) for runs in pair), default=0.0)
        return interval.low <= 0 <= interval.high or difference <= spread


def beside(results: Results, table: int, comparable: bool) -> Beside:
    """Measured scores of the rows of the paper's Table 1 or 2 with the published ones."""
    rows = []
    for cell in paper_scores(table):
        values = _values(results.done(cell.label, cell.bits), cell.k)
        mean = float(np.mean(values)) if values else math.nan
        rows.append(
            {
                "bits": cell.bits,
                "label": cell.label,
                "k": cell.k,
                "measured": mean,
                "measured_std": float(np.std(values, ddof=1)) if len(values) > 1 else math.nan,
                "seeds": len(values),
                "published": cell.map,
                "published_dataset": PAPER_DATASET,
                "difference": mean - cell.map if comparable else math.nan,
            }
        )
    frame = pd.DataFrame(rows).sort_values("bits", kind="stable", ignore_index=True)
    return Beside(results, frame, comparable)


def _values(runs: list[ReportRun], k: int) -> list[float]:
    found = [run.record.metrics.get(PROTOCOL, {}).get("map", {}).get(str(k)) for run in runs]
    return [float(value) for value in found if value is not None]


def _std(runs: list[ReportRun], k: int) -> float:
    values = _values(runs, k)
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _average_precision(runs: list[ReportRun], k: int) -> NDArray[np.float64] | None:
    """AP@k of every seed and query, (seeds, queries)."""
    seeds = [average_precision(run, [(PROTOCOL, k)]).get((PROTOCOL, k)) for run in runs]
    known = [values for values in seeds if values is not None]
    return np.stack(known) if known and len(known) == len(seeds) else None
