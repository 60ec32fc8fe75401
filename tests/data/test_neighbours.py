"""Exact neighbours by the cosine of mean features, against every pair compared in plain Python."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.base.errors import InputError
from bench.data.dataset import exact_neighbours
from bench.data.features import ArrayFeatures


def by_hand(queries: NDArray[np.float32], gallery: NDArray[np.float32], count: int, is_self: bool) -> list[list[int]]:
    rows = []
    for number, query in enumerate(queries.mean(axis=1).astype(float)):
        cosines = {}
        for item, video in enumerate(gallery.mean(axis=1).astype(float)):
            lengths = np.sqrt((query**2).sum()) * np.sqrt((video**2).sum())
            if not (is_self and item == number):
                cosines[item] = round(float((query * video).sum() / lengths) if lengths else 0.0, 10)
        rows.append(sorted(cosines, key=lambda item: (-cosines[item], item))[:count])
    return rows


@pytest.mark.parametrize("is_self", [True, False])
def test_as_all_pairs_say(is_self: bool) -> None:
    random = np.random.default_rng(0)
    gallery = random.normal(size=(40, 3, 6)).astype(np.float32)
    queries = gallery if is_self else random.normal(size=(11, 3, 6)).astype(np.float32)
    found = exact_neighbours(ArrayFeatures(queries), None if is_self else ArrayFeatures(gallery), count=7)
    assert found.dtype == np.int32
    assert found.tolist() == by_hand(queries, gallery, 7, is_self)


def test_equally_near_ones_in_order_and_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    directions = random.normal(size=(4, 1, 8)).astype(np.float32)
    videos = directions[random.integers(0, 4, size=30)] * random.choice([0.25, 1, 3], size=(30, 1, 1)).astype("f4")
    videos[5] = 0
    whole = exact_neighbours(ArrayFeatures(videos))
    assert whole.tolist() == by_hand(videos, videos, 10, True)
    monkeypatch.setattr("bench.data.dataset.BLOCK_VALUES", 70)
    assert np.array_equal(exact_neighbours(ArrayFeatures(videos)), whole)


def test_few_videos() -> None:
    videos = np.random.default_rng(2).normal(size=(3, 2, 4)).astype(np.float32)
    assert exact_neighbours(ArrayFeatures(videos)).shape == (3, 2)
    assert exact_neighbours(ArrayFeatures(videos), ArrayFeatures(videos[:1])).tolist() == [[0], [0], [0]]
    with pytest.raises(InputError, match="at least two"):
        exact_neighbours(ArrayFeatures(videos[:1]))
