"""Cases small enough to work out on paper."""

import math

import numpy as np
import pytest

from bench.metrics import Scores, evaluate

NEAR, FAR = [0, 0], [1, 1]
MIDDLE = [0, 1]


def one_query(gallery: list[list[int]], relevant: list[int], **options: object) -> Scores:
    """A query 00 of class 1 against a gallery whose relevant items have class 1."""
    return evaluate([NEAR], [1], gallery, relevant, **options)  # type: ignore[arg-type]


def test_no_ties() -> None:
    # Relevance along the ranking: 1, 0, 1. AP@3 = (1/1 + 2/3) / 3.
    scores = one_query([MIDDLE, NEAR, FAR], [0, 1, 1], ks=(1, 2, 3))
    assert scores.map == pytest.approx({1: 1.0, 2: 0.5, 3: (1 + 2 / 3) / 3})
    assert scores.tie_spread == {1: 0.0, 2: 0.0, 3: 0.0}
    assert scores.precision == pytest.approx({1: 1.0, 2: 0.5, 3: 2 / 3})
    assert scores.recall == pytest.approx({1: 0.5, 2: 0.5, 3: 1.0})
    ideal = 1 + 1 / math.log2(3)
    assert scores.ndcg == pytest.approx({1: 1.0, 2: 1 / ideal, 3: 1.5 / ideal})
    assert scores.map_full == pytest.approx((1 + 2 / 3) / 2)
    assert scores.precision_recall is not None
    recall, precision = scores.precision_recall
    assert recall.tolist() == [0.5, 0.5, 1.0]
    assert precision.tolist() == pytest.approx([1.0, 0.5, 2 / 3])
    assert scores.precision_radius2 == pytest.approx(2 / 3)
    assert (scores.bits, scores.queries, scores.gallery, scores.queries_without_relevant) == (2, 1, 3, 0)


