"""Anchors, the anchor graph and the pairs drawn from it, against the authors' arrays and the dense definition."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chisquare

from bench.base.errors import InputError
from bench.learning.structure.anchor_graph import (
    AnchorGraph,
    anchor_graph,
    draw_pairs,
    graph_of_nearest,
    nearest_anchors,
    principal_components,
)
from bench.learning.structure.kernels import tag
from bench.learning.structure.kmeans import kmeans
from tests.learning.structure.conftest import dense_links

DenseTags = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.int64]]
GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture(scope="module")
def golden() -> dict[str, NDArray[np.float32]]:
    with np.load(GOLDEN / "structure.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def graph(golden: dict[str, NDArray[np.float32]]) -> AnchorGraph:
    return anchor_graph(golden["features"], golden["anchors"])


def test_nearest_anchors_equal_the_authors(golden: dict[str, NDArray[np.float32]]) -> None:
    indices, squared = nearest_anchors(golden["features"], golden["anchors"], 3)
    np.testing.assert_array_equal(indices, golden["nearest3"])
    chosen = golden["anchors"][indices[:, 0]].astype(float)
    np.testing.assert_allclose(squared[:, 0], ((golden["features"] - chosen) ** 2).sum(axis=1), rtol=1e-6)


def test_tags_equal_the_authors(golden: dict[str, NDArray[np.float32]], graph: AnchorGraph) -> None:
    tags = np.stack([graph.tags(video) for video in range(len(graph))])
    np.testing.assert_array_equal(tags, golden["tags"])


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    videos=st.integers(8, 60),
    anchors=st.integers(5, 12),
    spread=st.sampled_from([0.05, 1.0, 8.0]),
)
def test_tags_equal_the_dense_definition(
    dense_tags: DenseTags, seed: int, videos: int, anchors: int, spread: float
) -> None:
    random = np.random.default_rng(seed)
    points = (spread * random.normal(size=(videos, 4))).astype(np.float32)
    centres = random.normal(size=(anchors, 4)).astype(np.float32)
    graph = anchor_graph(points, centres)
    expected = dense_tags(points, centres)
    for video in range(videos):
        np.testing.assert_array_equal(graph.tags(video), expected[video])


@pytest.mark.parametrize("spread", [0.5, 3.0])
def test_links_equal_the_dense_definition(spread: float) -> None:
    """The links themselves: tags follow from them, and hardly ever depend on how large they are."""
    random = np.random.default_rng(1)
    points = (spread * random.normal(size=(40, 4))).astype(np.float32)
    centres = random.normal(size=(9, 4)).astype(np.float32)
    graph = anchor_graph(points, centres)
    rows = np.zeros((40, 9, 3))
    np.put_along_axis(rows, graph.anchors[:, :, None], graph.weights, axis=1)
    np.testing.assert_allclose(np.einsum("ims,jms->sij", rows, rows), dense_links(points, centres), rtol=1e-9)


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        ((3e-5, 1.0, 1.0), 1),
        ((9e-6, 1.0, 1.0), 0),
        ((0.0, 9e-6, 3e-5), 2),
        ((0.0, 3e-5, 9e-6), 0),
        ((3e-5, 9e-6, 3e-5), 0),
        ((3e-5, 3e-5, 9e-6), 0),
    ],
)
def test_links_above_1e_5_count(links: tuple[float, float, float], expected: int) -> None:
    assert tag(*links) == expected


def test_pairs_follow_the_dense_distribution(golden: dict[str, NDArray[np.float32]], graph: AnchorGraph) -> None:
    tags = golden["tags"]
    draws = 6000
    for video in (0, 17, 101):
        pairs = draw_pairs(graph, np.full(draws, video), np.arange(len(graph)), np.random.default_rng(video))
        similar = np.flatnonzero(tags[video] == 1)
        dissimilar = np.flatnonzero(tags[video] == 2)
        assert len(dissimilar) > 0
        positive = pairs.sign > 0
        # 6,000 fair coins: five standard deviations.
        assert abs(positive.mean() - 0.5) < 5 * 0.5 / np.sqrt(draws)
        for drawn, allowed in (
            (pairs.similar, similar),
            (pairs.partner[positive], similar),
            (pairs.partner[~positive], dissimilar),
            (pairs.dissimilar1, dissimilar),
        ):
            counts = np.bincount(drawn, minlength=len(graph))
            assert counts.sum() == counts[allowed].sum()
            assert chisquare(counts[allowed]).pvalue > 1e-4


def test_second_dissimilar_is_drawn_once_more_where_it_is_similar_to_the_first(
    golden: dict[str, NDArray[np.float32]], graph: AnchorGraph
) -> None:
    tags, video, draws = golden["tags"], 17, 20_000
    pairs = draw_pairs(graph, np.full(draws, video), np.arange(len(graph)), np.random.default_rng(0))
    allowed = np.flatnonzero(tags[video] == 2)
    similar = tags[np.ix_(allowed, allowed)] == 1
    # P(q2 | q1) of two tries: the first if it is not similar to q1, else any.
    size = len(allowed)
    expected = (~similar / size + similar.mean(axis=1, keepdims=True) / size) / size
    counts = np.zeros((size, size))
    place = np.full(len(graph), -1)
    place[allowed] = np.arange(size)
    np.add.at(counts, (place[pairs.dissimilar1], place[pairs.dissimilar2]), 1)
    assert chisquare(counts.ravel(), expected.ravel() * draws).pvalue > 1e-4


def test_without_middle_distance_dissimilar_is_everything_untagged() -> None:
    # Two far groups of five anchors: any two videos of a group share one of their three nearest anchors, and five
    # nearest anchors reach no further than four.
    random = np.random.default_rng(0)
    groups = np.repeat([0.0, 1000.0], 6)[:, None]
    points = (groups + random.normal(size=(12, 4))).astype(np.float32)
    anchors = (np.repeat([0.0, 1000.0], 5)[:, None] + random.normal(size=(10, 4))).astype(np.float32)
    graph = anchor_graph(points, anchors)
    tags = np.stack([graph.tags(video) for video in range(12)])
    assert not (tags == 2).any()
    pairs = draw_pairs(graph, np.zeros(500, dtype=np.int64), np.arange(12), np.random.default_rng(0))
    untagged = np.flatnonzero(tags[0] == 0)
    np.testing.assert_array_equal(untagged, np.arange(6, 12))
    assert set(pairs.dissimilar1.tolist()) == set(untagged.tolist())


def test_kmeans_is_repeatable_and_leaves_out_empty_clusters() -> None:
    random = np.random.default_rng(0)
    points = np.repeat(random.normal(size=(5, 8)), 20, axis=0).astype(np.float32)
    centres = kmeans(points, 10, seed=1)
    assert 1 <= len(centres) <= 10
    np.testing.assert_array_equal(centres, kmeans(points, 10, seed=1))
    nearest = nearest_anchors(points, centres, 1)[0][:, 0]
    assert set(nearest) <= set(range(len(centres)))
    spread = random.normal(size=(300, 8)).astype(np.float32)
    found = kmeans(spread, 20, seed=0)
    indices, squared = nearest_anchors(spread, found, 1)
    assert set(indices[:, 0]) == set(range(len(found)))
    # Better than 20 random videos as centres.
    assert squared.mean() < nearest_anchors(spread, spread[:20], 1)[1].mean()


def test_more_anchors_than_videos() -> None:
    with pytest.raises(InputError, match="anchors: 9 are asked for, but there are only 8 training videos"):
        kmeans(np.zeros((8, 2), dtype=np.float32), 9, seed=0)


def test_principal_components_keep_distances_and_order_by_variance() -> None:
    random = np.random.default_rng(0)
    centres = (random.normal(size=(30, 6)) * [9, 5, 3, 2, 1, 0.5]).astype(np.float32)
    projected = principal_components(centres, 10)
    assert projected.shape == (30, 10)
    assert not projected[:, 6:].any()
    assert (np.diff(projected[:, :6].var(axis=0)) < 0).all()
    original = ((centres[:, None] - centres[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(
        ((projected[:, None] - projected[None]) ** 2).sum(axis=2), original, rtol=1e-3, atol=1e-3
    )


def test_principal_components_have_the_largest_variances() -> None:
    """Far from the origin too: eigenvalues of the covariance, and means of zero."""
    random = np.random.default_rng(2)
    centres = (random.normal(size=(50, 6)) @ random.normal(size=(6, 6)) + [80, -40, 0, 9, 1, 5]).astype(np.float32)
    projected = principal_components(centres, 3).astype(np.float64)
    variances = np.linalg.eigvalsh(np.cov(centres.astype(np.float64), rowvar=False))[::-1]
    np.testing.assert_allclose(projected.var(axis=0, ddof=1), variances[:3], rtol=1e-4)
    np.testing.assert_allclose(projected.mean(axis=0), 0, atol=1e-4)


@pytest.mark.parametrize(("root", "link", "counts"), [(0.2829, 3e-5, True), (0.2102, 0.9e-5, False)])
def test_a_link_counts_above_the_threshold(root: float, link: float, counts: bool) -> None:
    """A > 1e-5: video 0 shares its third anchor with video 1, at a weight that the width of the kernel sets."""
    indices = np.array([[1, 2, 0], [0, 3, 4], [5, 6, 7], [8, 9, 10]], dtype=np.int32)
    distances = np.zeros((4, 3))
    distances[0, 2], distances[2, 2] = 1.0, root**2
    # By hand: 2σ² is the squared mean of the third distances, 1, 0, `root` and 0; all other distances are 0.
    kernel = np.exp(-1 / ((1 + root) / 4) ** 2)
    first, second = kernel / (2 + kernel), 1 / 3
    assert first * second / (first + second) == pytest.approx(link, rel=0.05)
    graph = graph_of_nearest(indices, distances, 11)
    assert [int(graph.tags(video)[other]) for video, other in ((0, 1), (1, 0))] == [counts, counts]
    pairs = draw_pairs(graph, np.zeros(100, dtype=np.int64), np.arange(4), np.random.default_rng(0))
    assert set(pairs.similar.tolist()) == ({0, 1} if counts else {0})
    assert set(pairs.dissimilar1.tolist()) == ({2, 3} if counts else {1, 2, 3})
    np.testing.assert_array_equal(pairs.sign == 1, np.isin(pairs.partner, pairs.similar))
