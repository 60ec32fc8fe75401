"""Paired timings: two sides in turn within one run, so that a busy machine slows both."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

Compare = Callable[[Callable[[], object], Callable[[], object], int], float]


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@pytest.fixture
def compare(benchmark: Any) -> Compare:
    """`compare(ours, other, rounds)`: how many times faster ours is, the median of the ratios of neighbouring calls.

    Ours is what the benchmark records; the ratio stands in its `extra_info`.
    """

    def pair(ours: Callable[[], object], other: Callable[[], object], rounds: int) -> float:
        ours(), other()
        others: list[float] = []
        benchmark.pedantic(ours, setup=lambda: others.append(seconds(other)), rounds=rounds, iterations=1)
        ratio = float(np.median(np.array(others) / np.array(benchmark.stats.stats.data)))
        benchmark.extra_info.update(other_seconds=float(np.median(others)), times_faster=ratio)
        print(f"\nours {benchmark.stats.stats.median:.3f} s, other {np.median(others):.3f} s: {ratio:.2f} times faster")
        return ratio

    return pair
