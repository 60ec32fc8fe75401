"""k-means without needless distances is Lloyd's algorithm."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.learning.structure import kmeans as module
from bench.learning.structure.kmeans import kmeans


def lloyd(points: NDArray[np.float32], anchors: int, seed: int, iterations: int) -> NDArray[np.float64]:
    """The textbook: all distances in every round, in float64; from the same start."""
    start = np.sort(np.random.Generator(np.random.Philox(seed)).choice(len(points), anchors, replace=False))
    exact = points.astype(np.float64)
    centres = exact[start].copy()

    def assign() -> NDArray[np.int64]:
        return ((exact[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)

    for _ in range(iterations):
        nearest = assign()
        for number in np.unique(nearest):
            centres[number] = exact[nearest == number].mean(axis=0)
    return centres[np.bincount(assign(), minlength=anchors) > 0]


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    videos=st.integers(1, 200),
    share=st.floats(0.01, 1),
    dimensions=st.integers(1, 8),
    iterations=st.integers(1, 30),
)
def test_equals_the_textbook(seed: int, videos: int, share: float, dimensions: int, iterations: int) -> None:
    random = np.random.default_rng(seed)
    groups = random.normal(size=(5, dimensions)) * 3
    points = (groups[random.integers(0, 5, videos)] + random.normal(size=(videos, dimensions))).astype(np.float32)
    anchors = max(1, int(share * videos))
    expected = lloyd(points, anchors, seed, iterations)
    found = kmeans(points, anchors, seed, iterations)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_blocks_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
    expected = kmeans(points, 40, 1)
    for rows in (1, 7, 299):
        monkeypatch.setattr(module, "BLOCK_BYTES", rows * 6 * 4)
        np.testing.assert_allclose(kmeans(points, 40, 1), expected, rtol=1e-5, atol=1e-6)


def test_points_that_coincide() -> None:
    points = np.repeat(np.eye(3, dtype=np.float32), 10, axis=0)
    found = kmeans(points, 12, 0)
    # Twelve starts among three places: nine of the centres end without points.
    np.testing.assert_array_equal(found[np.lexsort(found.T)], np.eye(3)[np.lexsort(np.eye(3).T)])
