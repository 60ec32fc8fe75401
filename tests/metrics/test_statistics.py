"""Statistics against cases whose truth is known: enumeration, textbook numbers, error rates, coverage."""

import itertools
import tracemalloc
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bench.base.errors import InputError
from bench.metrics.statistics import (
    bootstrap_difference,
    bootstrap_mean,
    evidence,
    holm,
    not_worse_than_best,
    randomisation_test,
)

from .error_rates import detected, simulated


@pytest.mark.parametrize("shift", [0.0, 0.2, 0.5, 1.0])
def test_the_p_value_is_the_share_of_all_sign_flips(shift: float) -> None:
    """Eight queries have 256 sign flips; 100,000 tosses come within five standard errors of them."""
    rng = np.random.default_rng(1)
    first = rng.integers(0, 10, 8) / 10 + shift
    second = rng.integers(0, 10, 8) / 10
    difference = first - second
    flips = np.array(list(itertools.product([-1, 1], repeat=8)))
    exact = np.mean(np.abs(flips @ difference) >= abs(difference.sum()) - 1e-9)
    error = np.sqrt(exact * (1 - exact) / 100_000)
    assert randomisation_test(first, second, permutations=100_000) == pytest.approx(exact, abs=5 * error + 1e-5)


def test_no_difference_at_all() -> None:
    assert randomisation_test(np.ones(5), np.ones(5), permutations=100) == 1.0


def test_the_difference_that_was_seen_counts_among_the_tosses() -> None:
    # No toss of 60 coins reaches what all heads gives.
    assert randomisation_test(np.ones(60), np.zeros(60), permutations=99) == 1 / 100


def test_all_queries_are_tossed() -> None:
    """The few that differ stand first, before blocks of thousands that do not."""
    first = np.zeros(9000)
    first[:6] = 1
    p = randomisation_test(first, np.zeros(9000), permutations=20_000)
    # Of 64 equally likely tosses two are as far from 0.
    assert p == pytest.approx(2 / 64, abs=5 * np.sqrt(2 / 64 / 20_000))


def test_the_test_is_symmetric_and_repeatable() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.random(50), rng.random(50)
    p = randomisation_test(first, second, seed=4)
    assert p == randomisation_test(first, second, seed=4) == randomisation_test(second, first, seed=4)
    assert p != randomisation_test(first, second, seed=5)


def test_false_positives_come_at_the_rate_alpha() -> None:
    rng = np.random.default_rng(3)
    trials = 600
    p_values = [
        randomisation_test(rng.exponential(size=30), rng.exponential(size=30), permutations=199, seed=trial)
        for trial in range(trials)
    ]
    rate = np.mean(np.array(p_values) <= 0.05)
    assert abs(rate - 0.05) < 4 * np.sqrt(0.05 * 0.95 / trials)


def test_holm_by_hand() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06, 0.04 -> 0.06.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.9, 0.8]), [1.0, 1.0])
    assert holm([]).tolist() == []


def test_the_bootstrap_covers_the_true_mean() -> None:
    rng = np.random.default_rng(4)
    trials = 300
    covered = 0
    for trial in range(trials):
        low, high = bootstrap_mean(rng.beta(2, 5, size=80), resamples=300, seed=trial)
        covered += low <= 2 / 7 <= high
    assert 0.90 <= covered / trials <= 0.985


def test_the_interval_is_that_of_the_normal_limit() -> None:
    values = np.random.default_rng(5).random(4000)
    low, high = bootstrap_mean(values, resamples=4000)
    error = values.std() / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)
    assert bootstrap_mean(values, resamples=4000) == (low, high) != bootstrap_mean(values, resamples=4000, seed=1)
    narrow = bootstrap_mean(values, level=0.5, resamples=4000)
    assert narrow.low == pytest.approx(values.mean() - 0.674 * error, abs=0.15 * error)


def test_one_query_has_no_interval() -> None:
    assert np.isnan(bootstrap_mean([0.5])).all()
    assert np.isnan(bootstrap_mean([[0.5], [0.7]])).all()  # two seeds of one query
    assert np.isnan(bootstrap_difference([[0.5]] * 2, [[0.2]] * 2)[1:]).all()
    # Two queries: a quarter of all draws takes one of them twice, another quarter the other.
    assert bootstrap_mean([0.25, 0.75]) == (0.25, 0.75)


