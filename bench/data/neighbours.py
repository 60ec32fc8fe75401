"""Exact nearest neighbours of videos by their features: what a code ought to find where there are no labels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.features import Features, mean_pool
from bench.errors import InputError

NEIGHBOURS = 10
"""How many count as relevant to a query."""
# Queries at a time; bounds the scratch memory.
BLOCK_VALUES = 2**25
# Cosines closer than this are equal: products of other blocks round differently.
DECIMALS = 10


def exact_neighbours(queries: Features, gallery: Features | None = None, count: int = NEIGHBOURS) -> NDArray[np.int32]:
    """The `count` gallery videos nearest to each query by the cosine of their mean features, nearest first.

    Equally near ones come in order of the gallery. Without a gallery the queries search each other, and no query finds
    itself. A gallery of fewer videos gives as many as it has. A video of zeros is as near to all others.

    Returns (queries, at most `count`), indices of gallery videos.

    Raises InputError where a query has nothing to find.
    """
    rows = _unit_means(queries)
    items = rows if gallery is None else _unit_means(gallery)
    found = min(count, len(items) - (gallery is None))
    if found < 1:
        raise InputError("one video has no neighbours; without labels at least two are needed to search")
    neighbours = np.empty((len(rows), found), dtype=np.int32)
    step = max(1, BLOCK_VALUES // len(items))
    for start in range(0, len(rows), step):
        near = np.round(rows[start : start + step] @ items.T, DECIMALS)
        if gallery is None:
            near[np.arange(len(near)), np.arange(start, start + len(near))] = -np.inf
        neighbours[start : start + step] = _largest(near, found)
    return neighbours


def _unit_means(features: Features) -> NDArray[np.float64]:
    means = mean_pool(features).astype(np.float64)
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    return means / np.where(lengths > 0, lengths, 1)


def _largest(values: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """Columns of the `count` largest values of each row, largest first, equal ones in order."""
    least = -np.partition(-values, count - 1, axis=1)[:, count - 1 : count]
    chosen: list[NDArray[Any]] = []
    for row, smallest in zip(values, least, strict=True):
        candidates = np.flatnonzero(row >= smallest)
        chosen.append(candidates[np.argsort(-row[candidates], kind="stable")][:count])
    return np.stack(chosen)
