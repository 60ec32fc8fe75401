"""Kernels over pairs of codes: how many items, and how many relevant items, lie at every Hamming distance of a query.

That is all that ranking metrics need when ties count by expectation, best or worst; `order_block` finds the ranks for
ties in gallery order. Time is O(pairs), memory O(queries + gallery).

Codes come as byte planes, (bytes, n): counting the bits of single bytes keeps 32 or 64 pairs in one vector register.
"""

from typing import Any, NamedTuple

import numpy as np
from numba.extending import intrinsic
from numpy.typing import NDArray

from bench.metrics.codes import PackedCodes, code_bytes
from bench.metrics.compiled import compiled
from bench.metrics.labels import LabelLists
from bench.metrics.tie_sums import Counts, RankSums, RankTables

# Items whose distances are computed in one go: few enough for the level-1 cache, even to be halved.
TILE = 4096
# Planes that can be added up in eight bits: 31 * 8 <= 255.
PLANES = 31


class Problem(NamedTuple):
    """Some queries and the whole gallery, as the kernels read them."""

    queries: NDArray[np.uint8]  # (b, ceil(K / 8)), bytes of the codes, one query a row
    gallery: NDArray[np.uint8]  # (ceil(K / 8), n), one item a column
    labels: LabelLists  # of these queries and the gallery

    def block(self, start: int, stop: int) -> "Problem":
        """The same for queries `start` to `stop` - 1 only."""
        starts = self.labels.query_starts[start : stop + 1]
        return Problem(self.queries[start:stop], self.gallery, self.labels._replace(query_starts=starts))


def byte_planes(codes: PackedCodes) -> NDArray[np.uint8]:
    """The codes as (ceil(K / 8), n) bytes, one row for every eight bits."""
    return code_bytes(codes).T.copy()


def _popcount(_context: Any, value: Any) -> Any:
    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return value(value), generate


popcount: Any = intrinsic(_popcount)


@compiled
def hamming_tile(
    query: NDArray[np.uint8],
    gallery: NDArray[np.uint8],
    start: int,
    distances: NDArray[np.uint16],
    octets: NDArray[np.uint8],
) -> None:
    """Write the distances of `query` (planes,) to items start.. of `gallery` (planes, n) into `distances` (<= TILE,).

    `octets` (TILE,) is scratch.
    """
    planes = gallery.shape[0]
    count = len(distances)
    for first in range(0, planes, PLANES):
        for j in range(count):
            octets[j] = 0
        for plane in range(first, min(first + PLANES, planes)):
            byte = query[plane]
            codes = gallery[plane, start : start + count]
            for j in range(count):
                octets[j] += popcount(np.uint8(byte ^ codes[j]))
        if first == 0:
            for j in range(count):
                distances[j] = octets[j]
        else:
            for j in range(count):
                distances[j] += np.uint16(octets[j])