def test_queries_are_paired() -> None:
    """Hard queries are hard for both: the difference is the same everywhere, and does not move with the queries."""
    hard = np.random.default_rng(6).random((2, 200))
    hard[1] = hard[0]
    found = bootstrap_difference(hard + 0.01, hard)
    assert found[:3] == pytest.approx((0.01, 0.01, 0.01))
    assert found.p == 2 / 10_001
    assert bootstrap_difference(hard, hard) == (0, 0, 0, 1)


@pytest.mark.parametrize("seeds", [(2, 2), (3, 5), (4, 2)])
def test_without_spread_over_queries_it_is_welchs_test(seeds: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(seeds))
    one, other = (np.repeat(rng.normal(size=(count, 1)), 50, axis=1) for count in seeds)
    found = bootstrap_difference(one, other, resamples=40_000)
    textbook = stats.ttest_ind(one[:, 0], other[:, 0], equal_var=False)
    assert found.p == pytest.approx(textbook.pvalue, abs=5 * np.sqrt(textbook.pvalue / 40_000))
    assert found[1:3] == pytest.approx(tuple(textbook.confidence_interval()), rel=0.15)


@pytest.mark.parametrize("queries", [5, 60])
def test_without_spread_over_seeds_it_is_students_test(queries: int) -> None:
    differences = np.random.default_rng(queries).normal(0.15, size=queries)
    found = bootstrap_difference([differences] * 3, np.zeros((2, queries)), resamples=20_000)
    textbook = stats.ttest_1samp(differences, 0)
    assert textbook.pvalue > 0.01
    assert found.p == pytest.approx(textbook.pvalue, rel=0.25)
    assert found[1:3] == pytest.approx(tuple(textbook.confidence_interval()), abs=0.15 * differences.std())


def test_swapped_methods_swap_the_interval() -> None:
    rng = np.random.default_rng(11)
    one, other = rng.random((3, 80)), rng.random((4, 80)) + 0.02
    there, back = bootstrap_difference(one, other), bootstrap_difference(other, one)
    assert there.mean == -back.mean
    assert there.p == pytest.approx(back.p, rel=0.1)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=0.005)


def test_one_seed_says_nothing_of_others() -> None:
    rng = np.random.default_rng(12)
    one, other = rng.random((3, 80)), rng.random(80)
    for found in (bootstrap_difference(one, other), bootstrap_difference(other[None, :], one)):
        assert abs(found.mean) == pytest.approx(abs(one.mean() - other.mean()))
        assert np.isnan(found[1:]).all()
    # A method that does not depend on its seed has the same values under each.
    assert bootstrap_difference(one, [other, other]).p == bootstrap_difference(one, [other] * 5).p > 0


def test_evidence_is_that_of_the_pairs_one_by_one() -> None:
    rng = np.random.default_rng(13)
    a, b, c, single = (rng.random((seeds, 40)) + 0.1 * seeds for seeds in (2, 3, 4, 1))
    found = evidence([(a, b), (single, b), (b, c)], repetitions=500)
    assert [one.for_seeds for one in found] == [True, False, True]
    assert [one.p for one in found] == [
        bootstrap_difference(a, b, resamples=500).p,
        randomisation_test(single, b, permutations=500),
        bootstrap_difference(b, c, resamples=500).p,
    ]
    assert evidence([]) == []


def test_seeds_that_lie_far_apart_differ_and_near_ones_do_not() -> None:
    """Three seeds each: 0.130 between ranges that do not meet is no noise; for one seed each nobody can say."""
    rng = np.random.default_rng(14)
    queries = rng.normal(0, 0.3, 400)
    low, high = (
        queries + level + np.array([[-0.02], [0.0], [0.02]]) + rng.normal(0, 0.1, (3, 400)) for level in (0.40, 0.53)
    )
    found = bootstrap_difference(high, low)
    assert found.mean == pytest.approx(0.13, abs=0.01)
    assert found.p < 0.01
    assert 0.03 < found.low < found.high < 0.23
    assert bootstrap_difference(low, low + np.array([[0.02], [-0.03], [0.025]])).p > 0.5


