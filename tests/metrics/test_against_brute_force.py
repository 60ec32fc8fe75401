"""`evaluate` against definitions spelled out in plain Python, with every order of every tie written down."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrics import Scores, evaluate

BITS = (1, 7, 8, 63, 64, 65, 130, 300)
KS = (1, 2, 3, 5, 100)


@dataclass
class Case:
    """One problem in the form that the brute force reads: bits as lists, labels as sets."""

    query_bits: list[list[int]]
    query_labels: list[set[int]]
    gallery_bits: list[list[int]]
    gallery_labels: list[set[int]]

    @property
    def is_self(self) -> bool:
        return self.query_bits == self.gallery_bits and self.query_labels == self.gallery_labels

    def rankings(self, query: int, exclude_self: bool) -> list[tuple[int, bool]]:
        """(distance, relevant) of every gallery item in gallery order."""
        return [
            (
                sum(a != b for a, b in zip(self.query_bits[query], bits, strict=True)),
                bool(self.query_labels[query] & labels),
            )
            for item, (bits, labels) in enumerate(zip(self.gallery_bits, self.gallery_labels, strict=True))
            if not (self.is_self and exclude_self and item == query)
        ]


def all_orders(items: list[tuple[int, bool]]) -> Iterator[list[bool]]:
    """The relevance along the ranking, for all orders within ties.

    Orders that differ only in which relevant item is where look the same; each look stands for equally many orders, so
    taking each once keeps means as they are.
    """
    groups = [[r for _, r in group] for _, group in itertools.groupby(sorted(items), key=lambda pair: pair[0])]
    for parts in itertools.product(*(sorted(set(itertools.permutations(group))) for group in groups)):
        yield [r for part in parts for r in part]


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def values(ranking: list[bool], k: int, relevant: int, normalise: str) -> dict[str, float]:
    hits, precision_sum, gain = 0, 0.0, 0.0
    for rank, is_relevant in enumerate(ranking[:k], start=1):
        if is_relevant:
            hits += 1
            precision_sum += hits / rank
            gain += 1 / math.log2(rank + 1)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, relevant) + 1))
    divisor = k if normalise == "k" else min(k, relevant)
    return {
        "average_precision": precision_sum / divisor if relevant else 0.0,
        "precision": hits / k,
        "recall": hits / relevant if relevant else 0.0,
        "ndcg": gain / ideal if relevant else 0.0,
        "r_precision": sum(ranking[:relevant]) / relevant if relevant else 0.0,
    }


REDUCTIONS: dict[str, Callable[[list[float]], float]] = {"expected": mean, "best": max, "worst": min}


def over_orders(items: list[tuple[int, bool]], k: int, normalise: str) -> dict[str, dict[str, float]]:
    """The values of one query's ranking for every treatment of ties."""
    relevant = sum(r for _, r in items)
    rows = [values(ranking, k, relevant, normalise) for ranking in all_orders(items)]
    found = {
        ties: {name: reduce([row[name] for row in rows]) for name in rows[0]} for ties, reduce in REDUCTIONS.items()
    }
    in_order = [r for _, r in sorted(items, key=lambda pair: pair[0])]
    return found | {"index": values(in_order, k, relevant, normalise)}


def curve(items: list[tuple[int, bool]], radius: int) -> tuple[float, float]:
    inside = [r for distance, r in items if distance <= radius]
    relevant = sum(r for _, r in items)
    return (sum(inside) / relevant if relevant else 0.0, sum(inside) / len(inside) if inside else 0.0)


def make_case(
    *, seed: int, bits: int, queries: int, gallery: int, classes: int, kind: str, is_self: bool
) -> tuple[Case, list[Any]]:
    """A problem with many ties, as the brute force sees it and as `evaluate` takes it."""
    rng = np.random.default_rng(seed)
    pool = rng.integers(0, 2, size=(2, bits))
    codes = pool[rng.integers(0, 2, size=queries + gallery)]
    flipped = rng.random(queries + gallery) < 0.4
    codes[flipped, rng.integers(0, bits, size=queries + gallery)[flipped]] ^= 1
    if kind == "index":
        labels: Any = rng.integers(0, classes + 1, size=queries + gallery)
        sets = [{int(label)} for label in labels]
    else:
        labels = (rng.random((queries + gallery, classes)) < 0.4).astype(kind)
        # A single column can only say which of two classes a video belongs to.
        sets = [set(np.flatnonzero(row).tolist()) if classes > 1 else {int(row[0])} for row in labels]
    given_codes = codes * 2 - 1 if rng.random() < 0.5 else codes.astype(bool)
    bit_lists = codes.tolist()
    if is_self:
        codes_in, labels_in = given_codes[:gallery], labels[:gallery]
        case = Case(bit_lists[:gallery], sets[:gallery], bit_lists[:gallery], sets[:gallery])
        return case, [codes_in, labels_in]
    case = Case(bit_lists[:queries], sets[:queries], bit_lists[queries:], sets[queries:])
    return case, [given_codes[:queries], labels[:queries], given_codes[queries:], labels[queries:]]


