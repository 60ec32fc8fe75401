"""Measured mAP@k of an artefact's rows, beside the published."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.comparison_quality import ALPHA, welch
from bench.data.dataset import Summary
from bench.metrics.statistics import holm, randomisation_test
from bench.paper.artefacts import Results
from bench.published import PAPER_DATASET, paper_scores
from bench.report.per_query import average_precision
from bench.report.runs import ReportRun
from bench.text import slug

PROTOCOL = "paper"
"""The protocol of all published numbers."""
PAPER_SIZES = {"query_videos": 45_600, "gallery_videos": 45_600, "frames": 25, "dimensions": 4096, "classes": 239}
Pair = tuple[str, str, int]
"""Two rows' labels, and a code length."""


def like_with_like(summary: Summary) -> bool:
    """Is this the dataset of the paper's tables, under its protocol (the test set searched against itself)?

    Its name alone would let a part of it pass, or other features.
    """
    named = slug(summary.name) == slug(PAPER_DATASET) and summary.self_search and not summary.stand_in
    return named and all(getattr(summary, name) == size for name, size in PAPER_SIZES.items())


@dataclass(frozen=True)
class Beside:
    """Mean over seeds of mAP@k, and what the paper's table says.

    `frame` has a row for every bits, label and k: measured, measured_std (of a sample; empty for one seed),
    measured_worst and measured_best (in the worst and the best order of ties), seeds, published, difference
    (measured − published; empty unless the dataset is the paper's).
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

    def within_noise(self, pairs: Iterable[Pair], k: int) -> frozenset[Pair]:
        """Those of the pairs whose difference chance alone can explain: Holm-adjusted over all of them, p ≥ 0.05.

        p is that of the paired randomisation test over queries, or of Welch's t-test over seeds where both rows have
        several and that is larger: a difference that counts holds for other queries and for other seeds. A row without
        values per query proves nothing.
        """
        compared = list(dict.fromkeys(pairs))
        adjusted = holm([self._p(*pair, k) for pair in compared])
        return frozenset(pair for pair, p in zip(compared, adjusted, strict=True) if p >= ALPHA)

    def _p(self, first: str, second: str, bits: int, k: int) -> float:
        pair = [self.results.done(label, bits) for label in (first, second)]
        per_query, maps = [_average_precision(runs, k) for runs in pair], [_values(runs, k) for runs in pair]
        if per_query[0] is None or per_query[1] is None:
            return 1.0
        over_seeds = welch(*maps) if min(map(len, maps)) > 1 else 0.0
        return max(randomisation_test(per_query[0], per_query[1]), over_seeds)


def beside(results: Results, table: int, comparable: bool) -> Beside:
    """Measured scores of the rows of the paper's Table 1 or 2 with the published ones."""
    rows = []
    for cell in paper_scores(table):
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
                "published_dataset": PAPER_DATASET,
                "difference": mean - cell.map if comparable else math.nan,
            }
        )
    frame = pd.DataFrame(rows).sort_values("bits", kind="stable", ignore_index=True)
    return Beside(results, frame, comparable)


def _values(runs: list[ReportRun], k: int, table: str = "map") -> list[float]:
    found = [run.record.metrics.get(PROTOCOL, {}).get(table, {}).get(str(k)) for run in runs]
    return [float(value) for value in found if value is not None]


def _average_precision(runs: list[ReportRun], k: int) -> NDArray[np.float64] | None:
    """AP@k of every seed and query, (seeds, queries)."""
    seeds = [average_precision(run, [(PROTOCOL, k)]).get((PROTOCOL, k)) for run in runs]
    known = [values for values in seeds if values is not None]
    return np.stack(known) if known and len(known) == len(seeds) else None
