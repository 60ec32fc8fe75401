"""Clusters of points: faiss's k-means from several random starts, of which the best counts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import InputError

# Between the seeds of two starts, as in faiss: the starts here are those that its `nredo` makes of the same seed.
SEED_STEP = 15_486_557


@dataclass(frozen=True)
class Clustering:
    """k clusters of N points of D numbers; a cluster may end without points."""

    centres: NDArray[np.float32]
    """(k, D)."""
    nearest: NDArray[np.int64]
    """(N,), the centre nearest to each point."""
    distance: NDArray[np.float32]
    """(N,), Euclidean, from each point to that centre."""

    @property
    def error(self) -> float:
        """The sum of squared distances, in float64."""
        return float(np.square(self.distance, dtype=np.float64).sum())


def best_clustering(
    points: NDArray[np.float32],
    clusters: int,
    seed: int,
    *,
    starts: int = 5,
    iterations: int = 20,
    points_a_cluster: int = 200,
) -> Clustering:
    """The clustering with the smallest error among k-means from `starts` random starts; the first of equals.

    A start takes `clusters` random points as centres; a cluster that loses all its points splits another. Equal
    arguments give equal results on one machine, to the bit, with any number of threads. Left to faiss, the choice would
    not: its threads add up an error in any order, and starts often end with the same clusters under other numbers.

    Args:
        points: (N, D) float32, finite.
        clusters: how many, 1 to N.
        seed: 0 to 2**31 − 1.
        starts: 1 or more.
        iterations: of Lloyd's algorithm, 1 or more.
        points_a_cluster: centres are learned from at most that many points a cluster, drawn at random.

    Raises:
        InputError: fewer points than clusters.
    """
    if clusters > len(points):
        raise InputError(f"{clusters} clusters are asked for, but there are only {len(points)} points; ask for fewer")
    seeds = [(seed + start * SEED_STEP) % 2**31 for start in range(starts)]
    found = (_clustering(points, clusters, each, iterations, points_a_cluster) for each in seeds)
    return min(found, key=lambda clustering: clustering.error)


def _clustering(
    points: NDArray[np.float32], clusters: int, seed: int, iterations: int, points_a_cluster: int
) -> Clustering:
    import faiss  # noqa: PLC0415  half a second that runs without clusters need not spend

    points = np.ascontiguousarray(points)
    # faiss warns of few points a cluster; here that is the caller's choice.
    limits = {"min_points_per_centroid": 1, "max_points_per_centroid": points_a_cluster}
    kmeans: Any = faiss.Kmeans(points.shape[1], clusters, niter=iterations, seed=seed, **limits)
    kmeans.train(points)
    nearest = kmeans.index.search(points, 1)[1][:, 0]
    # faiss's own distances come from products: near a centre half of their digits are lost.
    distance = np.linalg.norm(points - kmeans.centroids[nearest], axis=1)
    return Clustering(kmeans.centroids, nearest, distance)
