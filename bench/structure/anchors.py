"""Anchors: k-means centres, the nearest anchors of every video, and the centres in few dimensions.

Points (N, D) may be an array or a memory map (`numpy.load(..., mmap_mode="r")`): they are read a block at a time and
never copied whole, so that what must fit into memory is the anchors and a few numbers per video.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import InputError

FloatArray = NDArray[np.floating[Any]]
# Candidates beyond the asked number whose distances are computed again exactly: float32 products may swap neighbours.
SPARE = 4
# Of the largest scratch array of `nearest_anchors`, which holds a few of them.
BLOCK_BYTES = 32 * 2**20


def require_anchors(anchors: int, videos: int) -> None:
    """InputError unless `anchors` centres can be found among `videos` videos."""
    if anchors > videos:
        raise InputError(f"anchors: {anchors} are asked for, but there are only {videos} training videos; set fewer")


def kmeans(points: NDArray[np.float32], anchors: int, seed: int, iterations: int = 25) -> NDArray[np.float32]:
    """Centres of k-means, (at most `anchors`, D); clusters that end empty are left out, as the authors do.

    Runs on the GPUs where faiss is a build with GPU support that sees some.

    Args:
        points: (N, D) float32 and contiguous, in memory or mapped; anything else is copied whole.
        anchors: how many centres, 1 to N.
        seed: the same points and seed give the same centres on the same kind of device.
        iterations: of Lloyd's algorithm.

    Raises:
        InputError: fewer points than anchors.
    """
    import faiss  # noqa: PLC0415  half a second that runs without anchors need not spend

    require_anchors(anchors, len(points))
    points = np.ascontiguousarray(points, dtype=np.float32)
    # No subsampling (faiss takes 256 points a centre by default), no warning where there are fewer than 39 a centre.
    clustering = faiss.Kmeans(
        points.shape[1],
        anchors,
        niter=iterations,
        seed=seed % 2**31,
        max_points_per_centroid=len(points),
        min_points_per_centroid=1,
        gpu=faiss.get_num_gpus() > 0,
    )
    clustering.train(points)
    centres = np.asarray(clustering.centroids, dtype=np.float32)
    _, nearest = clustering.index.search(points, 1)
    return centres[np.bincount(nearest[:, 0], minlength=len(centres)) > 0]


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
