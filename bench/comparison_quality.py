"""mAP@k of two sets of runs, the difference, and whether it is more than noise."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bench.metrics.statistics import Pair, evidence, holm
from bench.report.per_query import of_seeds
from bench.report.quality import headline_ks
from bench.report.render import number
from bench.report.runs import ReportRun, protocols_of
from bench.report.significance import ALPHA, OVER_BOTH, OVER_QUERIES

# Enough to decide at ALPHA after Holm's adjustment over so many rows, and quick with tens of thousands of queries.
REPETITIONS, REPETITIONS_A_ROW = 2_000, 100
QUALITY_HEADER = ("method", "bits", "seeds\nA / B", "A", "B", "B − A", "more than noise?")
QUALITY_NOTE = (
    "Quality: mean ± standard deviation over the seeds that both sides finished; over each side's own where they share "
    f"none. More than noise: p < {ALPHA}, Holm-adjusted over the rows of a table; {OVER_BOTH}. for these weights: one "
    f"seed on a side; p is of a {OVER_QUERIES} and says nothing of other weights, which another seed, another number "
    "of threads or another machine give; run several seeds on both sides. unknown: values per query are not stored; "
    "`bench evaluate` makes them from the codes."
)


class Row(Protocol):
    """A row as `bench.comparison.Pair` has it."""

    @property
    def label(self) -> str: ...
    @property
    def bits(self) -> int: ...
    @property
    def done(self) -> tuple[list[ReportRun], list[ReportRun]]: ...


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
    pairs = [_per_query(one, other, protocol, k) for _, one, other in found]
    tested = [pair for pair in pairs if pair is not None and not _identical(pair)]
    known = evidence(tested, repetitions=max(REPETITIONS, REPETITIONS_A_ROW * len(found)))
    verdicts = map(_verdict, holm([p for p, _ in known]), (for_seeds for _, for_seeds in known))
    cells = []
    for (row, one, other), pair in zip(found, pairs, strict=True):
        maps = [np.array([run.scores(protocol)[k] for run in side]) for side in (one, other)]
        means = [float(values.mean()) for values in maps]
        cells.append([
            row.label, str(row.bits), f"{len(one)} / {len(other)}",
            *(number(mean, _spread(values)) for mean, values in zip(means, maps, strict=True)),
            f"{means[1] - means[0]:+.3f}",
            "unknown" if pair is None else "identical" if _identical(pair) else next(verdicts),
        ])  # fmt: skip
    return cells


def _verdict(p: float, for_seeds: bool) -> str:
    shown = f"p {p:.3f}" if p >= 0.001 else "p < 0.001"
    if not for_seeds:
        return f"for these weights, {shown}"
    return f"{'* yes' if p < ALPHA else 'no'}, {shown}"


def _evaluated(runs: Sequence[ReportRun], protocol: str, k: int) -> list[ReportRun]:
    return [run for run in runs if k in run.scores(protocol)]


def _per_query(first: Sequence[ReportRun], second: Sequence[ReportRun], protocol: str, k: int) -> Pair | None:
    """AP@k of both sides, (seeds, queries) each; None unless all runs store it."""
    one, other = of_seeds(first, protocol, k), of_seeds(second, protocol, k)
    # A row's runs share their dataset's fingerprint, and so the queries and their order.
    return None if one is None or other is None or one.shape[1] != other.shape[1] else (one, other)


def _identical(pair: Pair) -> bool:
    return np.array_equal(*pair)


def _spread(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")
