"""mAP@k of the authors' own code (map.npz: ties in gallery order, AP divided by k), and of its algorithm."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bench.metrics import evaluate, pack_codes

GOLDEN = Path(__file__).parents[1] / "golden" / "map.npz"


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as archive:
        return dict(archive)


def expected(golden: dict[str, np.ndarray], prefix: str) -> dict[int, float]:
    return {int(name.removeprefix(prefix)): float(golden[name]) for name in golden if name.startswith(prefix)}


@pytest.mark.parametrize("packed", [False, True])
def test_all_against_all(golden: dict[str, np.ndarray], packed: bool) -> None:
    truth = expected(golden, "map_self_")
    assert truth
    codes = pack_codes(golden["codes"]) if packed else golden["codes"]
    scores = evaluate(codes, golden["labels"], ks=truth, ties="index")
    assert scores.map == pytest.approx(truth, abs=1e-12)


def test_queries_apart(golden: dict[str, np.ndarray]) -> None:
    truth = expected(golden, "map_split_")
    assert truth
    codes, labels = golden["codes"], golden["labels"]
    scores = evaluate(codes[:30], labels[:30], codes[30:], labels[30:], ks=truth, ties="index")
    assert scores.map == pytest.approx(truth, abs=1e-12)


def clustered(items: int, bits: int = 64, classes: int = 239) -> tuple[np.ndarray, np.ndarray]:
    """Codes around one centre for each class, a quarter of their bits flipped; multi-hot labels, some with two ones."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, classes, items)
    centres = rng.random((classes, bits)) < 0.5
    codes = np.where(centres[label] ^ (rng.random((items, bits)) < 0.25), 1, -1).astype(np.int8)
    labels = np.zeros((items, classes), dtype=np.uint8)
    labels[np.arange(items), label] = 1
    labels[rng.random(items) < 0.1, rng.integers(0, classes)] = 1
    return codes, labels


def authors_map(codes: np.ndarray, labels: np.ndarray, ks: Sequence[int]) -> dict[int, float]:
    """mAP@k as the papers' released code finds it: a product of ±1 matrices, argsort, a loop over queries."""
    signs, deepest = codes.astype(np.float32), max(ks)
    order = np.argsort(0.5 * (signs.shape[1] - signs @ signs.T), axis=1, kind="stable")
    similar = labels.astype(np.float32) @ labels.T.astype(np.float32) > 0
    sums = dict.fromkeys(ks, 0.0)
    for query, ranking in enumerate(order):
        relevant = similar[query, ranking[:deepest]]
        precision = np.cumsum(relevant) / np.arange(1, deepest + 1)
        for k in ks:
            sums[k] += float(np.sum(relevant[:k] * precision[:k])) / k
    return {k: value / len(codes) for k, value in sums.items()}


@pytest.mark.parametrize(("items", "bits", "classes"), [(800, 64, 40), (600, 12, 239), (500, 130, 3)])
def test_the_authors_algorithm(items: int, bits: int, classes: int) -> None:
    ks = (5, 20, 40, 60, 80, 100)
    codes, labels = clustered(items, bits, classes)
    found = evaluate(codes, labels, ks=ks, ties="index")
    assert found.map == pytest.approx(authors_map(codes, labels, ks), abs=1e-12)
