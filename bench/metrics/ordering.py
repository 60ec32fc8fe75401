"""Ranks of relevant items where ties keep the order of the gallery, as in a stable sort.

Distances and relevance are computed again, without the care that `counting` takes of time: ranking takes longer. Time
is O(pairs), memory O(gallery) a thread.
"""

import numpy as np
from numpy.typing import NDArray

from bench.metrics.compiled import compiled, popcount
from bench.metrics.labels import Problem
from bench.metrics.tie_sums import Counts, RankSums, RankTables


@compiled
def order_block(
    problem: Problem,
    distances: NDArray[np.uint8] | NDArray[np.uint16],
    counts: Counts,
    excluded: int,
    tables: RankTables,
    sums: RankSums,
) -> None:
    """Fill `sums` but for `relevant`, with equal distances in the order of the gallery, as in a stable sort.

    Args:
        problem: queries and gallery.
        distances: a `distance_array`, for scratch.
        counts: the counts per distance, without the excluded items.
        excluded: the item that query 0 leaves out (query i: `excluded` + i), or -1 to leave out none.
        tables: as for `tie_sums`.
        sums: as for `tie_sums`.
    """
    items = problem.gallery.shape[1]
    size = counts.totals.shape[1]
    relevant = np.empty(items, np.uint8)
    next_rank = np.empty(size, np.int64)
    next_slot = np.empty(size, np.int64)
    ranks = np.empty(items, np.int64)  # of the relevant items, ascending
    for i in range(problem.queries.shape[0]):
        _find_distances(problem.queries[i], problem.gallery, distances)
        _mark_relevant(problem, i, relevant)
        ranked = found = np.int64(0)
        for d in range(size):
            next_rank[d] = ranked
            next_slot[d] = found
            ranked += counts.totals[i, d]
            found += counts.relevants[i, d]
        left_out = excluded + i if excluded >= 0 else -1
        for item in range(items):
            if item != left_out:
                d = distances[item]
                next_rank[d] += 1
                if relevant[item]:
                    ranks[next_slot[d]] = next_rank[d]
                    next_slot[d] += 1
        _sum_ranks(ranks[:found], i, tables, sums)


@compiled
def _find_distances(
    query: NDArray[np.uint8], gallery: NDArray[np.uint8], distances: NDArray[np.uint8] | NDArray[np.uint16]
) -> None:
    """Write the distances of `query` (planes,) to the items of `gallery` (planes, n) into `distances` (n,)."""
    for j in range(len(distances)):
        distances[j] = 0
    for plane in range(len(query)):
        byte = query[plane]
        codes = gallery[plane]
        for j in range(len(distances)):
            distances[j] += popcount(np.uint8(byte ^ codes[j]))


@compiled
def _mark_relevant(problem: Problem, query: int, relevant: NDArray[np.uint8]) -> None:
    """Write into `relevant` (n,) whether each item shares a label with the query: 0, or another number."""
    for j in range(len(relevant)):
        relevant[j] = 0
    planes = problem.label_planes
    for plane in range(len(planes.gallery)):
        byte = planes.queries[query, plane]
        if byte:
            column = planes.gallery[plane]
            for j in range(len(relevant)):
                relevant[j] |= byte & column[j]
    if len(planes.gallery):
        return
    labels = problem.labels
    for position in range(labels.query_starts[query], labels.query_starts[query + 1]):
        label = labels.query_classes[position]
        for j in range(labels.class_starts[label], labels.class_starts[label + 1]):
            relevant[labels.class_items[j]] = 1


@compiled
def _sum_ranks(ranks: NDArray[np.int64], query: int, tables: RankTables, sums: RankSums) -> None:
    """Sums for one query from the ranks (from 1, ascending) of its relevant items."""
    found = 0
    precisions = gains = 0.0
    for position in range(len(tables.reach)):
        while found < len(ranks) and ranks[found] <= tables.reach[position]:
            rank = ranks[found]
            found += 1
            precisions += found / rank
            gains += tables.discount[rank] - tables.discount[rank - 1]
        sums.precisions[0, position, query] = precisions
        sums.hits[position, query] = found
        sums.gains[position, query] = gains
    while found < len(ranks):
        found += 1
        precisions += found / ranks[found - 1]
    sums.whole[query] = precisions
    sums.hits_r[query] = np.searchsorted(ranks, len(ranks), side="right")
