"""mAP@k of the authors' own code (map.npz: ties in gallery order, AP divided by k)."""

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
