"""Quality without labels: recall of the exact neighbours, against plain Python with every order of ties."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.base.errors import InputError
from bench.metrics import evaluate, evaluate_neighbours

KS = (1, 2, 3, 50)


def expected_recall(distances: dict[int, int], relevant: set[int], k: int) -> float:
    """The mean over all orders of equal distances, written down one by one."""
    groups = [
        sorted(items) for _, items in itertools.groupby(sorted(distances, key=distances.__getitem__), distances.get)
    ]
    orders = itertools.product(*map(itertools.permutations, groups))
    rankings = [list(itertools.chain.from_iterable(parts)) for parts in orders]
    return float(np.mean([len(relevant & set(ranking[:k])) / len(relevant) for ranking in rankings]))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.integers(1, 2))
def test_recall_is_that_of_all_orders(seed: int, is_self: bool, count: int) -> None:
    random = np.random.default_rng(seed)
    gallery = random.integers(0, 2, size=(5, 3))
    queries = gallery if is_self else random.integers(0, 2, size=(3, 3))
    others = [[i for i in range(5) if not (is_self and i == query)] for query in range(len(queries))]
    neighbours = [random.choice(items, size=count, replace=False) for items in others]
    scores = evaluate_neighbours(queries, neighbours, None if is_self else gallery, ks=KS)
    for query, items in enumerate(others):
        distances = {item: int((queries[query] != gallery[item]).sum()) for item in items}
        for k in KS:
            right = expected_recall(distances, set(neighbours[query].tolist()), k)
            assert scores.recall_per_query[k][query] == pytest.approx(right, abs=1e-12)
    for k in KS:
        assert scores.recall[k] == pytest.approx(scores.recall_per_query[k].mean(), abs=1e-12)
        assert scores.per_query[k] is scores.recall_per_query[k]


def test_neighbours_are_like_labels_that_only_they_share() -> None:
    random = np.random.default_rng(3)
    queries, gallery = random.integers(0, 2, size=(20, 12)), random.integers(0, 2, size=(60, 12))
    neighbours = np.stack([random.choice(60, size=4, replace=False) for _ in range(20)])
    labels = np.zeros((60, 20), dtype=int)
    labels[neighbours.T, np.arange(20)] = 1
    ours = evaluate_neighbours(queries, neighbours, gallery)
    theirs = evaluate(queries, np.eye(20, dtype=int), gallery, labels, protocol="strict")
    assert ours.map == theirs.map
    assert ours.recall == theirs.recall
    assert ours.ndcg == theirs.ndcg


def test_what_the_protocol_says_of_itself() -> None:
    scores = evaluate_neighbours([[0, 1], [1, 1], [0, 0]], [[1], [0], [0]])
    assert scores.protocol.name == "neighbours"
    assert "nearest to the query" in scores.protocol.description
    assert "left out" in scores.protocol.description
    apart = evaluate_neighbours([[0, 1]], [[1]], [[0, 1], [1, 1]])
    assert "left out" not in apart.protocol.description


@pytest.mark.parametrize(
    ("neighbours", "message"),
    [
        ([[1, 2], [0, 2]], "one row for every query"),
        ([1, 0, 0], "one row for every query"),
        (np.empty((3, 0), dtype=int), "one row for every query"),
        ([[1.0], [0.0], [0.0]], "must be integers"),
        ([[1], [0], [3]], "from 0 to 2"),
        ([[1], [0], [-1]], "from 0 to 2"),
        ([[1, 1], [0, 2], [0, 1]], "twice"),
        ([[1], [0], [2]], "the query itself"),
    ],
)
def test_wrong_neighbours_are_named(neighbours: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate_neighbours([[0, 1], [1, 1], [0, 0]], neighbours)  # type: ignore[arg-type]
