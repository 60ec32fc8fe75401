"""Medians and their intervals, against hand-counted cases and the binomial distribution."""

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from bench.profile.timing import interval_rank, spread, timing


@pytest.mark.parametrize(
    # P(fewer than j of n coins show heads): n = 6: 1/64 for j = 1; n = 10: 11/1024 for j = 2, 56/1024 for j = 3.
    ("count", "rank"),
    [(1, 0), (5, 0), (6, 1), (8, 1), (9, 2), (10, 2)],
)
def test_ranks_by_hand(count: int, rank: int) -> None:
    assert interval_rank(count) == rank


@given(st.integers(6, 400))
def test_ranks_are_the_largest_that_leave_at_most_a_fortieth_in_a_tail(count: int) -> None:
    rank = interval_rank(count)
    assert binom.cdf(rank - 1, count, 0.5) <= 0.025 * (1 + 1e-9)
    assert binom.cdf(rank, count, 0.5) > 0.025 * (1 - 1e-9)


def test_intervals_hold_the_median_as_often_as_they_say() -> None:
    generator = np.random.default_rng(0)
    found = [spread(generator.exponential(size=20).tolist()) for _ in range(2000)]
    held = sum(one.low <= np.log(2) <= one.high for one in found) / len(found)
    assert 0.94 < held < 0.98  # 95.9 % for 20 samples


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=40))
def test_medians_and_quartiles(samples: list[float]) -> None:
    found = spread(samples)
    assert found.median == pytest.approx(statistics.median(samples))
    if len(samples) > 1:
        lower, _, upper = statistics.quantiles(samples, n=4, method="inclusive")
        assert (found.lower, found.upper) == pytest.approx((lower, upper))
    assert found.low <= found.median <= found.high


def test_a_timing_says_when_it_is_noisy() -> None:
    calm = timing([0.100, 0.101, 0.102, 0.103, 0.104, 0.105, 0.106, 0.107, 0.108, 0.109], 10)
    # Ten samples: from the second smallest to the second largest.
    assert (calm.median_ms, calm.low_ms, calm.high_ms) == pytest.approx((10.45, 10.1, 10.8))
    assert (calm.batch, calm.repeats, calm.noisy) == (10, 10, False)
    assert timing([0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.13, 0.13], 10).noisy
    # Five samples cannot know the median to 95 %, however equal they are.
    assert timing([0.1] * 5, 10).noisy
    assert not timing([0.1] * 6, 10).noisy
