"""Rankings by inner products of vectors, against exact fractions with every order of every tie written down."""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.base.errors import InputError
from bench.metrics import evaluate_vectors
from bench.metrics.vectors import inner_products
from tests.metrics.test_against_brute_force import all_orders

KS = (1, 2, 3, 50)
Items = list[tuple[Fraction, bool]]


def ranking_of(query: Iterable[float], gallery: NDArray[Any], relevant: list[bool], left_out: int | None) -> Items:
    """(negated similarity, relevant) of every item, in exact arithmetic."""
    return [
        (-sum((Fraction(float(a)) * Fraction(float(b)) for a, b in zip(query, item, strict=True)), Fraction()), wanted)
        for number, (item, wanted) in enumerate(zip(gallery, relevant, strict=True))
        if number != left_out
    ]


def average_precision(ranking: list[bool], k: int, divisor: int) -> Fraction:
    hits = [sum(ranking[:rank]) for rank in range(len(ranking) + 1)]
    terms = (Fraction(hits[rank], rank) for rank in range(1, min(k, len(ranking)) + 1) if ranking[rank - 1])
    return sum(terms, Fraction()) / divisor


def expected(items: Items, k: int, protocol: str) -> dict[str, Fraction]:
    """AP@k in the mean of all orders, in the best and the worst; recall@k and R-precision in the mean."""
    found = sum(relevant for _, relevant in items)
    if not found:
        return dict.fromkeys(("map", "best", "worst", "recall", "r_precision"), Fraction())
    orders = list(all_orders(items))  # type: ignore[arg-type]
    scores = [average_precision(order, k, k if protocol == "paper" else min(k, found)) for order in orders]
    return {
        "map": sum(scores, Fraction()) / len(scores),
        "best": max(scores),
        "worst": min(scores),
        "recall": sum((Fraction(sum(order[:k]), found) for order in orders), Fraction()) / len(orders),
        "r_precision": sum((Fraction(sum(order[:found]), found) for order in orders), Fraction()) / len(orders),
    }


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.sampled_from(["paper", "strict", "neighbours"]))
def test_scores_are_those_of_all_orders(seed: int, is_self: bool, protocol: str) -> None:
    """Quarters from few values tie often, and have exact products; a video differs as a query and as an item."""
    random = np.random.default_rng(seed)
    gallery = random.integers(-1, 2, (5, 2)) / 4
    queries = random.integers(-1, 2, (5 if is_self else 3, 2)) / 2
    labels = random.integers(0, 3, (5, 2)) == 0
    query_labels = labels if is_self else random.integers(0, 3, (3, 2)) == 0
    relevance = [[bool((own & other).any()) for other in labels] for own in query_labels]
    relevant: dict[str, Any] = {"query_labels": query_labels, "protocol": protocol}
    if protocol == "neighbours":
        chosen = [random.choice([i for i in range(5) if not is_self or i != q], 2, replace=False)
                  for q in range(len(queries))]  # fmt: skip
        relevance, relevant = [[i in row for i in range(5)] for row in chosen], {"neighbours": chosen}
    elif not is_self:
        relevant["gallery_labels"] = labels
    scores = evaluate_vectors(queries, gallery, **relevant, is_self=is_self, ks=KS)
    leaves_out = is_self and protocol != "paper"
    rankings = [
        ranking_of(query, gallery, row, number if leaves_out else None)
        for number, (query, row) in enumerate(zip(queries, relevance, strict=True))
    ]
    for k in KS:
        rows = [expected(items, k, protocol) for items in rankings]
        np.testing.assert_allclose(scores.average_precision[k], [float(row["map"]) for row in rows], atol=1e-12)
        np.testing.assert_allclose(scores.recall_per_query[k], [float(row["recall"]) for row in rows], atol=1e-12)
        for found, name in ((scores.map_best, "best"), (scores.map_worst, "worst")):
            assert found[k] == pytest.approx(float(sum(row[name] for row in rows)) / len(rows), abs=1e-12)
        assert scores.r_precision == pytest.approx(float(sum(row["r_precision"] for row in rows)) / len(rows))
    assert scores.queries_without_relevant == sum(not any(found for _, found in items) for items in rankings)