@compiled
def count_block(problem: Problem, counts: Counts) -> None:
    """Write the items and the relevant items at every distance of every query into `counts`."""
    items = problem.gallery.shape[1]
    size = counts.totals.shape[1]
    octets = np.empty(TILE, np.uint8)
    distances = np.empty(items, np.uint16)
    stamps = np.full(items, -1, np.int32)
    # A histogram is bound by its increments, one per item; where it pays, one increment counts two items at once, in a
    # table over the distances of both.
    paired = size <= 256 and 2 * size * size <= items
    pairs = np.empty(TILE // 2, np.uint16)
    table = np.empty((size if paired else 4, size), np.int32)
    for i in range(problem.queries.shape[0]):
        total, relevant = counts.totals[i], counts.relevants[i]
        total[:] = 0
        relevant[:] = 0
        table[:] = 0
        for start in range(0, items, TILE):
            tile = distances[start : start + TILE]
            hamming_tile(problem.queries[i], problem.gallery, start, tile, octets)
            if paired:
                _count_pairs(tile, pairs, table, total)
            else:
                _count_singles(tile, table)
        for row in range(len(table)):
            count = 0
            for d in range(size):
                count += table[row, d]
                total[d] += table[row, d]
            if paired:
                total[row] += count
        _count_relevant(problem.labels, i, distances, stamps, relevant)


@compiled
def _count_pairs(
    distances: NDArray[np.uint16], pairs: NDArray[np.uint16], table: NDArray[np.int32], total: NDArray[np.int32]
) -> None:
    """Count item j together with item half + j in the cell of their two distances; an odd last item goes to `total`."""
    size = np.uint16(len(total))
    cells = table.reshape(-1)
    half = len(distances) // 2
    for j in range(half):
        pairs[j] = distances[j] * size + distances[half + j]
    for j in range(half):
        cells[pairs[j]] += 1
    if len(distances) % 2:
        total[distances[len(distances) - 1]] += 1


@compiled
def _count_singles(distances: NDArray[np.uint16], table: NDArray[np.int32]) -> None:
    """Count items in four rows in turn: an increment need not wait for the one before it to the same cell."""
    first, second, third, fourth = table[0], table[1], table[2], table[3]
    whole = len(distances) // 4 * 4
    for j in range(0, whole, 4):
        first[distances[j]] += 1
        second[distances[j + 1]] += 1
        third[distances[j + 2]] += 1
        fourth[distances[j + 3]] += 1
    for j in range(whole, len(distances)):
        first[distances[j]] += 1


@compiled
def _count_relevant(
    labels: LabelLists,
    query: int,
    distances: NDArray[np.uint16],
    stamps: NDArray[np.int32],
    relevant: NDArray[np.int32],
) -> None:
    """Add the relevant items of one query to `relevant`; `stamps` (n,) names the last query that counted each item."""
    first, last = labels.query_starts[query], labels.query_starts[query + 1]
    for position in range(first, last):
        label = labels.query_classes[position]
        for j in range(labels.class_starts[label], labels.class_starts[label + 1]):
            item = labels.class_items[j]
            if last - first > 1:  # an item that shares two labels is met twice and counted once
                if stamps[item] == query:
                    continue
                stamps[item] = query
            relevant[distances[item]] += 1


@compiled
def order_block(problem: Problem, counts: Counts, excluded: int, tables: RankTables, sums: RankSums) -> None:
    """Fill the rule "index" of `sums`: items at the same distance keep the order of the gallery, as in a stable sort.

    Args:
        problem: queries and gallery.
        counts: the counts per distance, without the excluded items.
        excluded: the item that query 0 leaves out (query i: `excluded` + i), or -1 to leave out none.
        tables: as for `tie_sums`.
        sums: as for `tie_sums`.
    """
    items = problem.gallery.shape[1]
    size = counts.totals.shape[1]
    octets = np.empty(TILE, np.uint8)
    distances = np.empty(items, np.uint16)
    stamps = np.full(items, -1, np.int32)
    next_rank = np.empty(size, np.int64)
    next_slot = np.empty(size, np.int64)
    ranks = np.empty(items, np.int64)  # of the relevant items, ascending
    for i in range(problem.queries.shape[0]):
        for start in range(0, items, TILE):
            hamming_tile(problem.queries[i], problem.gallery, start, distances[start : start + TILE], octets)
        _mark_relevant(problem.labels, i, stamps)
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
                if stamps[item] == i:
                    ranks[next_slot[d]] = next_rank[d]
                    next_slot[d] += 1
        _sum_ranks(ranks[:found], i, tables, sums)


@compiled
def _mark_relevant(labels: LabelLists, query: int, stamps: NDArray[np.int32]) -> None:
    for position in range(labels.query_starts[query], labels.query_starts[query + 1]):
        label = labels.query_classes[position]
        for j in range(labels.class_starts[label], labels.class_starts[label + 1]):
            stamps[labels.class_items[j]] = query


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
        sums.precisions[3, position, query] = precisions
        sums.hits[3, position, query] = found
        sums.gains[3, position, query] = gains
    while found < len(ranks):
        found += 1
        precisions += found / ranks[found - 1]
    sums.whole[3, query] = precisions
