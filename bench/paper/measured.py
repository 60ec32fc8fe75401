"""Measured mAP@k of an artefact's rows, beside the published."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.data.dataset import Summary
from bench.metrics.statistics import Evidence, evidence
from bench.paper.artefacts import Results
from bench.report.published import PAPER_DATASET, paper_scores
from bench.report.runs import ReportRun
from bench.report.significance import of_seeds
from bench.text import slug

PROTOCOL = "paper"
"""The protocol of all published numbers."""
PAPER_SIZES = {"query_videos": 45_600, "gallery_videos": 45_600, "frames": 25, "dimensions": 4096, "classes": 239}


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

    def evidence(self, pairs: Sequence[tuple[str, str]], bits: int, k: int) -> list[Evidence]:
        """What says whether two rows, by their labels, differ. Rows without values per query prove nothing."""
        runs = {label: self.results.done(label, bits) for pair in pairs for label in pair}
        values = {label: of_seeds(found, PROTOCOL, k) for label, found in runs.items()}
        known = {
            (first, second): (one, other)
            for first, second in pairs
            if (one := values[first]) is not None and (other := values[second]) is not None
        }
        tested = dict(zip(known, evidence(list(known.values())), strict=True))
        return [
            tested.get(pair) or Evidence(1.0, for_seeds=min(len(runs[label]) for label in pair) > 1) for pair in pairs
        ]


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
    found = [getattr(scores, table).get(k) for run in runs if (scores := run.record.metrics.get(PROTOCOL))]
    return [value for value in found if value is not None]
