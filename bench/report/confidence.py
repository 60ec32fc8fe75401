"""How far a mean over queries would move with other queries of the same kind."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.metrics.statistics import Interval, resampled_means
from bench.report.per_query import average_precision
from bench.report.runs import ReportRun

Key = TypeVar("Key")

LEVEL = 0.95
RESAMPLES = 2_000
EXPLANATION = (
    f"{LEVEL:.0%} CI: percentile bootstrap over queries ({RESAMPLES:,} resamples, seeds averaged per query); other "
    "queries of the same kind would move the mean that far. It holds for these weights: it covers neither other seeds "
    "nor the order of ties. "
    "Methods share their queries: that intervals overlap does not make two methods equal."
)


def map_intervals(runs: Sequence[ReportRun], protocols: Sequence[str], k: int) -> dict[tuple[str, str, int], Interval]:
    """The interval of mAP@k by protocol, row label and code length.

    `runs` are those of one dataset. A row is left out where a finished run has no values per query: the mean that is
    shown would not be the one that the interval belongs to.
    """
    seeds: dict[tuple[str, str, int], list[NDArray[np.float64] | None]] = defaultdict(list)
    for run in runs:
        known = [name for name in protocols if k in run.scores(name)]
        found = average_precision(run, [(protocol, k) for protocol in known])
        for protocol in known:
            seeds[protocol, run.method, run.bits].append(found.get((protocol, k)))
    complete = {
        key: np.mean([values for values in found if values is not None], axis=0)
        for key, found in seeds.items()
        if all(values is not None for values in found)
    }
    return bootstrap_means(complete)


def bootstrap_means(series: Mapping[Key, NDArray[np.float64]], seed: int = 0) -> dict[Key, Interval]:
    """`bench.metrics.statistics.bootstrap_mean` of many series at once, all under the same draws of queries.

    Args:
        series: by name, (queries,) each, of the same length.
        seed: of the generator.
    """
    if not series:
        return {}
    values = np.stack(list(series.values()), axis=1)
    if len(values) < 2:  # one query says nothing of how queries vary
        return dict.fromkeys(series, Interval(math.nan, math.nan))
    means = resampled_means(values, RESAMPLES, seed)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return {key: Interval(float(low[index]), float(high[index])) for index, key in enumerate(series)}
