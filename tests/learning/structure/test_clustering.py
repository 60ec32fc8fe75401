"""k-means from several starts: each start is faiss's own, and the best one counts, whatever the number of threads."""

from collections.abc import Iterator
from typing import Any

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.base.errors import InputError
from bench.learning.structure.clustering import Clustering, best_clustering


@pytest.fixture
def threads() -> Iterator[None]:
    """Restores faiss's number of threads."""
    before = faiss.omp_get_max_threads()
    yield
    faiss.omp_set_num_threads(before)


def groups(videos: int, dimensions: int = 8) -> NDArray[np.float32]:
    """Points around a dozen centres."""
    random = np.random.default_rng(videos)
    centres = 2 * random.normal(size=(12, dimensions))
    return (centres[random.integers(0, 12, videos)] + random.normal(size=(videos, dimensions))).astype(np.float32)


def distances(points: NDArray[np.float32], found: Clustering) -> NDArray[np.float64]:
    """Euclidean, between all points and all centres, (N, k), in float64."""
    return np.sqrt(((points[:, None].astype(np.float64) - found.centres[None]) ** 2).sum(axis=2))


def test_points_belong_to_their_nearest_centre_at_its_distance() -> None:
    points = groups(300)
    found = best_clustering(points, 20, 0)
    exact = distances(points, found)
    np.testing.assert_array_equal(found.nearest, exact.argmin(axis=1))
    np.testing.assert_allclose(found.distance, exact.min(axis=1), rtol=1e-5)
    assert found.error == pytest.approx((exact.min(axis=1) ** 2).sum(), rel=1e-6)


def test_the_best_start_counts() -> None:
    points = groups(200)
    for seed in range(3):
        kmeans = faiss.Kmeans(8, 15, niter=20, nredo=5, seed=seed, min_points_per_centroid=1)
        kmeans.train(points)
        found = best_clustering(points, 15, seed)
        expected: Any = kmeans.centroids
        np.testing.assert_allclose(found.centres, expected, rtol=1e-5, atol=1e-6)
    # Which is not the first.
    assert best_clustering(points, 15, 2).error < best_clustering(points, 15, 2, starts=1).error


def test_any_number_of_threads_gives_the_same_bits(threads: None) -> None:
    # Two well separated clusters: all starts find them, under numbers of their own.
    separated = np.concatenate([groups(150) + 50, groups(150) - 50])
    for points, clusters in ((groups(1000), 60), (separated, 2)):
        results = []
        for number in (1, 2, 3, 7):
            faiss.omp_set_num_threads(number)
            found = best_clustering(points, clusters, 3)
            results.append((found.centres.tobytes(), found.nearest.tobytes(), found.distance.tobytes()))
        assert len(set(results)) == 1


def test_clusters_that_lose_their_points_are_refilled() -> None:
    # A dozen of the 20 starting points coincide: eight clusters and one would be left.
    points = np.concatenate([np.zeros((60, 2), np.float32), groups(40, 2) + 20])
    found = best_clustering(points, 20, 0, starts=1)
    assert (np.bincount(found.nearest, minlength=20) > 0).sum() >= 15


def test_as_many_clusters_as_points() -> None:
    points = groups(7)
    found = best_clustering(points, 7, 0)
    assert sorted(found.nearest) == list(range(7))
    np.testing.assert_array_equal(found.centres[found.nearest], points)
    with pytest.raises(InputError, match="8 clusters are asked for, but there are only 7 points; ask for fewer"):
        best_clustering(points, 8, 0)


def test_few_points_a_cluster_are_enough_to_learn_from() -> None:
    points = groups(2000)
    few, all_of_them = (best_clustering(points, 3, 0, points_a_cluster=number) for number in (5, 2000))
    # Centres are means of at most 15 points, which all 2000 then belong to.
    assert len(few.nearest) == 2000
    assert few.error > all_of_them.error


def test_large_seeds() -> None:
    points = groups(50)
    assert best_clustering(points, 4, 2**31 - 1).error > 0
