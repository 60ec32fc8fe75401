"""What anchors, the anchor graph and its pairs cost: `pytest --benchmark-only tests/benchmarks`.

k-means runs at a size that ends in seconds; its time is proportional to videos * anchors * dimensions * iterations. The
graph and the pairs run at YFCC's size, over made-up nearest anchors.
"""

import resource
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.learning.structure.anchor_graph import AnchorGraph, draw_pairs, graph_of_nearest, nearest_anchors
from bench.learning.structure.kmeans import kmeans

ANCHORS = 2000
YFCC = 409_788
BATCH = 256


def megabytes() -> float:
    """The most memory that the process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def made_up_nearest(videos: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Five different anchors for every video, and squared distances of the order that k-means leaves."""
    random = np.random.default_rng(0)
    steps = random.integers(1, ANCHORS // 5, size=(videos, 5)).cumsum(axis=1)
    indices = (random.integers(0, ANCHORS, size=(videos, 1)) + steps) % ANCHORS
    return indices.astype(np.int32), np.sort(random.uniform(0.5, 1.5, size=(videos, 5)), axis=1)


@pytest.fixture(scope="module")
def points() -> NDArray[np.float32]:
    random = np.random.default_rng(0)
    centres = random.standard_normal((300, 4096), dtype=np.float32)
    return centres[random.integers(0, 300, 3000)] + random.standard_normal((3000, 4096), dtype=np.float32)


@pytest.fixture(scope="module")
def graph() -> AnchorGraph:
    graph = graph_of_nearest(*made_up_nearest(YFCC), ANCHORS)
    draw_pairs(graph, np.arange(2), np.arange(len(graph)), np.random.default_rng(0))  # compiles
    return graph


def test_kmeans(benchmark: Any, points: NDArray[np.float32]) -> None:
    """3,000 videos, 300 anchors, 4,096 dimensions, 5 iterations."""
    benchmark.pedantic(kmeans, (points, 300, 0, 5), rounds=3, iterations=1)


def test_nearest_anchors(benchmark: Any, points: NDArray[np.float32]) -> None:
    """The five nearest of 300 anchors, 3,000 videos, 4,096 dimensions."""
    benchmark.pedantic(nearest_anchors, (points, points[:300], 5), rounds=3, iterations=1)


def test_the_graph_of_yfcc(benchmark: Any) -> None:
    """409,788 videos, 2,000 anchors; dense, the tags alone would take 168 GB at one byte each."""
    nearest = made_up_nearest(YFCC)
    before = megabytes()
    graph = benchmark.pedantic(graph_of_nearest, (*nearest, ANCHORS), rounds=3, iterations=1)
    arrays = (graph.anchors, graph.weights, graph.starts, graph.members, graph.member_weights)
    kept = sum(array.nbytes for array in arrays) / 2**20
    benchmark.extra_info.update(megabytes_kept=kept, megabytes_above_inputs=megabytes() - before)
    print(f"\n{kept:.0f} MB kept, at most {megabytes() - before:.0f} MB while it is made")
    assert megabytes() - before < 1000


def test_pairs_of_yfcc(benchmark: Any, graph: AnchorGraph) -> None:
    """Everything that one batch of 256 videos draws."""
    random, everything = np.random.default_rng(1), np.arange(len(graph))
    before = megabytes()
    benchmark.pedantic(
        draw_pairs,
        setup=lambda: ((graph, random.integers(0, len(graph), BATCH), everything, random), {}),
        rounds=20,
        iterations=1,
    )
    benchmark.extra_info["megabytes_above_inputs"] = megabytes() - before
    print(f"\n{1000 * benchmark.stats.stats.median:.0f} ms a batch, {megabytes() - before:.0f} MB above the inputs")
