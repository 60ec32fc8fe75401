"""Scores of one block of queries, from counts per distance."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.metrics.counting import distance_array, order_block
from bench.metrics.labels import Problem
from bench.metrics.protocols import Protocol
from bench.metrics.tie_sums import RULES, Counts, RankSums, RankTables, tie_sums

# (first query, last query + 1) -> their counts
Counter = Callable[[int, int], Counts]


@dataclass(frozen=True, eq=False)
class Task:
    """The input that all blocks of one evaluation share."""

    problem: Problem  # all queries, all items
    excludes_self: bool  # query i leaves out gallery item i
    protocol: Protocol
    ks: tuple[int, ...]  # ascending
    tables: RankTables
    count: Counter


@dataclass(frozen=True, eq=False)
class BlockScores:
    """The contribution of b queries to the final scores: AP and recall of each, and sums over them of the rest.

    `sums` are those of the means in `Scores` by their names: (k's,), or () where there is one value for all k.
    """

    average_precision: NDArray[np.float64]  # (k's, b), under the protocol's ties
    best: NDArray[np.float64]  # (k's, b), AP with relevant items first among equals
    worst: NDArray[np.float64]  # (k's, b), and last
    recall: NDArray[np.float64]  # (k's, b), of each query
    sums: dict[str, NDArray[np.float64]]
    radius_recall: NDArray[np.float64]  # (K + 1,)
    radius_precision: NDArray[np.float64]  # (K + 1,)
    empty_radius2: int
    without_relevant: int


def score_block(task: Task, start: int, stop: int) -> BlockScores:
    """Score queries `start` to `stop` - 1; `Scores` has the formulas."""
    counts = task.count(start, stop)
    if task.excludes_self:
        counts.totals[:, 0] -= 1
        counts.relevants[:, 0] -= np.diff(task.problem.labels.query_starts[start : stop + 1]) > 0
    sums = RankSums.zeros(len(task.ks), stop - start)
    tie_sums(counts, task.tables, sums)
    if task.protocol.ties == "index":
        problem = task.problem.block(start, stop)
        excluded = start if task.excludes_self else -1
        order_block(problem, distance_array(problem), counts, excluded, task.tables, sums)

    rule = RULES.index(task.protocol.ties)
    ks = np.array(task.ks, dtype=np.float64)[:, None]
    relevant = counts.relevants.sum(axis=1, dtype=np.int64)
    # Without relevant items every sum is 0, so what it is divided by does not matter; likewise for an empty ball.
    relevant_or_one = np.maximum(relevant, 1)
    divisor = ks if task.protocol.normalise == "k" else np.minimum(ks, relevant_or_one)
    worst = sums.precisions[RULES.index("worst")] / divisor
    best = sums.precisions[RULES.index("best")] / divisor
    ideal = task.tables.discount[np.minimum(ks, relevant_or_one).astype(np.int64)]
    within = np.cumsum(counts.totals, axis=1)
    found = np.cumsum(counts.relevants, axis=1)
    return BlockScores(
        # Sums taken along different ways differ in their last bit; no value may leave its bounds by that.
        average_precision=np.clip(sums.precisions[rule] / divisor, worst, best),
        best=best,
        worst=worst,
        recall=sums.hits[rule] / relevant_or_one,
        sums={
            "precision": (sums.hits[rule] / ks).sum(axis=1),
            "ndcg": (sums.gains[rule] / ideal).sum(axis=1),
            "map_full": (sums.whole[rule] / relevant_or_one).sum(),
            "r_precision": (sums.hits_r[rule] / relevant_or_one).sum(),
        },
        radius_recall=(found / relevant_or_one[:, None]).sum(axis=0),
        radius_precision=(found / np.maximum(within, 1)).sum(axis=0),
        empty_radius2=int(np.count_nonzero(within[:, min(2, within.shape[1] - 1)] == 0)),
        without_relevant=int(np.count_nonzero(relevant == 0)),
    )
