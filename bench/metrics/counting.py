"""Kernels that count, for every query and Hamming distance, the items and the relevant items.

That is all that ranking metrics need when ties count by expectation, best or worst; `order_block` finds the ranks for
ties in gallery order. Time is O(pairs), memory O(queries + gallery). Which items are relevant comes from lists of
labels, or, where those are long, from byte planes of labels; both ways count the same.
"""

import numpy as np
from numpy.typing import NDArray

from bench.metrics.compiled import compiled, popcount
from bench.metrics.labels import LabelLists, LabelPlanes, Problem
from bench.metrics.tie_sums import Counts

# Items whose distances are computed in one go: few enough for the level-1 cache.
TILE = 4096
# A column is the items of a tile that are so far from each other, sixteen of them: `_count_nearest` skips columns.
COLUMNS = 256
# Planes that can be added up in eight bits: 31 * 8 <= 255. Here, since numba notices changes in this file only.
PLANES = 31


def distance_array(problem: Problem) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """An array (n,) for distances, of one byte each where they fit: the kernels read and write half as much."""
    planes, items = problem.gallery.shape
    return np.empty(items, np.uint8) if planes <= PLANES else np.empty(items, np.uint16)


@compiled
def _add_planes(
    query: NDArray[np.uint8], gallery: NDArray[np.uint8], start: int, sums: NDArray[np.uint8] | NDArray[np.uint16]
) -> None:
    """Write the distances in at most `PLANES` planes of `query` to items start.. of `gallery` into `sums`."""
    count = len(sums)
    for j in range(count):
        sums[j] = 0
    single = len(query) % 4
    for plane in range(single):
        byte = query[plane]
        codes = gallery[plane, start : start + count]
        for j in range(count):
            sums[j] += popcount(np.uint8(byte ^ codes[j]))
    # Four at once: the sums are read and written a quarter as often.
    for plane in range(single, len(query), 4):
        q0, q1, q2, q3 = query[plane], query[plane + 1], query[plane + 2], query[plane + 3]
        g0, g1 = gallery[plane, start : start + count], gallery[plane + 1, start : start + count]
        g2, g3 = gallery[plane + 2, start : start + count], gallery[plane + 3, start : start + count]
        for j in range(count):
            sums[j] += (
                popcount(np.uint8(q0 ^ g0[j]))
                + popcount(np.uint8(q1 ^ g1[j]))
                + popcount(np.uint8(q2 ^ g2[j]))
                + popcount(np.uint8(q3 ^ g3[j]))
            )


@compiled
def hamming_tile(
    query: NDArray[np.uint8],
    gallery: NDArray[np.uint8],
    start: int,
    distances: NDArray[np.uint8] | NDArray[np.uint16],
    octets: NDArray[np.uint8],
) -> None:
    """Write the distances of `query` (planes,) to items start.. of `gallery` (planes, n) into `distances` (<= TILE,).

    `distances` are bytes only if there are at most `PLANES` planes; `octets` (TILE,) is scratch.
    """
    planes = gallery.shape[0]
    if planes <= PLANES:
        _add_planes(query, gallery, start, distances)
        return
    part = octets[: len(distances)]
    for j in range(len(distances)):
        distances[j] = 0
    for first in range(0, planes, PLANES):
        last = min(first + PLANES, planes)
        _add_planes(query[first:last], gallery[first:last], start, part)
        for j in range(len(distances)):
            distances[j] += part[j]