@pytest.mark.parametrize("seeds", [2, 3, 10])
@pytest.mark.parametrize(("ratio", "second"), [(0.0, 1.0), (0.5, 1.0), (5.0, 1.0), (10.0, 0.0), (100.0, 0.2)])
def test_false_positives_of_seeds_and_queries_together(seeds: int, ratio: float, second: float) -> None:
    """Nominal: 5 %. 600 simulated pairs of equal means; the bound is 5 % and three standard errors of the share."""
    pairs = list(simulated(600, (seeds, seeds), ratio * seeds / 2, second=second, queries=60, seed=seeds))
    assert detected(pairs, repetitions=500) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 600)


@pytest.mark.parametrize("seeds", [(3, 3), (3, 2), (10, 5)])
def test_true_differences_are_found(seeds: tuple[int, int]) -> None:
    """Twelve times the standard deviation that queries give, with seeds that move a mean half as much."""
    assert detected(list(simulated(100, seeds, 0.25 * min(seeds), difference=12, queries=60))) > 0.8


def test_seeds_are_averaged_per_query() -> None:
    rng = np.random.default_rng(7)
    seeds, other = rng.random((3, 40)), rng.random(40)
    assert randomisation_test(seeds, other) == randomisation_test(seeds.mean(axis=0), other)
    assert bootstrap_mean(seeds) == bootstrap_mean(seeds.mean(axis=0))


def test_not_worse_than_best() -> None:
    rng = np.random.default_rng(8)
    base = rng.random(300)
    methods = {
        "bad": base - 0.2,
        "close": base + rng.normal(scale=0.6, size=300),
        "best": np.stack([base + 0.03, base + 0.05]),
        "same": base + 0.04,
    }
    assert not_worse_than_best({name: methods[name] for name in ("bad", "close", "best")}) == ("best", ["close"])
    assert not_worse_than_best({"same": methods["same"], "other": methods["same"]}) == ("same", ["other"])
    assert not_worse_than_best({"only": base}) == ("only", [])


def test_many_comparisons_need_stronger_evidence() -> None:
    """A p-value of about 0.03 counts alone, but not among ten."""
    signs = np.array([1.0] * 18 + [-1.0] * 7)
    best, worse = signs * 0.01 + 0.5, np.full(25, 0.5)
    assert 0.01 < randomisation_test(best, worse) < 0.05
    assert not_worse_than_best({"best": best, "worse": worse}) == ("best", [])
    many = {"best": best} | {f"worse{i}": worse for i in range(10)}
    assert len(not_worse_than_best(many)[1]) == 10


def test_large_problems_stay_small() -> None:
    """45,600 queries and 10,000 permutations in full would be 3.6 GB."""
    rng = np.random.default_rng(9)
    first, second = rng.random((2, 45_600)), rng.random((2, 45_600))
    tracemalloc.start()
    randomisation_test(first, second, permutations=300)
    bootstrap_mean(first, resamples=300)
    bootstrap_difference(first, second, resamples=300)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bootstrap_mean([]), "values"),
        (lambda: bootstrap_mean([[[1.0]]]), "values"),
        (lambda: bootstrap_mean([1.0, np.nan]), "finite"),
        (lambda: bootstrap_mean([1.0], level=95), "level"),
        (lambda: bootstrap_mean([1.0], level="95"), "level"),  # type: ignore[arg-type]
        (lambda: bootstrap_mean([[1.0], [1.0, 2.0]]), "values cannot be read as an array"),
        (lambda: bootstrap_mean(["a", "b"]), "values must be numbers"),
        (lambda: bootstrap_mean(np.ma.masked_invalid([1.0, np.nan])), "values are a masked array"),
        (lambda: randomisation_test(np.ma.masked_invalid([1.0, np.nan]), [1.0, 2.0]), "first are a masked array"),
        (lambda: holm("a"), "p_values must be numbers"),
        (lambda: bootstrap_mean([1.0], resamples=0), "resamples"),
        (lambda: bootstrap_difference([1.0], [1.0, 2.0]), "1 queries but second hold 2"),
        (lambda: bootstrap_difference([[1.0]] * 2, [[1.0]] * 2, level=1), "level"),
        (lambda: randomisation_test([1.0], [1.0], permutations=True), "permutations"),
        (lambda: holm([1.5]), "p_values"),
        (lambda: not_worse_than_best({}), "no methods"),
        (lambda: not_worse_than_best({"a": [1.0], "b": [1.0, 2.0]}), "same queries"),
        (lambda: not_worse_than_best({"a": [1.0]}, alpha=0.0), "alpha"),
    ],
)
def test_bad_input(call: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()
