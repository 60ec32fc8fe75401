"""Anchors of points that are not in memory, and blocks of every size."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.learning.structure import anchor_graph as module
from bench.learning.structure import kmeans as kmeans_module
from bench.learning.structure.anchor_graph import anchor_graph, nearest_anchors
from bench.learning.structure.kmeans import kmeans


@pytest.fixture
def points() -> NDArray[np.float32]:
    random = np.random.default_rng(0)
    centres = 3 * random.normal(size=(12, 16))
    return (centres[random.integers(0, 12, 500)] + random.normal(size=(500, 16))).astype(np.float32)


def test_a_memory_map_gives_what_the_array_gives(tmp_path: Path, points: NDArray[np.float32]) -> None:
    np.save(tmp_path / "points.npy", points)
    mapped = np.load(tmp_path / "points.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    centres = kmeans(points, 20, seed=3)
    np.testing.assert_array_equal(kmeans(mapped, 20, seed=3), centres)
    graph, of_mapped = anchor_graph(points, centres), anchor_graph(mapped, centres)
    for name in ("anchors", "weights", "starts", "members", "member_weights"):
        np.testing.assert_array_equal(getattr(of_mapped, name), getattr(graph, name))


def test_mapped_points_are_never_copied_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = (20_000, 256)
    np.save(tmp_path / "points.npy", np.random.default_rng(0).standard_normal(size, dtype=np.float32))
    mapped = np.load(tmp_path / "points.npy", mmap_mode="r")
    for blocked in (module, kmeans_module):
        monkeypatch.setattr(blocked, "BLOCK_BYTES", 2**20)
    kmeans(mapped[:100], 4, seed=0, iterations=1)  # imports faiss
    tracemalloc.start()
    anchor_graph(mapped, kmeans(mapped, 8, seed=0, iterations=1))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The graph takes 280 bytes a video, and as much again while it is made; the points take 1,024.
    assert peak < mapped.nbytes / 2


def all_distances(points: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.float64]:
    return ((points[:, None].astype(np.float64) - centres[None].astype(np.float64)) ** 2).sum(axis=2)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    videos=st.integers(1, 40),
    number=st.integers(1, 30),
    dimensions=st.integers(1, 9),
    block_bytes=st.sampled_from([1, 500, 10**6]),
    on_a_grid=st.booleans(),
)
def test_nearest_anchors_equal_a_full_sort(
    seed: int, videos: int, number: int, dimensions: int, block_bytes: int, on_a_grid: bool
) -> None:
    random = np.random.default_rng(seed)
    points = random.normal(size=(videos, dimensions)).astype(np.float32)
    centres = random.normal(size=(number, dimensions)).astype(np.float32)
    if on_a_grid:
        points, centres = np.round(points), np.round(4 * centres)
    count = min(number, 5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_BYTES", block_bytes)
        indices, squared = nearest_anchors(points, centres, count)
    truth = all_distances(points, centres)
    expected = np.sort(truth, axis=1)[:, :count]
    np.testing.assert_allclose(squared, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(np.take_along_axis(truth, indices, axis=1), expected, rtol=1e-12, atol=1e-12)
    # Distances ascend, and every anchor is named once; what ties goes by the anchor's index.
    assert all(len(set(row)) == count for row in indices.tolist())
    ties = squared[:, 1:] == squared[:, :-1]
    assert (indices[:, 1:] > indices[:, :-1])[ties].all()


def test_single_precision_decides_no_order() -> None:
    """Far from the origin products in float32 swap neighbours; their distances are computed again."""
    random = np.random.default_rng(3)
    points = (300 + random.normal(size=(2000, 8))).astype(np.float32)
    centres = (300 + random.normal(size=(40, 8))).astype(np.float32)
    indices, _ = nearest_anchors(points, centres, 5)
    expected = np.argsort(all_distances(points, centres), axis=1, kind="stable")[:, :5]
    np.testing.assert_array_equal(indices, expected)


def test_every_centre_is_the_mean_of_its_points() -> None:
    """Enough iterations reach a fixed point of Lloyd's algorithm."""
    random = np.random.default_rng(1)
    points = random.normal(size=(400, 3)).astype(np.float32)
    centres = kmeans(points, 8, seed=0, iterations=200)
    nearest = nearest_anchors(points, centres, 1)[0][:, 0]
    means = [points[nearest == centre].mean(axis=0) for centre in range(len(centres))]
    np.testing.assert_allclose(centres, means, atol=1e-5)
