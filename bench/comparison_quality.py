"""mAP@k of two sets of runs, the difference, and whether it is more than noise."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.metrics.statistics import holm, randomisation_test
from bench.report.per_query import average_precision
from bench.report.quality import headline_ks
from bench.report.render import number
from bench.report.runs import ReportRun, protocols_of

ALPHA = 0.05
# Enough to decide at ALPHA after Holm's adjustment over so many rows, and quick with tens of thousands of queries.
PERMUTATIONS, PERMUTATIONS_A_ROW = 2_000, 100
QUALITY_HEADER = ("method", "bits", "seeds\nA / B", "A", "B", "B − A", "more than noise?")
QUALITY_NOTE = (
    "Quality: mean ± standard deviation over the seeds that both sides finished; over each side's own where they share "
    f"none. More than noise: p < {ALPHA}, Holm-adjusted over the rows of a "
    "table. queries: paired randomisation test over queries, seeds averaged, which says nothing of other seeds. "
    "seeds: Welch's t-test over seeds, where values per query are not stored. "
    "unknown: neither several seeds nor values per query."
)


class Row(Protocol):
    """A row as `bench.comparison.Pair` has it."""

    @property
    def label(self) -> str: ...
    @property
    def bits(self) -> int: ...
    @property
    def done(self) -> tuple[list[ReportRun], list[ReportRun]]: ...


class Evidence(NamedTuple):
    """What says whether a difference is noise: a p-value, or None, and over what chance was drawn."""

    p: float | None
    basis: str


def shown_scores(rows: Sequence[Row]) -> list[tuple[str, int]]:
    """Protocols that both sides were evaluated under, each with the k of short tables that both know."""
    sides = [[run for row in rows for run in row.done[side]] for side in (0, 1)]
    shown = []
    for protocol in (name for name in protocols_of(sides[0]) if name in protocols_of(sides[1])):
        known = [{k for run in side for k in run.scores(protocol)} for side in sides]
        common = sorted(known[0] & known[1])
        shown += [(protocol, k) for k in (headline_ks(common) if common else [])]
    return shown


def quality_rows(rows: Sequence[Row], protocol: str, k: int) -> list[list[str]]:
    """The cells under `QUALITY_HEADER` of every row that both sides evaluated so."""
    found = [
        (row, one, other)
        for row in rows
        if (one := _evaluated(row.done[0], protocol, k)) and (other := _evaluated(row.done[1], protocol, k))
    ]
    permutations = max(PERMUTATIONS, PERMUTATIONS_A_ROW * len(found))
    evidence = [_evidence(one, other, protocol, k, permutations) for _, one, other in found]
    adjusted = iter(holm([p for p, _ in evidence if p is not None]))
    cells = []
    for (row, one, other), (p, basis) in zip(found, evidence, strict=True):
        maps = [np.array([run.scores(protocol)[k] for run in side]) for side in (one, other)]
        means = [float(values.mean()) for values in maps]
        cells.append([
            row.label, str(row.bits), f"{len(one)} / {len(other)}",
            *(number(mean, _spread(values)) for mean, values in zip(means, maps, strict=True)),
            f"{means[1] - means[0]:+.3f}",
            basis if p is None else _verdict(float(next(adjusted)), basis),
        ])  # fmt: skip
    return cells


def _verdict(p: float, basis: str) -> str:
    shown = f"p {p:.3f}" if p >= 0.001 else "p < 0.001"
    return f"{'* yes' if p < ALPHA else 'no'}, {basis} {shown}"


def _evidence(
    first: Sequence[ReportRun], second: Sequence[ReportRun], protocol: str, k: int, permutations: int
) -> Evidence:
    one, other = (_per_query(side, protocol, k) for side in (first, second))
    # A row's runs share their dataset's fingerprint, and so the queries and their order.
    if one is not None and other is not None and one.shape[1] == other.shape[1]:
        if one.shape == other.shape and np.array_equal(one, other):
            return Evidence(None, "identical")
        return Evidence(randomisation_test(one, other, permutations=permutations), "queries")
    maps = [[run.scores(protocol)[k] for run in side] for side in (first, second)]
    if min(map(len, maps)) < 2:
        return Evidence(None, "unknown")
    return Evidence(welch(*maps), "seeds")


def welch(first: Sequence[float], second: Sequence[float]) -> float:
    """Two-sided p-value of Welch's t-test (Biometrika, 1947) of two samples of two values or more.

    Samples without any spread differ surely (0) or not at all (1).
    """
    from scipy.stats import ttest_ind  # noqa: PLC0415  a second that most comparisons need not spend

    if np.ptp(first) == np.ptp(second) == 0:
        return float(first[0] == second[0])
    return float(ttest_ind(first, second, equal_var=False).pvalue)


def _evaluated(runs: Sequence[ReportRun], protocol: str, k: int) -> list[ReportRun]:
    return [run for run in runs if k in run.scores(protocol)]


def _per_query(runs: Sequence[ReportRun], protocol: str, k: int) -> NDArray[np.float64] | None:
    """AP@k (seeds, queries); None unless all runs have stored it for equally many queries."""
    found = [average_precision(run, [(protocol, k)]).get((protocol, k)) for run in runs]
    stored = [values for values in found if values is not None]
    if len(stored) < len(found) or len({len(values) for values in stored}) > 1:
        return None
    return np.stack(stored)


def _spread(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")