def check(case: Case, arguments: list[Any], ties: str, normalise: Any, exclude_self: bool) -> None:
    scores = evaluate(*arguments, ks=KS, ties=ties, normalise=normalise, exclude_self=exclude_self)  # type: ignore[arg-type]
    rankings = [case.rankings(query, exclude_self) for query in range(len(case.query_bits))]
    for k in KS:
        by_ties = [over_orders(items, k, normalise) for items in rankings]
        rows = [found[ties] for found in by_ties]
        means = {name: math.fsum(row[name] for row in rows) / len(rows) for name in rows[0]}
        np.testing.assert_allclose(scores.average_precision[k], [r["average_precision"] for r in rows], atol=1e-12)
        assert scores.map[k] == pytest.approx(means["average_precision"], abs=1e-12)
        assert scores.precision[k] == pytest.approx(means["precision"], abs=1e-12)
        assert scores.recall[k] == pytest.approx(means["recall"], abs=1e-12)
        assert scores.ndcg[k] == pytest.approx(means["ndcg"], abs=1e-12)
        assert scores.r_precision == pytest.approx(means["r_precision"], abs=1e-12)
        found = [sum(relevant for _, relevant in items) for items in rankings]
        ideal = [values([True] * relevant, k, relevant, normalise)["average_precision"] for relevant in found]
        assert scores.ceiling is not None
        assert scores.ceiling[k] == pytest.approx(math.fsum(ideal) / len(ideal), abs=1e-12)
        for bound, value in (("best", scores.map_best[k]), ("worst", scores.map_worst[k])):
            bounds = [found[bound]["average_precision"] for found in by_ties]
            assert value == pytest.approx(math.fsum(bounds) / len(bounds), abs=1e-12)
        assert scores.map_worst[k] <= scores.map[k] <= scores.map_best[k]
        assert scores.tie_spread[k] == scores.map_best[k] - scores.map_worst[k]
    whole = [over_orders(items, 10**6, "relevant")[ties]["average_precision"] for items in rankings]
    assert scores.map_full == pytest.approx(math.fsum(whole) / len(whole), abs=1e-12)
    assert scores.queries_without_relevant == sum(not any(r for _, r in items) for items in rankings)
    bits = len(case.query_bits[0])
    assert scores.precision_recall is not None
    for radius in {0, 1, 2, bits // 2, bits} & set(range(bits + 1)):
        points = [curve(items, radius) for items in rankings]
        assert scores.precision_recall[0][radius] == pytest.approx(np.mean([p[0] for p in points]), abs=1e-12)
        assert scores.precision_recall[1][radius] == pytest.approx(np.mean([p[1] for p in points]), abs=1e-12)
    assert scores.precision_radius2 == scores.precision_recall[1][min(2, bits)]
    assert scores.queries_empty_radius2 == sum(not any(distance <= 2 for distance, _ in items) for items in rankings)


@pytest.mark.parametrize("ties", ["expected", "index", "best", "worst"])
@pytest.mark.parametrize("normalise", ["k", "relevant"])
@pytest.mark.parametrize("exclude_self", [False, True])
@given(
    seed=st.integers(0, 2**32 - 1),
    bits=st.sampled_from(BITS),
    queries=st.integers(1, 3),
    gallery=st.integers(1, 6),
    classes=st.integers(1, 4),
    kind=st.sampled_from(["index", "uint8", "bool", "float32"]),
    is_self=st.booleans(),
)
@settings(deadline=None, max_examples=12)
def test_every_option_equals_the_enumeration_of_all_orders(
    *,
    ties: str,
    normalise: str,
    exclude_self: bool,
    seed: int,
    bits: int,
    queries: int,
    gallery: int,
    classes: int,
    kind: str,
    is_self: bool,
) -> None:
    case, arguments = make_case(
        seed=seed, bits=bits, queries=queries, gallery=gallery, classes=classes, kind=kind, is_self=is_self
    )
    check(case, arguments, ties, normalise, exclude_self)


@pytest.mark.parametrize("bits", [*BITS, 17, 248, 249, 255, 256, 1024])
@pytest.mark.parametrize("is_self", [False, True])
def test_every_length_of_code(bits: int, is_self: bool) -> None:
    for ties in ("expected", "index"):
        case, arguments = make_case(
            seed=bits, bits=bits, queries=3, gallery=5, classes=3, kind="uint8", is_self=is_self
        )
        check(case, arguments, ties, "relevant", True)


def plain_counts(query: np.ndarray, gallery: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Stable-sort rankings of a larger problem in plain numpy: the relevance of every rank."""
    distance = (query[:, None, :] != gallery[None, :, :]).sum(axis=2)
    return np.take_along_axis(relevant, np.argsort(distance, axis=1, kind="stable"), axis=1)


@pytest.mark.parametrize(("bits", "size"), [(5, 9_001), (16, 5_003), (64, 12_289), (70, 4_097), (300, 4_096)])
def test_larger_galleries_in_stable_order(bits: int, size: int) -> None:
    """Sizes around the tiles of the kernels, and enough items for every way of counting them."""
    rng = np.random.default_rng(bits)
    gallery, query = rng.integers(0, 2, size=(size, bits)), rng.integers(0, 2, size=(5, bits))
    labels, query_labels = rng.random((size, 6)) < 0.3, rng.random((5, 6)) < 0.3
    relevant = query_labels.astype(int) @ labels.T.astype(int) > 0
    ranked = plain_counts(query, gallery, relevant)
    precision = np.cumsum(ranked, axis=1) / np.arange(1, size + 1)
    scores = evaluate(query, query_labels, gallery, labels, ks=(10, 1000, size), ties="index")
    for k in (10, 1000, size):
        expected = (ranked * precision)[:, :k].sum(axis=1) / k
        np.testing.assert_allclose(scores.average_precision[k], expected, rtol=1e-12)
        assert scores.precision[k] == pytest.approx(ranked[:, :k].mean(axis=1).mean(), rel=1e-12)
    distance = (query[:, None, :] != gallery[None, :, :]).sum(axis=2)
    assert scores.precision_recall is not None
    for radius in range(bits + 1):
        inside = distance <= radius
        expected = (inside & relevant).sum(axis=1) / np.maximum(inside.sum(axis=1), 1)
        assert scores.precision_recall[1][radius] == pytest.approx(expected.mean(), rel=1e-12)


def without_whole_ranking(scores: Scores) -> dict[str, Any]:
    """What the first k items decide, as JSON, with the values per query."""
    whole = {"map_full", "r_precision", "precision_recall", "precision_radius2", "queries_empty_radius2"}
    found = {name: value for name, value in scores.to_json().items() if name not in whole}
    per_query = (scores.average_precision, scores.recall_per_query)
    return found | {"per query": [{k: row.tolist() for k, row in table.items()} for table in per_query]}


@pytest.mark.parametrize("ties", ["expected", "index", "best", "worst"])
@given(
    seed=st.integers(0, 2**32 - 1),
    bits=st.sampled_from([1, 4, 16, 64, 70, 300]),
    size=st.sampled_from([1, 30, 700, 4_095, 4_097, 9_001]),
    spread=st.sampled_from([0.0, 0.05, 0.5]),
    ks=st.sets(st.sampled_from([1, 2, 5, 40, 100, 5_000]), min_size=1),
    dense=st.booleans(),
    is_self=st.booleans(),
)
@settings(deadline=None, max_examples=12)
def test_the_first_items_alone_give_the_same_numbers(
    *, ties: Any, seed: int, bits: int, size: int, spread: float, ks: set[int], dense: bool, is_self: bool
) -> None:
    """To the last bit, whether or not some of the gallery can be skipped, with many equal codes and with none."""
    rng = np.random.default_rng(seed)
    queries = min(size, 40)
    # Four centres: whole neighbourhoods lie at one distance. Sorted by them: the near ones are neighbours in the file.
    centres = rng.integers(0, 2, (4, bits))[np.sort(rng.integers(0, 4, size + queries))]
    codes = centres ^ (rng.random((size + queries, bits)) < spread)
    labels = rng.random((size + queries, 20)) < (0.5 if dense else 0.03)
    given_codes = (
        [codes[:queries], labels[:queries]]
        if is_self
        else [codes[:queries], labels[:queries], codes[queries:], labels[queries:]]
    )
    for protocol in ("paper", "strict"):
        full = evaluate(*given_codes, ks=ks, protocol=protocol, ties=ties)
        part = evaluate(*given_codes, ks=ks, protocol=protocol, ties=ties, whole_ranking=False)
        assert without_whole_ranking(part) == without_whole_ranking(full)
        assert part.map_full is None
        assert part.r_precision is None
        assert part.precision_recall is None
        assert part.queries_empty_radius2 is None
        assert full.map_full is not None


@pytest.mark.parametrize("queries", [17, 600, 8300])
def test_every_query_counts_whatever_their_number(queries: int) -> None:
    """More queries than a block holds, the last block not full: sixteen, nineteen and 256 make a block."""
    rng = np.random.default_rng(queries)
    gallery, query = rng.integers(0, 2, size=(20, 12)), rng.integers(0, 2, size=(queries, 12))
    labels, query_labels = rng.integers(0, 3, 20), rng.integers(0, 3, queries)
    # The last query alone finds nothing near, and the one before it nothing relevant.
    gallery[:, 0], query[-1] = 1, 0
    query_labels[-2] = 3
    relevant = query_labels[:, None] == labels
    ranked = plain_counts(query, gallery, relevant)[:, :10]
    precision = np.cumsum(ranked, axis=1) / np.arange(1, 11)
    within = (query[:, None] != gallery).sum(axis=2) <= 2
    scores = evaluate(query, query_labels, gallery, labels, ks=(10,), ties="index")
    np.testing.assert_allclose(scores.average_precision[10], (ranked * precision).sum(axis=1) / 10, rtol=1e-12)
    assert scores.map[10] == pytest.approx((ranked * precision).sum() / 10 / queries, rel=1e-12)
    assert scores.precision[10] == pytest.approx(ranked.mean(), rel=1e-12)
    assert scores.recall[10] == pytest.approx((ranked.sum(axis=1) / np.maximum(relevant.sum(axis=1), 1)).mean())
    assert scores.queries_empty_radius2 == (~within.any(axis=1)).sum() > 0
    assert scores.queries_without_relevant == (~relevant.any(axis=1)).sum() > 0


def test_expectation_is_the_mean_of_sampled_orders() -> None:
    """Tie groups too large to enumerate: 4,000 random orders, within five standard errors."""
    rng = np.random.default_rng(5)
    gallery, query = rng.integers(0, 2, size=(60, 3)), rng.integers(0, 2, size=(4, 3))
    labels, query_labels = rng.integers(0, 4, 60), np.arange(4)
    scores = evaluate(query, query_labels, gallery, labels, ks=(10, 25))
    samples = np.zeros((4000, 2))
    for sample in samples:
        order = rng.permutation(60)
        ranked = plain_counts(query, gallery[order], query_labels[:, None] == labels[order][None, :])
        precision = np.cumsum(ranked, axis=1) / np.arange(1, 61)
        sample[:] = [(ranked * precision)[:, :k].sum() / k / 4 for k in (10, 25)]
    error = samples.std(axis=0) / math.sqrt(len(samples))
    assert np.all(np.abs(samples.mean(axis=0) - [scores.map[10], scores.map[25]]) < 5 * error)


@pytest.mark.parametrize(
    ("near", "tied", "relevant"), [(0, 5000, 3), (4000, 3, 2), (20_000, 50, 49), (20_000, 9000, 1)]
)
def test_the_closed_form_keeps_its_digits(near: int, tied: int, relevant: int) -> None:
    """One large tie group behind many items: the sum of McSherry and Najork term by term, added without rounding."""
    gallery = np.zeros((near + tied, 1), dtype=int)
    gallery[near:] = 1
    labels = np.zeros(near + tied, dtype=int)
    labels[near : near + relevant] = 1
    size = near + tied
    scores = evaluate([[0]], [1], gallery, labels, ks=(size,), normalise="relevant")
    terms = [
        relevant / tied * (1 + (j - 1) * (relevant - 1) / (tied - 1)) / (near + j) / relevant
        for j in range(1, tied + 1)
    ]
    assert scores.map[size] == pytest.approx(math.fsum(terms), rel=1e-12, abs=1e-15)
    first = [j / (near + j) / relevant for j in range(1, relevant + 1)]
    assert scores.map_best[size] == pytest.approx(math.fsum(first), rel=1e-12, abs=1e-15)
    last = [j / (size - relevant + j) / relevant for j in range(1, relevant + 1)]
    assert scores.map_worst[size] == pytest.approx(math.fsum(last), rel=1e-12, abs=1e-15)
