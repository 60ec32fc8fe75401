"""Scores of one block of queries, from counts per distance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.metrics.protocols import Protocol
from bench.metrics.scores import PrecisionRecall
from bench.metrics.tie_sums import RULES, Counts, RadiusSums, RankSums, RankTables, radius_sums, tie_sums

# (first query, last query + 1) -> their counts, without the query itself where the protocol leaves it out
Counter = Callable[[int, int], Counts]
# (first query, last query + 1, their counts, sums): fills the sums under the rule "index"
Order = Callable[[int, int, Counts, RankSums], None]


@dataclass(frozen=True, eq=False)
class Task:
    """The input that all blocks of one evaluation share."""

    queries: int
    gallery: int
    bits: int | None  # of the codes; None: vectors, between which there is no Hamming distance
    protocol: Protocol
    ks: tuple[int, ...]  # ascending
    tables: RankTables
    count: Counter
    order: Order | None = None  # None: the protocol does not keep the gallery's order
    whole: bool = True  # False: nothing behind the last cut-off is asked for, and counts need not reach farther


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
    radius: RadiusSums | None
    without_relevant: int


def score_block(task: Task, start: int, stop: int) -> BlockScores:
    """Score queries `start` to `stop` - 1; `Scores` has the formulas."""
    counts = task.count(start, stop)
    sums = RankSums.zeros(len(task.ks), stop - start)
    tie_sums(counts, task.tables, RULES.index(task.protocol.ties), task.whole, sums)
    if task.order is not None:
        task.order(start, stop, counts, sums)

    ks = np.array(task.ks, dtype=np.float64)[:, None]
    relevant = sums.relevant
    # Without relevant items every sum is 0, so what it is divided by does not matter.
    relevant_or_one = np.maximum(relevant, 1)
    divisor = ks if task.protocol.normalise == "k" else np.minimum(ks, relevant_or_one)
    average_precision, best, worst = sums.precisions / divisor
    of_whole = {
        "map_full": (sums.whole / relevant_or_one).sum(),
        "r_precision": (sums.hits_r / relevant_or_one).sum(),
    }
    ideal = task.tables.discount[np.minimum(ks, relevant_or_one).astype(np.int64)]
    return BlockScores(
        # Sums taken along different ways differ in their last bit; no value may leave its bounds by that.
        average_precision=np.clip(average_precision, worst, best),
        best=best,
        worst=worst,
        recall=sums.hits / relevant_or_one,
        sums={
            "precision": (sums.hits / ks).sum(axis=1),
            "ndcg": (sums.gains / ideal).sum(axis=1),
            "ceiling": (np.minimum(ks, relevant) / divisor).sum(axis=1),
        }
        | (of_whole if task.whole else {}),
        radius=None if task.bits is None or not task.whole else _within_radii(counts, relevant),
        without_relevant=int(np.count_nonzero(relevant == 0)),
    )


def _within_radii(counts: Counts, relevant: NDArray[np.int64]) -> RadiusSums:
    size = counts.totals.shape[1]
    sums = RadiusSums(np.zeros(size), np.zeros(size), np.zeros(size, dtype=np.int64))
    radius_sums(counts, relevant, sums)
    return sums


def radius_scores(blocks: Sequence[BlockScores], queries: int) -> dict[str, Any]:
    """The fields of `Scores` that only codes have, from the sums of all blocks; None where there are none."""
    sums = [block.radius for block in blocks if block.radius is not None]
    if not sums:
        return {"precision_recall": None, "precision_radius2": None}
    radius_recall = np.asarray(sum(block.recall for block in sums) / queries)
    radius_precision = np.asarray(sum(block.precision for block in sums) / queries)
    return {
        "precision_recall": PrecisionRecall(radius_recall, radius_precision),
        "precision_radius2": float(radius_precision[min(2, len(radius_precision) - 1)]),
        "queries_empty_radius2": sum(int(block.empty[min(2, len(block.empty) - 1)]) for block in sums),
    }