@compiled
def count_block(
    problem: Problem, distances: NDArray[np.uint8] | NDArray[np.uint16], nearest: int, counts: Counts
) -> None:
    """Write the items and the relevant items at every distance of every query into `counts`.

    Args:
        problem: queries and gallery.
        distances: a `distance_array`, for scratch.
        nearest: totals are needed as far as so many of a query's nearest items lie, and are 0 from some farther
            distance on; 0: all are needed.
        counts: filled.
    """
    items = problem.gallery.shape[1]
    size = counts.totals.shape[1]
    octets = np.empty(TILE, np.uint8)
    stamps = np.full(items, -1, np.int32)
    lows = np.empty(-(-items // TILE) * COLUMNS if nearest else 0, distances.dtype)
    columns = np.empty(len(lows), np.int32)
    # A histogram is bound by its increments, one per item; where it pays, one increment counts two items at once, in a
    # table over the distances of both.
    paired = not nearest and distances.itemsize == 1 and 2 * size * size <= items
    table = np.empty((size if paired else 4, 256 if paired else size), np.int32)
    for i in range(problem.queries.shape[0]):
        total, relevant = counts.totals[i], counts.relevants[i]
        total[:] = 0
        relevant[:] = 0
        table[:, :size] = 0
        for start in range(0, items, TILE):
            tile = distances[start : start + TILE]
            hamming_tile(problem.queries[i], problem.gallery, start, tile, octets)
            if nearest:
                _find_lows(tile, size - 1, lows[start // TILE * COLUMNS :][:COLUMNS])
            elif paired:
                _count_pairs(tile, table, total)
            else:
                _count_singles(tile, table)
        if nearest:
            _count_singles(lows, table)
        for row in range(len(table)):
            count = 0
            for d in range(size):
                count += table[row, d]
                total[d] += table[row, d]
            if paired:
                total[row] += count
        if nearest:
            _count_nearest(distances, lows, nearest, columns, total)
        if problem.label_planes.gallery.shape[0]:
            _count_shared(problem.label_planes, i, distances, octets, relevant)
        else:
            _count_listed(problem.labels, i, distances, stamps, relevant)


@compiled
def _find_lows(
    tile: NDArray[np.uint8] | NDArray[np.uint16], farthest: int, lows: NDArray[np.uint8] | NDArray[np.uint16]
) -> None:
    """Write the smallest distance in each column of a tile into `lows` (COLUMNS,); `farthest` where it has no items."""
    for j in range(COLUMNS):
        lows[j] = farthest
    for start in range(0, len(tile), COLUMNS):
        row = tile[start : start + COLUMNS]
        for j in range(len(row)):
            lows[j] = min(lows[j], row[j])


@compiled
def _count_nearest(
    distances: NDArray[np.uint8] | NDArray[np.uint16],
    lows: NDArray[np.uint8] | NDArray[np.uint16],
    nearest: int,
    columns: NDArray[np.int32],
    total: NDArray[np.int32],
) -> None:
    """Turn the histogram of `lows`, given in `total`, into that of the items, with zeros where it is not needed.

    `columns`, as long as `lows`, is scratch.
    """
    # As many columns as there are nearest items hold an item within `bound`, so all the nearest lie within it.
    bound, found = 0, total[0]
    while found < nearest and bound < len(total) - 1:
        bound += 1
        found += total[bound]
    total[:] = 0
    # A list of the columns first, without a branch: which ones they are, no processor can predict.
    listed = np.int64(0)
    for column in range(len(lows)):
        columns[listed] = column
        listed += np.int64(lows[column] <= bound)
    for column in columns[:listed]:
        start = column // COLUMNS * TILE
        for j in range(start + column % COLUMNS, min(start + TILE, len(distances)), COLUMNS):
            total[distances[j]] += 1
    # Others were counted too, without a branch again, but not all of them.
    total[bound + 1 :] = 0


@compiled
def _count_pairs(
    distances: NDArray[np.uint8] | NDArray[np.uint16], table: NDArray[np.int32], total: NDArray[np.int32]
) -> None:
    """Count two neighbours in the cell of their two distances, (size, 256); an odd last item goes to `total`."""
    # The bytes of both distances, read as one number, are the place of the cell: nothing needs to be computed.
    cells = table.reshape(-1)
    even = len(distances) // 2 * 2
    pairs = distances[:even].view(np.uint16)
    for j in range(len(pairs)):
        cells[pairs[j]] += 1
    if len(distances) % 2:
        total[distances[even]] += 1


@compiled
def _count_singles(distances: NDArray[np.uint8] | NDArray[np.uint16], table: NDArray[np.int32]) -> None:
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
def _count_listed(
    labels: LabelLists,
    query: int,
    distances: NDArray[np.uint8] | NDArray[np.uint16],
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
def _count_shared(
    planes: LabelPlanes,
    query: int,
    distances: NDArray[np.uint8] | NDArray[np.uint16],
    octets: NDArray[np.uint8],
    relevant: NDArray[np.int32],
) -> None:
    """The same from label planes; in four rows in turn, as `_count_singles`. `octets` (TILE,) is scratch."""
    table = np.zeros((4, len(relevant)), np.int32)
    first, second, third, fourth = table[0], table[1], table[2], table[3]
    for start in range(0, len(distances), TILE):
        tile = distances[start : start + TILE]
        shared = octets[: len(tile)]
        _share_tile(planes, query, start, shared)
        whole = len(tile) // 4 * 4
        for j in range(0, whole, 4):
            first[tile[j]] += shared[j]
            second[tile[j + 1]] += shared[j + 1]
            third[tile[j + 2]] += shared[j + 2]
            fourth[tile[j + 3]] += shared[j + 3]
        for j in range(whole, len(tile)):
            first[tile[j]] += shared[j]
    for row in range(4):
        for d in range(len(relevant)):
            relevant[d] += table[row, d]


@compiled
def _share_tile(planes: LabelPlanes, query: int, start: int, shared: NDArray[np.uint8]) -> None:
    """Write 1 into `shared` for the items start.. that share a label with the query, else 0."""
    count = len(shared)
    for j in range(count):
        shared[j] = 0
    for plane in range(planes.gallery.shape[0]):
        byte = planes.queries[query, plane]
        if byte:
            labels = planes.gallery[plane, start : start + count]
            for j in range(count):
                shared[j] |= byte & labels[j]
    for j in range(count):
        shared[j] = shared[j] != 0
