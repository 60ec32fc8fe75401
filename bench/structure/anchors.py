"""Anchors: the nearest ones of every video, and the centres in few dimensions.

Points (N, D) may be an array or a memory map (`numpy.load(..., mmap_mode="r")`): they are read a block at a time and
never copied whole, so that what must fit into memory is the anchors and a few numbers per video.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
# Candidates beyond the asked number whose distances are computed again exactly: float32 products may swap neighbours.
SPARE = 4
# Of the largest scratch array of `nearest_anchors`, which holds a few of them.
BLOCK_BYTES = 32 * 2**20


def nearest_anchors(
    points: NDArray[np.float32], anchors: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The `count` nearest anchors of every point, nearest first: indices (N, count) and squared distances (N, count).

    Squared Euclidean distances are exact to float64; equal distances are ordered by the anchor's index.
    """
    kept = min(count + SPARE, len(anchors))
    indices = np.empty((len(points), count), dtype=np.int32)
    distances = np.empty((len(points), count), dtype=np.float64)
    exact_anchors = anchors.astype(np.float64)
    half_norms = 0.5 * np.einsum("md,md->m", anchors, anchors)
    rows = max(1, BLOCK_BYTES // (8 * max(anchors.shape)))
    for start in range(0, len(points), rows):
        block = np.asarray(points[start : start + rows])
        coarse = half_norms - block @ anchors.T
        candidates = np.sort(np.argpartition(coarse, kept - 1, axis=1)[:, :kept], axis=1)
        exact_block = block.astype(np.float64)
        exact = np.empty(candidates.shape)
        for column in range(kept):
            difference = exact_anchors[candidates[:, column]]
            np.subtract(exact_block, difference, out=difference)
            exact[:, column] = np.einsum("nd,nd->n", difference, difference)
        order = np.argsort(exact, axis=1, kind="stable")[:, :count]
        indices[start : start + len(block)] = np.take_along_axis(candidates, order, axis=1)
        distances[start : start + len(block)] = np.take_along_axis(exact, order, axis=1)
    return indices, distances


def principal_components(centres: NDArray[np.float32], dimensions: int) -> NDArray[np.float32]:
    """The centres in the `dimensions` directions of largest variance among themselves; missing ones are zero.

    (M, D) → (M, dimensions). MCMSH (ACM MM 2022) projects its cluster centres so; eigenvectors sorted by variance,
    each with its largest entry positive, so that the result does not depend on the solver's signs.
    """
    centred = centres.astype(np.float64) - centres.astype(np.float64).mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    directions = directions[:dimensions]
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], axis=1)
    projected = np.zeros((len(centres), dimensions), dtype=np.float32)
    projected[:, : len(directions)] = centred @ (directions * np.where(largest < 0, -1.0, 1.0)).T
    return projected