@pytest.mark.parametrize("bits", [8, 248, 255, 256, 257, 512])
def test_opposite_codes_are_the_farthest(bits: int) -> None:
    """Distances beyond what a byte holds come after all others."""
    opposite, neighbour = np.ones((1, bits)), np.zeros((1, bits))
    neighbour[0, : bits // 2] = 1
    scores = evaluate(np.zeros((1, bits)), [1], np.concatenate([opposite, neighbour]), [0, 1], ks=(1,))
    assert scores.map == {1: 1.0}


def test_all_items_tied() -> None:
    # Two items, one relevant: it comes first (AP@2 = 1/2) or second (AP@2 = 1/4), each half of the time.
    scores = one_query([FAR, FAR], [0, 1], ks=(1, 2))
    assert scores.map == {1: 0.5, 2: 0.375}
    assert scores.map_best == {1: 1.0, 2: 0.5}
    assert scores.map_worst == {1: 0.0, 2: 0.25}
    assert scores.tie_spread == {1: 1.0, 2: 0.25}
    assert scores.precision == {1: 0.5, 2: 0.5}
    assert scores.recall == {1: 0.5, 2: 1.0}
    assert scores.ndcg == pytest.approx({1: 0.5, 2: (1 + 1 / math.log2(3)) / 2})
    assert scores.map_full == 0.75


@pytest.mark.parametrize(("ties", "value"), [("expected", 0.375), ("index", 0.25), ("best", 0.5), ("worst", 0.25)])
def test_each_rule_for_ties(ties: str, value: float) -> None:
    assert one_query([FAR, FAR], [0, 1], ks=(2,), ties=ties).map == {2: value}


def test_index_follows_the_gallery() -> None:
    first = one_query([MIDDLE, MIDDLE, NEAR], [1, 0, 0], ks=(3,), ties="index")
    second = one_query([MIDDLE, MIDDLE, NEAR], [0, 1, 0], ks=(3,), ties="index")
    assert first.map[3] == pytest.approx((1 / 2) / 3)
    assert second.map[3] == pytest.approx((1 / 3) / 3)


def test_the_cut_inside_a_tie_group() -> None:
    # Nearest: one irrelevant item; then four tied, two of them relevant; k = 3 takes two of the four places.
    # Rank 2: 1/2 * (1/2). Rank 3: 1/2 * (1 + 1/3) / 3.
    scores = one_query([NEAR, FAR, FAR, FAR, FAR], [0, 1, 0, 1, 0], ks=(3,))
    assert scores.map[3] == pytest.approx((1 / 4 + 2 / 9) / 3)
    assert scores.map_best[3] == pytest.approx((1 / 2 + 2 / 3) / 3)
    assert scores.map_worst[3] == 0.0
    assert scores.precision[3] == pytest.approx(1 / 3)


def test_no_relevant_item() -> None:
    scores = evaluate([NEAR, NEAR], [1, 7], [NEAR, FAR], [1, 1], ks=(1, 2), normalise="relevant")
    assert scores.queries_without_relevant == 1
    assert scores.average_precision[2].tolist() == [1.0, 0.0]
    assert scores.map == scores.map_best == scores.map_worst == {1: 0.5, 2: 0.5}
    assert scores.recall == {1: 0.25, 2: 0.5}
    assert scores.ndcg == {1: 0.5, 2: 0.5}
    assert scores.map_full == 0.5


def test_items_without_labels_are_relevant_to_nothing() -> None:
    scores = evaluate([NEAR, FAR], [[0, 0], [1, 0]], ks=(2,))
    assert scores.queries_without_relevant == 1
    assert scores.map[2] == pytest.approx((0 + 1 / 2) / 2)


def test_sharing_two_labels_counts_once() -> None:
    scores = evaluate([NEAR], [[1, 1, 0]], [NEAR, FAR], [[1, 1, 1], [0, 0, 1]], ks=(1, 2))
    assert scores.precision == {1: 1.0, 2: 0.5}
    assert scores.recall == {1: 1.0, 2: 1.0}


def test_k_beyond_the_gallery() -> None:
    scores = one_query([NEAR, FAR], [1, 1], ks=(10,))
    assert scores.map[10] == pytest.approx(2 / 10)
    assert scores.precision[10] == pytest.approx(2 / 10)
    assert scores.recall[10] == scores.ndcg[10] == 1.0
    assert one_query([NEAR, FAR], [1, 1], ks=(10,), normalise="relevant").map[10] == 1.0


def test_one_item_gallery() -> None:
    assert one_query([FAR], [1], ks=(1, 5)).map == {1: 1.0, 5: pytest.approx(0.2)}
    assert one_query([FAR], [0], ks=(1, 5)).map == {1: 0.0, 5: 0.0}


def test_a_gallery_of_the_query_alone() -> None:
    kept = evaluate([NEAR], [0], ks=(1, 2))
    assert kept.map == {1: 1.0, 2: 0.5}
    left_out = evaluate([NEAR], [0], ks=(1, 2), protocol="strict")
    assert left_out.map == left_out.recall == left_out.ndcg == {1: 0.0, 2: 0.0}
    assert left_out.queries_without_relevant == 1
    assert evaluate([NEAR], [0], ks=(1,), protocol="strict", ties="index").map == {1: 0.0}


def test_the_two_protocols() -> None:
    # Codes 00, 00, 11 of classes 0, 0, 1. paper: each of the first two finds both at the top; strict: each finds the
    # other at rank 1, the third has nothing left to find.
    paper = evaluate([NEAR, NEAR, FAR], [0, 0, 1], ks=(2,))
    assert paper.average_precision[2].tolist() == [1.0, 1.0, 0.5]
    strict = evaluate([NEAR, NEAR, FAR], [0, 0, 1], ks=(2,), protocol="strict")
    assert strict.average_precision[2].tolist() == [1.0, 1.0, 0.0]
    assert strict.queries_without_relevant == 1


def test_exclude_self_needs_queries_that_are_the_gallery() -> None:
    codes, labels = np.array([NEAR, FAR]), np.array([0, 0])
    # The same two codes in the other order: each query finds its equal first, and of two relevant ones that is half.
    apart = evaluate(codes, labels, codes[::-1], labels, ks=(1,), exclude_self=True)
    assert apart.recall[1] == 0.5
    for gallery in ((), (codes, labels), (codes.copy(), labels.copy())):
        same = evaluate(codes, labels, *gallery, exclude_self=True)
        assert same.map_full == 1.0
        assert same.precision_recall is not None
        assert same.precision_recall[0].tolist() == [0.0, 0.0, 1.0]


def test_one_bit() -> None:
    # Query 0 of class 1: at distance 0 one relevant and one other, at distance 1 one relevant.
    scores = evaluate([[0]], [1], [[0], [0], [1]], [1, 0, 1], ks=(3,))
    assert scores.map[3] == pytest.approx((1 / 2 + 1 / 2 * 1 / 2 + 2 / 3) / 3)
    assert scores.precision_radius2 == pytest.approx(2 / 3)
    assert scores.precision_recall is not None
    assert len(scores.precision_recall[0]) == 2


def test_sixty_five_bits() -> None:
    query = np.ones((1, 65), dtype=int)
    near, far = query.copy(), query.copy()
    near[0, 0], far[0, [0, 64]] = -1, -1
    scores = evaluate(query, [1], np.vstack([far, near]), [0, 1], ks=(1,))
    assert scores.map == {1: 1.0}
    assert scores.precision_recall is not None
    assert scores.precision_recall[1][:4].tolist() == [0.0, 1.0, 0.5, 0.5]


def test_duplicate_codes() -> None:
    # Four copies of one code, two of each class, self kept: one tie group for each query.
    # E[AP@4] = 1/4 * sum_j 1/2 * (1 + (j - 1) / 3) / j.
    scores = evaluate([NEAR] * 4, [0, 0, 1, 1], ks=(4,))
    assert scores.map[4] == pytest.approx(sum(0.5 * (1 + (j - 1) / 3) / j for j in range(1, 5)) / 4)


def test_radius_two_counts_empty_balls_as_zero() -> None:
    scores = evaluate([[0, 0, 0, 0], [1, 1, 1, 1]], [0, 0], [[0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]], [0, 1, 0])
    # First query: all three within 2, two relevant. Second query: only 0011.
    assert scores.precision_radius2 == pytest.approx((2 / 3 + 1) / 2)
    assert scores.precision_recall is not None
    assert scores.precision_recall[1][1] == pytest.approx((1 / 2 + 0) / 2)


def test_codes_and_labels_in_any_form() -> None:
    rng = np.random.default_rng(0)
    flags, classes = rng.random((12, 9)) < 0.5, rng.integers(0, 3, 12)
    truth = evaluate(flags, classes).map
    for codes in (flags.astype(np.uint8), flags * 2 - 1, (flags * 2 - 1).astype(np.float32), flags.astype(float)):
        assert evaluate(codes, classes).map == truth
    assert evaluate(flags[::-1][::-1], np.asfortranarray(np.eye(3)[classes])).map == truth
    assert evaluate(flags.tolist(), (classes * 10**12).astype(np.uint64)).map == truth
