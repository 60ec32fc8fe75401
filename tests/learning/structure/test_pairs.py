"""Pairs drawn from inverted lists, against the distribution that the dense definition gives every pair."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chi2

from bench.learning.structure.anchor_graph import AnchorGraph, Pairs, anchor_graph, draw_pairs, graph_of_nearest

DenseTags = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.int64]]
DRAWS = 3000


def candidates(tags: NDArray[np.int64], video: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Similar and dissimilar videos by the dense tags: the video itself, tag 0, and all, where there are no others."""
    similar = np.flatnonzero(tags[video] == 1)
    if not len(similar):
        similar = np.array([video])
    dissimilar = np.flatnonzero(tags[video] == 2)
    if not len(dissimilar):
        dissimilar = np.setdiff1d(np.arange(len(tags)), similar)
    return similar, dissimilar if len(dissimilar) else np.arange(len(tags))


def second_given_first(tags: NDArray[np.int64], dissimilar: NDArray[np.int64]) -> NDArray[np.float64]:
    """P(first, second) over the dissimilar videos: the second is drawn once more where it is similar to the first."""
    size = len(dissimilar)
    similar = tags[np.ix_(dissimilar, dissimilar)] == 1
    return (~similar + similar.mean(axis=1, keepdims=True)) / size**2


def statistic(counts: NDArray[np.int64], probabilities: NDArray[np.float64]) -> tuple[float, int]:
    """Pearson's statistic and its degrees of freedom; what has no probability must not have been drawn."""
    counts, expected = counts.ravel(), probabilities.ravel() * counts.sum()
    assert not counts[expected == 0].any()
    possible = expected > 0
    return float(((counts - expected)[possible] ** 2 / expected[possible]).sum()), int(possible.sum()) - 1


def uniform(videos: NDArray[np.int64], total: int) -> NDArray[np.float64]:
    probabilities = np.zeros(total)
    probabilities[videos] = 1 / len(videos)
    return probabilities


def statistics(tags: NDArray[np.int64], video: int, pairs: Pairs) -> list[tuple[float, int]]:
    """Of the coin and of every video that is drawn for `video`."""
    total = len(tags)
    similar, dissimilar = candidates(tags, video)
    positive = pairs.sign > 0
    joint = np.zeros((total, total))
    joint[np.ix_(dissimilar, dissimilar)] = second_given_first(tags, dissimilar)
    drawn = np.bincount(pairs.dissimilar1 * total + pairs.dissimilar2, minlength=total**2).reshape(total, total)
    return [
        statistic(np.bincount(positive.astype(int), minlength=2), np.array([0.5, 0.5])),
        statistic(np.bincount(pairs.similar, minlength=total), uniform(similar, total)),
        statistic(np.bincount(pairs.partner[positive], minlength=total), uniform(similar, total)),
        statistic(np.bincount(pairs.partner[~positive], minlength=total), uniform(dissimilar, total)),
        statistic(drawn, joint),
    ]


@settings(deadline=None, max_examples=15, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    videos=st.integers(6, 16),
    anchors=st.integers(1, 12),
    spread=st.sampled_from([0.05, 1.0, 8.0]),
)
def test_every_draw_follows_the_dense_definition(
    dense_tags: DenseTags, seed: int, videos: int, anchors: int, spread: float
) -> None:
    """Few anchors, points far from or close to them: videos with and without similar ones, with and without tag 2."""
    random = np.random.default_rng(seed)
    points = (spread * random.normal(size=(videos, 3))).astype(np.float32)
    centres = random.normal(size=(anchors, 3)).astype(np.float32)
    tags, graph = dense_tags(points, centres), anchor_graph(points, centres)
    found = [
        part
        for video in range(videos)
        for part in statistics(tags, video, draw_pairs(graph, np.full(DRAWS, video), np.arange(videos), random))
    ]
    # Draws of different kinds and videos are independent, so their statistics add up.
    assert chi2.sf(sum(value for value, _ in found), max(1, sum(freedom for _, freedom in found))) > 1e-4


def test_a_biased_draw_would_be_noticed() -> None:
    """The test above has the power to see one similar video in six drawn twice as often as the others."""
    random = np.random.default_rng(0)
    drawn = random.choice(6, size=DRAWS, p=np.array([2, 1, 1, 1, 1, 1]) / 7)
    value, freedom = statistic(np.bincount(drawn), np.full(6, 1 / 6))
    assert chi2.sf(value, freedom) < 1e-6


def random_graph(videos: int, anchors: int) -> AnchorGraph:
    """A graph over made-up nearest anchors, at distances of the order that k-means leaves."""
    random = np.random.default_rng(0)
    step = random.integers(1, anchors // 5, size=(videos, 5)).cumsum(axis=1)
    indices = ((random.integers(0, anchors, size=(videos, 1)) + step) % anchors).astype(np.int32)
    return graph_of_nearest(indices, np.sort(random.uniform(0.5, 1.5, size=(videos, 5)), axis=1), anchors)


def test_memory_is_linear_in_the_videos() -> None:
    graph = random_graph(20_000, 100)
    arrays = (graph.anchors, graph.weights, graph.starts, graph.members, graph.member_weights)
    assert sum(array.nbytes for array in arrays) == 20_000 * 280 + 101 * 8
    pairs = draw_pairs(graph, np.arange(200), np.arange(20_000), np.random.default_rng(0))
    for video, similar, dissimilar in zip(range(200), pairs.similar, pairs.dissimilar1, strict=True):
        tags = graph.tags(video)
        assert tags[similar] == 1
        assert tags[dissimilar] == 2


@pytest.mark.parametrize("known", [1, 4])
def test_fewer_than_five_anchors_leave_no_middle_distance(known: int) -> None:
    graph = graph_of_nearest(np.tile(np.arange(known, dtype=np.int32), (6, 1)), np.ones((6, known)), known)
    # All videos share all anchors with the same weights: all are similar, and dissimilar is anything.
    assert (np.stack([graph.tags(video) for video in range(6)]) == 1).all()
    pairs = draw_pairs(graph, np.zeros(300, dtype=np.int64), np.arange(6), np.random.default_rng(0))
    assert set(pairs.dissimilar1.tolist()) == set(range(6))
