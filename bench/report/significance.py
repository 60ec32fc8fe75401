"""Which methods cannot be told from the best one, given the queries and the seeds there are."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.metrics.statistics import each_not_worse_than_best
from bench.report.per_query import average_precision, seeds_by_queries
from bench.report.runs import ReportRun, methods_of
from bench.text import one_line

ALPHA = 0.05
# Enough to decide at ALPHA after Holm's adjustment, and still quick with tens of thousands of queries.
REPETITIONS = 2_000
WORSE = "not significantly worse than the best"
HOLM = f"p ≥ {ALPHA}, Holm-adjusted over one column: one k, code length and protocol"
OVER_BOTH = "two-way bootstrap over seeds and queries"
OVER_QUERIES = "paired randomisation test over queries"
PICKED = "The best was picked on the same values."


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


def explanation(runs: Sequence[ReportRun], protocol: str) -> str:
    """What † means beside these runs: a single seed says something of the weights it learned, and nothing else."""
    seeds = Counter(run.method for run in runs if protocol in run.record.metrics and not run.record.bound)
    steady = {run.method for run in runs if not run.seeded}
    single = [method for method in methods_of(runs) if seeds[method] == 1 and method not in steady]
    if len({*single, *steady}) >= len(seeds) and single:
        return (
            f"†: for these weights (one seed), {WORSE} ({OVER_QUERIES}; {HOLM}). Other seeds may order the methods "
            f"otherwise: give several with --seeds. {PICKED}"
        )
    text = f"†: {WORSE} ({OVER_BOTH}; {HOLM}). {PICKED}"
    if single:
        text += (
            f" For these weights only: comparisons with {', '.join(map(one_line, single))} (one seed), by a "
            f"{OVER_QUERIES}."
        )
    return text
