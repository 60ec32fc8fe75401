"""Which methods cannot be told from the best one, given the queries there are."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.metrics.statistics import not_worse_than_best
from bench.report.per_query import average_precision
from bench.report.runs import ReportRun

ALPHA = 0.05
# Enough to decide at ALPHA after Holm's adjustment, and still quick with tens of thousands of queries.
PERMUTATIONS = 2_000
EXPLANATION = (
    f"†: not significantly worse than the best (paired randomisation test over queries, seeds averaged; "
    f"Holm-adjusted p ≥ {ALPHA})."
)


def indistinguishable(runs: Sequence[ReportRun], protocol: str, k: int) -> set[str] | None:
    """Methods whose AP@k is not significantly below that of the best; bounds take no part.

    `runs` are those of one dataset and code length. None where there is nothing to compare, or where a finished run has
    no values per query: the best could then be missing from the comparison.
    """
    values: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    for run in runs:
        if run.record.uses_labels or str(k) not in run.record.metrics.get(protocol, {}).get("map", {}):
            continue
        found = average_precision(run, protocol, k)
        if found is None:
            return None
        values[run.method].append(found)
    if len(values) < 2:
        return None
    _, others = not_worse_than_best(
        {method: np.stack(seeds) for method, seeds in values.items()}, ALPHA, permutations=PERMUTATIONS
    )
    return set(others)
