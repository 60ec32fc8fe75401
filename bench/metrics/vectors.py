"""Counts at every similarity of float32 vectors, for references that rank without codes.

The similarity of a query to a gallery item is their inner product: summed in float64 in the order of the dimensions,
then rounded to float32. So it depends on the two vectors alone, not on threads or blocks, and equal vectors tie.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.base.errors import InputError
from bench.base.values import read_array
from bench.metrics.compiled import compiled
from bench.metrics.labels import LabelLists
from bench.metrics.tie_sums import Counts

TILE, DEPTH = 128, 128
"""Items and dimensions that are multiplied in one go: few enough for the level-2 cache."""
PAIRS = 2**23
"""Similarities that a block holds at most, unless the gallery is larger."""


def read_vectors(
    query_vectors: ArrayLike, gallery_vectors: ArrayLike, is_self: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Check what the user gave as vectors (Q, m) and (n, m), Q = n if they are of the same videos."""
    queries, gallery = _read(query_vectors, "query_vectors"), _read(gallery_vectors, "gallery_vectors")
    if queries.shape[1] != gallery.shape[1]:
        raise InputError(
            f"query_vectors have {queries.shape[1]} dimensions but gallery_vectors have {gallery.shape[1]}; make both "
            "alike"
        )
    if is_self and len(queries) != len(gallery):
        raise InputError(f"is_self: there are {len(queries)} query_vectors for {len(gallery)} gallery_vectors; "
                         "give both of every video")  # fmt: skip
    largest = _largest(queries) * _largest(gallery) * queries.shape[1]
    if largest > float(np.finfo(np.float32).max):
        raise InputError("query_vectors and gallery_vectors: their products may overflow float32; scale them down")
    return queries, gallery


def _largest(vectors: NDArray[np.float32]) -> float:
    """The largest absolute number, without a copy of all."""
    return max(float(vectors.max()), -float(vectors.min()))


def _read(vectors: ArrayLike, name: str) -> NDArray[np.float32]:
    array = read_array(vectors, name)
    if array.ndim != 2 or not array.size or array.dtype.kind not in "biuf":
        raise InputError(f"{name} must be numbers of shape (n, m), at least one row, got {array.dtype} {array.shape}")
    with np.errstate(over="ignore"):
        found = np.ascontiguousarray(array, dtype=np.float32)
    if not (finite := np.isfinite(found).all(axis=1)).all():
        raise InputError(f"{name} hold NaN or infinite numbers (as float32) in row {int(np.argmin(finite))}; fix it")
    return found


def block_size(queries: int, gallery: int) -> int:
    """Queries a block. It depends on the sizes alone, since sums over queries are rounded by block."""
    return min(queries, 256, max(1, PAIRS // gallery))


class VectorCounter:
    """Counts blocks of queries by similarity, largest first; called as a `blocks.Counter`."""

    def __init__(
        self, queries: NDArray[np.float32], gallery: NDArray[np.float32], labels: LabelLists, excludes_self: bool
    ) -> None:
        self._queries, self._gallery = queries, gallery
        self._labels, self._excludes_self = labels, excludes_self

    def __call__(self, start: int, stop: int) -> Counts:
        """The counts of queries `start` to `stop` - 1, with zeros behind a query's last group."""
        products = np.empty((stop - start, len(self._gallery)), dtype=np.float32)
        inner_products(self._queries[start:stop], self._gallery, products)
        rows = [self._count(query, products[query - start]) for query in range(start, stop)]
        shape = len(rows), max(len(totals) for totals, _ in rows)
        counts = Counts(np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.int32))
        for row, (totals, relevants) in enumerate(rows):
            counts.totals[row, : len(totals)] = totals
            counts.relevants[row, : len(totals)] = relevants
        return counts

    def _count(self, query: int, similarities: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        relevant = self._labels.relevant_to(query)
        ranked = similarities
        if self._excludes_self:
            ranked, relevant = np.delete(similarities, query), relevant[relevant != query]
        values, totals = np.unique(ranked, return_counts=True)
        places = np.searchsorted(values, similarities[relevant])
        return totals[::-1], np.bincount(places, minlength=len(values))[::-1]


@compiled
def inner_products(queries: NDArray[np.float32], gallery: NDArray[np.float32], products: NDArray[np.float32]) -> None:
    """Write the inner products of queries (b, m) and gallery (n, m) into `products` (b, n).

    Products of two float32 are exact in float64, so that only the order of the additions matters.
    """
    rows, dimensions = queries.shape
    part = np.zeros((DEPTH, TILE))
    # Zeros fill up the last four queries and the last four dimensions.
    factors = np.zeros((rows + -rows % 4, DEPTH))
    sums = np.empty((len(factors), TILE))
    for start in range(0, len(gallery), TILE):
        width = min(TILE, len(gallery) - start)
        sums[:] = 0
        for first in range(0, dimensions, DEPTH):
            size = min(DEPTH, dimensions - first)
            part[size:] = 0
            for j in range(width):
                for d in range(size):
                    part[d, j] = gallery[start + j, first + d]
            factors[:rows, :size] = queries[:, first : first + size]
            for i in range(0, rows, 4):
                for d in range(0, size, 4):
                    _add_products(factors[i : i + 4, d : d + 4], part[d : d + 4], sums[i : i + 4])
        products[:, start : start + width] = sums[:rows, :width]


@compiled
def _add_products(f: NDArray[np.float64], part: NDArray[np.float64], sums: NDArray[np.float64]) -> None:
    """Add the products of four queries and four dimensions, `f` (4, 4), with items (4, TILE) to sums (4, TILE).

    Sixteen products for each four numbers that are read keep the processor busy.
    """
    a0, a1, a2, a3 = f[0, 0], f[0, 1], f[0, 2], f[0, 3]
    b0, b1, b2, b3 = f[1, 0], f[1, 1], f[1, 2], f[1, 3]
    c0, c1, c2, c3 = f[2, 0], f[2, 1], f[2, 2], f[2, 3]
    d0, d1, d2, d3 = f[3, 0], f[3, 1], f[3, 2], f[3, 3]
    for j in range(TILE):
        w, x, y, z = part[0, j], part[1, j], part[2, j], part[3, j]
        sums[0, j] = sums[0, j] + a0 * w + a1 * x + a2 * y + a3 * z
        sums[1, j] = sums[1, j] + b0 * w + b1 * x + b2 * y + b3 * z
        sums[2, j] = sums[2, j] + c0 * w + c1 * x + c2 * y + c3 * z
        sums[3, j] = sums[3, j] + d0 * w + d1 * x + d2 * y + d3 * z
