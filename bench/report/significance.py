"""Uncertainty of mAP@k, from its values per query: confidence intervals, and tests against the best method."""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.base.npz_file import read_arrays
from bench.base.text import one_line
from bench.metrics.statistics import Interval, each_not_worse_than_best, resampled_means
from bench.report.runs import ReportRun, methods_of
from bench.store.stored_run import PER_QUERY

Key = TypeVar("Key")
ALPHA = 0.05
# Enough to decide at ALPHA after Holm's adjustment, and still quick with tens of thousands of queries.
REPETITIONS = 2_000
WORSE = "not significantly worse than the best"
HOLM = f"p ≥ {ALPHA}, Holm-adjusted over the methods at one k, code length and protocol"
OVER_BOTH = "two-way bootstrap over seeds and queries"
OVER_QUERIES = "paired randomisation test over queries"
PICKED = "The best was picked on the same values."
LEVEL = 0.95
RESAMPLES = 2_000
INTERVALS = (
    f"{LEVEL:.0%} CI: percentile bootstrap over queries ({RESAMPLES:,} resamples, seeds averaged per query): how far "
    "the mean would move with other queries of the same kind. It covers neither other seeds nor the order of ties. "
    "Methods share their queries, so that two may differ although their intervals overlap."
)


def average_precision(
    run: ReportRun, wanted: Collection[tuple[str, int]]
) -> dict[tuple[str, int], NDArray[np.float64]]:  # fmt: skip
    """AP@k of every query of a run, (queries,), from 0 to 1, by protocol and k; what is not stored is left out.

    That the file is as it was written and belongs to the record was checked when the run was read.
    """
    if PER_QUERY not in run.record.checksums or not wanted:
        return {}
    names = {f"{protocol}@{k}": (protocol, k) for protocol, k in wanted}
    found = read_arrays(run.stored.verified(PER_QUERY), names)
    return {names[name]: values for name, values in found.items()}


def of_seeds(runs: Sequence[ReportRun], protocol: str, k: int) -> NDArray[np.float64] | None:
    """AP@k of the runs of a row, (seeds, queries); None unless every run stores it, for equally many queries."""
    found = [average_precision(run, [(protocol, k)]).get((protocol, k)) for run in runs]
    stored = [values for values in found if values is not None]
    if len(stored) < len(found) or len({len(values) for values in stored}) != 1:
        return None
    return seeds_by_queries(stored, runs[0].seeded)


def seeds_by_queries(values: Sequence[NDArray[np.float64]], seeded: bool) -> NDArray[np.float64]:
    """The scores of a method's runs, (seeds, queries).

    One run of a method that does not depend on the seed stands for all seeds: it comes twice, with no spread.
    """
    return np.stack([*values, *values] if len(values) == 1 and not seeded else values)


def map_intervals(runs: Sequence[ReportRun], protocols: Sequence[str], k: int) -> dict[tuple[str, str, int], Interval]:
    """The confidence interval of mAP@k by protocol, row label and code length. `runs`: one dataset.

    A row is left out where a finished run has no values per query: the mean that is shown would not be the one that
    the interval belongs to.
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


def indistinguishable(runs: Sequence[ReportRun], protocol: str, ks: Sequence[int]) -> dict[int, set[str] | None]:
    """By k, the methods whose AP@k is not significantly below that of the best; bounds take no part.

    `runs` are those of one dataset and code length. None where there is nothing to compare, or where a finished run has
    no values per query: the best could then be missing from the comparison.
    """
    values: dict[int, dict[str, list[NDArray[np.float64]]]] = {k: defaultdict(list) for k in ks}
    incomplete: set[int] = set()
    for run in runs:
        known = run.scores(protocol)
        wanted = [] if run.record.bound else [k for k in ks if k in known]
        found = average_precision(run, [(protocol, k) for k in wanted])
        for k in wanted:
            if (protocol, k) in found:
                values[k][run.method].append(found[protocol, k])
            else:
                incomplete.add(k)
    seeded = {run.method: run.seeded for run in runs}
    compared = [k for k in ks if k not in incomplete and len(values[k]) > 1]
    outcomes = each_not_worse_than_best(
        [{method: seeds_by_queries(seeds, seeded[method]) for method, seeds in values[k].items()} for k in compared],
        ALPHA,
        repetitions=REPETITIONS,
    )
    near: dict[int, set[str] | None] = dict.fromkeys(ks)
    return near | {k: set(others) for k, (_, others) in zip(compared, outcomes, strict=True)}


def explanation(runs: Sequence[ReportRun], protocol: str) -> list[str]:
    """The meaning of † beside runs of one code length: one seed says something of the weights it learned only."""
    seeds = Counter(run.method for run in runs if protocol in run.record.metrics and not run.record.bound)
    steady = {run.method for run in runs if not run.seeded}
    single = [method for method in methods_of(runs) if seeds[method] == 1 and method not in steady]
    if len({*single, *steady}) >= len(seeds) and single:
        return [
            f"†: for these weights (one seed), {WORSE} ({OVER_QUERIES}; {HOLM}). Other seeds may order the methods "
            f"otherwise: give several with --seeds. {PICKED}"
        ]
    texts = [f"†: {WORSE} ({OVER_BOTH}; {HOLM}). {PICKED}"]
    if single:
        names = ", ".join(map(one_line, single))
        texts.append(f"For these weights only: comparisons with {names} (one seed), by a {OVER_QUERIES}.")
    return texts
