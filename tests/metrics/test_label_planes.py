"""Relevance from label planes: the same counts as from lists and as from all pairs, and taken only where it pays."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrics import evaluate, labels
from bench.metrics.labels import label_lists, label_planes, read_labels

LISTS, PLANES = 0.0, 1e9


def evaluate_by(visit: float, *arguments: Any, **options: Any) -> str:
    """The scores as text, where visiting an item of a list is said to cost `visit`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labels, "VISIT", visit)
        return json.dumps(evaluate(*arguments, **options).to_json())


@pytest.mark.parametrize("ties", ["expected", "index"])
@given(
    seed=st.integers(0, 2**32 - 1),
    bits=st.sampled_from([1, 16, 64, 248, 249, 300]),
    queries=st.integers(1, 20),
    gallery=st.sampled_from([1, 7, 50, 4095, 4097, 8300]),
    classes=st.sampled_from([1, 7, 8, 9, 64, 65, 239]),
    density=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
    indices=st.booleans(),
)
@settings(deadline=None, max_examples=20)
def test_planes_and_lists_agree(
    *, ties: str, seed: int, bits: int, queries: int, gallery: int, classes: int, density: float, indices: bool
) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2, (queries + gallery, bits))
    given_labels: np.ndarray = rng.random((queries + gallery, classes)) < density
    if indices:
        given_labels = rng.integers(0, classes + 1, queries + gallery)
    apart = (codes[:queries], given_labels[:queries], codes[queries:], given_labels[queries:])
    for arguments in (apart, (codes[:queries], given_labels[:queries])):
        for protocol in ("paper", "strict"):
            options = {"ties": ties, "protocol": protocol}
            assert evaluate_by(LISTS, *arguments, **options) == evaluate_by(PLANES, *arguments, **options)


@given(seed=st.integers(0, 2**32 - 1), classes=st.integers(2, 40), density=st.sampled_from([0.05, 0.5]))
@settings(deadline=None, max_examples=30)
def test_the_bits_say_who_shares_a_label(seed: int, classes: int, density: float) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.random((9, classes)) < density, rng.random((13, classes)) < density
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labels, "VISIT", PLANES)
        planes = label_planes(label_lists(*read_labels(first, second, 9, 13)), 13)
    # Where no list holds anything to visit there are no planes, and nobody shares a label.
    shared = (planes.queries[:, :, None] & planes.gallery[None]).any(axis=1)
    np.testing.assert_array_equal(shared, first.astype(int) @ second.T.astype(int) > 0)


def test_planes_are_taken_where_the_lists_are_long() -> None:
    rng = np.random.default_rng(0)

    def planes(given_labels: np.ndarray) -> int:
        lists = label_lists(*read_labels(given_labels, None, len(given_labels), len(given_labels)))
        return len(label_planes(lists, len(given_labels)).gallery)

    assert planes(rng.random((500, 80)) < 0.5) == 10
    assert planes(rng.random((500, 239)) < 0.01) == 0
    assert planes(rng.integers(0, 4, 500)) == 0
    assert planes(np.zeros((500, 80), dtype=bool)) == 0


def test_dense_labels_by_hand() -> None:
    # Query 0 shares a label with items 0, 1 and 3, at distances 0, 1 and 2; item 2 at distance 1 shares none.
    codes = [[0, 0], [0, 1], [1, 0], [1, 1]]
    dense = [[1, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labels, "VISIT", PLANES)
        scores = evaluate(codes[:1], dense[:1], codes, dense, ks=(1, 4))
    # Rank 1: 1. Ranks 2 and 3: half relevant each, 1/2 * 2/2 and 1/2 * 2/3. Rank 4: 3/4.
    assert scores.map == {1: 1.0, 4: pytest.approx((1 + 1 / 2 + 1 / 3 + 3 / 4) / 4)}