@pytest.mark.parametrize(("rows", "items", "dimensions"), [(1, 1, 1), (3, 259, 5), (2, 7, 131), (5, 300, 257)])
def test_products_are_summed_in_order(rows: int, items: int, dimensions: int) -> None:
    """To the bit those of a loop in Python, around the sizes of tiles."""
    random = np.random.default_rng(dimensions)
    queries, gallery = (random.standard_normal((n, dimensions)).astype(np.float32) for n in (rows, items))
    products = np.empty((rows, items), np.float32)
    inner_products(queries, gallery, products)
    for row, item in ((0, 0), (rows - 1, items - 1), (rows // 2, items // 2)):
        total = 0.0
        for a, b in zip(queries[row].tolist(), gallery[item].tolist(), strict=True):
            total += a * b
        assert products[row, item] == np.float32(total)
    np.testing.assert_allclose(
        products, queries.astype(np.float64) @ gallery.T.astype(np.float64), rtol=1e-5, atol=1e-5
    )


def test_equal_vectors_tie_wherever_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of 30 vectors comes 20 times: groups of 20 in any gallery order, with any number of threads."""
    random = np.random.default_rng(0)
    gallery = np.repeat(random.standard_normal((30, 67)), 20, axis=0)
    labels, queries, query_labels = random.integers(0, 4, 600), random.standard_normal((150, 67)), np.arange(150) % 4
    found = []
    for threads in (1, 3):
        monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", threads)
        order = random.permutation(600)
        found.append(evaluate_vectors(queries, gallery[order], query_labels, labels[order], ks=(20, 50)))
    assert found[0] == found[1]
    # The first 20 places hold one group: whatever its order, as many of it are relevant.
    nearest = (queries @ gallery[::20].T).argmax(axis=1)
    shares = [
        (labels[20 * group : 20 * group + 20] == own).mean() for group, own in zip(nearest, query_labels, strict=True)
    ]
    assert found[0].precision[20] == pytest.approx(np.mean(shares), abs=1e-12)
    assert found[0].map_best[20] > found[0].map[20] > found[0].map_worst[20]


def test_nothing_lies_within_a_hamming_radius() -> None:
    scores = evaluate_vectors(np.eye(3), np.eye(3), [0, 1, 2], is_self=True, ks=(1,))
    assert scores.map == {1: 1.0}
    absent = {"bits", "precision_recall", "precision_radius2", "queries_empty_radius2"}
    assert all(getattr(scores, name) is None for name in absent)
    assert {name for name, value in scores.to_json().items() if value is None} <= absent
    assert scores.nothing_within_radius2 is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"query_vectors": np.full((3, 2), np.nan)}, "query_vectors hold NaN or infinite numbers"),
        ({"gallery_vectors": [[1e39, 0]]}, "gallery_vectors hold NaN or infinite numbers"),
        ({"gallery_vectors": np.eye(3)}, "gallery_vectors have 3"),
        ({"gallery_vectors": np.zeros((0, 2))}, "at least one row"),
        ({"query_vectors": [["a", "b"]]}, "query_vectors must be numbers"),
        ({"query_vectors": np.full((3, 2), 1e20), "gallery_vectors": np.full((3, 2), 1e20)}, "scale them down"),
        ({"gallery_labels": None}, "gallery_labels: give them"),
        ({"is_self": True}, "gallery_labels: give them"),
        ({"is_self": True, "gallery_vectors": np.ones((4, 2))}, "3 query_vectors for 4 gallery_vectors"),
        ({"query_labels": None}, "query_labels and neighbours: give one"),
        ({"neighbours": [[0], [1], [2]]}, "query_labels and neighbours: give one"),
        ({"protocol": "mine"}, "unknown protocol"),
    ],
)
def test_what_cannot_be_ranked_is_refused(changes: dict[str, Any], words: str) -> None:
    given_: dict[str, Any] = {
        "query_vectors": np.ones((3, 2)),
        "gallery_vectors": np.ones((3, 2)),
        "query_labels": [0, 1, 2],
        "gallery_labels": [0, 1, 2],
    }
    with pytest.raises(InputError, match=words):
        evaluate_vectors(**(given_ | changes))
