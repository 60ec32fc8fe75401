"""Confidence intervals and paired tests over queries and seeds.

Everything starts from values per query, such as `Scores.average_precision[k]`, of one run, (queries,), or of several
seeds, (seeds, queries). Two sources of chance move the difference between two methods: which queries there are, and
which seeds. `bootstrap_difference` draws from both and needs two seeds of each method. `randomisation_test` draws from
the queries alone: its result holds for these weights only, not for those of another seed. For a method that does not
depend on its seed, repeat its row. Every function is deterministic for a given seed; none needs memory for
queries * repetitions.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.base.errors import InputError
from bench.metrics.series import check_count, check_share, read_numbers, read_pair, read_series

# Numbers drawn at a time: bounds the scratch memory to some tens of megabytes.
CHUNK = 1 << 21
# Tosses are multiplied with the differences in blocks that fit the cache, yet give threads enough to do.
TOSSES, QUERIES = 1000, 4096
Values = NDArray[np.float64]
Pair = tuple[Values, Values]
"""The values of two methods, (seeds, queries) each, of the same queries."""


class Interval(NamedTuple):
    """A confidence interval; both ends NaN where there is none."""

    low: float
    high: float


class Difference(NamedTuple):
    """How much larger the first mean is than the second, its confidence interval, and a two-sided p-value.

    All but the mean are NaN where nothing can be said: two seeds of each method and two queries are the least.
    """

    mean: float
    low: float
    high: float
    p: float


class Evidence(NamedTuple):
    """A two-sided p-value, and whether it holds `for_seeds`: for other seeds too, not for these weights alone."""

    p: float
    for_seeds: bool


def bootstrap_mean(values: ArrayLike, *, level: float = 0.95, resamples: int = 2_000, seed: int = 0) -> Interval:
    """Percentile bootstrap interval of the mean over queries (Efron and Tibshirani, 1993, chapter 13).

    Args:
        values: (queries,) or (seeds, queries), finite; seeds are averaged for each query.
        level: the coverage, between 0 and 1.
        resamples: how many times the queries are drawn anew, with replacement.
        seed: of the generator.

    Returns:
        The interval; NaN at both ends for a single query, which says nothing of how queries vary: all its resamples
        are equal, and an interval without width would claim certainty.

    Raises:
        InputError: the values are empty, not finite or of another shape; or `level` or `resamples` is out of range.
    """
    check_share("level", level)
    check_count("resamples", resamples)
    mean = read_series(values, "values").mean(axis=0)
    if len(mean) < 2:
        return Interval(math.nan, math.nan)
    return _percentiles(resampled_means(mean[:, None], resamples, seed)[:, 0], level)


def resampled_means(values: Values, resamples: int, seed: int = 0) -> Values:
    """Means over queries that are drawn anew with replacement: (queries, series) to (resamples, series).

    All series see the same draws. A draw is kept as the number of times that each query was drawn, so that the means
    of all series come from one product of matrices: many cost little more than one.
    """
    queries = len(values)
    rng = np.random.default_rng(seed)
    means = np.empty((resamples, values.shape[1]))
    step = max(1, CHUNK // queries)
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        drawn = rng.integers(0, queries, size=(count, queries), dtype=np.int32)
        places = drawn + queries * np.arange(count)[:, None]
        times = np.bincount(places.ravel(), minlength=count * queries).reshape(count, queries)
        means[start : start + count] = times.astype(np.float64) @ values / queries
    return means


def bootstrap_difference(
    first: ArrayLike, second: ArrayLike, *, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Difference:
    """Two-way bootstrap of mean(first) - mean(second): queries and seeds are drawn together.

    Every resample draws the same queries of both methods, with replacement. Two or three seeds cannot be drawn so:
    resamples of them vary too little, by (S - 1) / S, and never leave the range that was seen. The difference is moved
    instead by its standard error over seeds times a draw of Student's t, with Welch's degrees of freedom (Biometrika,
    1947), since methods differ in how far seeds move them; queries get the same correction, √(Q / χ²) with Q - 1
    degrees of freedom. The interval holds the percentiles of the resamples; p is twice the smaller share of resamples
    on one side of 0.

    Seeds of the two methods are not paired: seed 0 of one has nothing to do with seed 0 of another. Where runs do share
    something the test errs on the safe side. So it does for what moves a single query in a single run, which enters
    both parts. docs/evaluation.md states its error rates.

    Args:
        first, second: (seeds, queries), finite, the same queries in the same order; the numbers of seeds may differ.
        level: the coverage of the interval, between 0 and 1.
        resamples: the smallest possible p-value is 2 / (1 + resamples).
        seed: of the generator.

    Raises:
        InputError: values are empty, not finite, of another shape or of different numbers of queries; or `level` or
            `resamples` is out of range.
    """
    check_share("level", level)
    check_count("resamples", resamples)
    pair = read_pair(first, second)
    mean = float(pair[0].mean() - pair[1].mean())
    if not _seeds_known(pair) or pair[0].shape[1] < 2:
        return Difference(mean, math.nan, math.nan, math.nan)
    drawn = _drawn_differences([pair], resamples, seed)[:, 0]
    return Difference(mean, *_percentiles(drawn, level), float(_two_sided(drawn)))


def randomisation_test(first: ArrayLike, second: ArrayLike, *, permutations: int = 10_000, seed: int = 0) -> float:
    """Two-sided p-value of the paired randomisation test over queries (Fisher; Smucker et al., CIKM 2007).

    If the methods did not differ, the sign of every query's difference would be a coin toss. The p-value is
    (1 + c) / (1 + permutations), c counting the tosses whose mean difference is at least as far from 0 as the one seen.
    It holds for the weights at hand: seeds, if there are several, are averaged for each query.

    Args:
        first, second: (queries,) or (seeds, queries) of two methods, finite, the same queries in the same order.
        permutations: how many tosses.
        seed: of the generator.

    Raises:
        InputError: the values are empty, not finite, of another shape or of different lengths; no permutations.
    """
    check_count("permutations", permutations)
    return float(_randomisation([read_pair(first, second)], permutations, seed)[0])


def evidence(pairs: Sequence[Pair], *, repetitions: int = 10_000, seed: int = 0) -> list[Evidence]:
    """The evidence that the methods of each pair differ; the one place that chooses the test.

    `bootstrap_difference` where both have several seeds, else `randomisation_test`. The p-values are those of the pairs
    one by one, which are drawn alike; all pairs need the same number of queries, two at least for the bootstrap.
    """
    if len({pair[0].shape[1] for pair in pairs}) > 1:
        raise InputError("the comparisons are over different numbers of queries; compare on the same queries")
    known = [_seeds_known(pair) and pair[0].shape[1] > 1 for pair in pairs]
    several = [pair for pair, seeds in zip(pairs, known, strict=True) if seeds]
    single = [pair for pair, seeds in zip(pairs, known, strict=True) if not seeds]
    step = max(1, 8 * CHUNK // repetitions)  # the draws of many pairs do not fit in memory
    groups = [several[start : start + step] for start in range(0, len(several), step)]
    over_both = (p for group in groups for p in _two_sided(_drawn_differences(group, repetitions, seed)))
    over_queries = iter(_randomisation(single, repetitions, seed) if single else ())
    return [Evidence(float(next(over_both if seeds else over_queries)), seeds) for seeds in known]


def holm(p_values: ArrayLike) -> Values:
    """p-values adjusted for being many (Holm, "A simple sequentially rejective multiple test procedure", 1979).

    The i-th smallest of m becomes the largest of (m - j + 1) * p_(j) over j <= i, at most 1. Rejecting what falls below
    alpha keeps the chance of any false rejection below alpha.

    Args:
        p_values: (m,), each between 0 and 1.
    """
    values = read_numbers(p_values, "p_values")
    if values.ndim != 1 or not np.all((values >= 0) & (values <= 1)):
        raise InputError("p_values must be a one-dimensional array of numbers from 0 to 1")
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)), 1)
    return adjusted


def not_worse_than_best(
    per_query: Mapping[str, ArrayLike], alpha: float = 0.05, *, repetitions: int = 10_000, seed: int = 0
) -> tuple[str, list[str]]:
    """The method with the highest mean, and those not significantly worse.

    Every other method is compared with the best by `evidence`; p-values are adjusted by `holm`. That the best was
    picked on the same values is not corrected for.

    Args:
        per_query: method -> (queries,) or (seeds, queries), finite, the same queries in the same order.
        alpha: methods whose adjusted p-value is below are worse.
        repetitions, seed: resamples or permutations, and the seed of the generator.

    Returns:
        The best (the first given, among equal means), and the others that are not significantly worse, in the order
        given.

    Raises:
        InputError: as in `randomisation_test`; no methods; `alpha` out of range.
    """
    return each_not_worse_than_best([per_query], alpha, repetitions=repetitions, seed=seed)[0]


def each_not_worse_than_best(
    comparisons: Sequence[Mapping[str, ArrayLike]], alpha: float = 0.05, *, repetitions: int = 10_000, seed: int = 0
) -> list[tuple[str, list[str]]]:
    """`not_worse_than_best` of every comparison, such as one for each k; all in one pass over the draws.

    The results are those of the comparisons one by one; all need the same number of queries.
    """
    check_share("alpha", alpha)
    check_count("repetitions", repetitions)
    found = [_against_best(per_query) for per_query in comparisons]
    p_values = iter(
        evidence([pair for _, pairs in found for pair in pairs.values()], repetitions=repetitions, seed=seed)
    )
    outcomes = []
    for best, pairs in found:
        adjusted = holm([next(p_values).p for _ in pairs])
        outcomes.append((best, [name for name, p in zip(pairs, adjusted, strict=True) if p >= alpha]))
    return outcomes


def _against_best(per_query: Mapping[str, ArrayLike]) -> tuple[str, dict[str, Pair]]:
    """The best, and its values with those of each of the others."""
    if not per_query:
        raise InputError("per_query holds no methods; give at least one")
    values = {name: read_series(array, name) for name, array in per_query.items()}
    best = max(values, key=lambda name: float(values[name].mean()))
    return best, {name: read_pair(values[best], values[name], (best, name)) for name in values if name != best}


def _seeds_known(pair: Pair) -> bool:
    """Whether each side has seeds enough to say how much they vary."""
    return min(len(pair[0]), len(pair[1])) > 1


def _drawn_differences(pairs: Sequence[Pair], resamples: int, seed: int) -> Values:
    """Differences of means under resampled queries and seeds, (resamples, pairs); see `bootstrap_difference`."""
    from scipy.special import stdtrit  # noqa: PLC0415  what compares nothing need not wait for it

    differences = np.stack([first.mean(axis=0) - second.mean(axis=0) for first, second in pairs], axis=1)
    queries, means = len(differences), differences.mean(axis=0)
    rng = np.random.default_rng([seed, 1])
    spread = np.sqrt(queries / rng.chisquare(queries - 1, resamples))
    drawn = means + (resampled_means(differences, resamples, seed) - means) * spread[:, None]
    # Every quantile once, in random order: free draws would miss the tails of so heavy a distribution.
    order = rng.permutation(resamples)
    lower = (np.arange(-(-resamples // 2)) + 0.5) / resamples
    for place, pair in enumerate(pairs):
        variances = [float(values.mean(axis=1).var(ddof=1)) / len(values) for values in pair]
        total = sum(variances)
        if total > 0:
            shares = [variance / total for variance in variances]
            degrees = 1 / sum(share**2 / (len(values) - 1) for share, values in zip(shares, pair, strict=True))
            below = stdtrit(degrees, lower)  # the distribution is symmetric
            quantiles = np.concatenate([below, -below[: resamples // 2][::-1]])
            drawn[:, place] += math.sqrt(total) * quantiles[order]
    return drawn


def _two_sided(drawn: Values) -> Values:
    """Twice the smaller share of resamples on one side of 0, over the first axis, and never 0."""
    tail = np.minimum(np.count_nonzero(drawn <= 0, axis=0), np.count_nonzero(drawn >= 0, axis=0))
    return np.minimum(2 * (1 + tail) / (1 + len(drawn)), 1)


def _percentiles(drawn: Values, level: float) -> Interval:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def _randomisation(pairs: Sequence[Pair], permutations: int, seed: int) -> Values:
    """p-values of pairs, all under the same tosses."""
    columns = np.stack([first.mean(axis=0) - second.mean(axis=0) for first, second in pairs], axis=1)
    queries, total = len(columns), columns.sum(axis=0)
    # Orders of addition differ between tosses, so sums that are equal on paper differ by rounding.
    seen = np.abs(total) - 1e-12 * np.abs(columns).sum(axis=0)
    rng = np.random.default_rng(seed)
    count = np.zeros(len(pairs), dtype=np.int64)
    for start in range(0, permutations, TOSSES):
        tosses = min(TOSSES, permutations - start)
        octets = rng.integers(0, 256, size=(tosses, -(-queries // 8)), dtype=np.uint8)
        flipped = np.zeros((tosses, len(pairs)))
        for first in range(0, queries, QUERIES):
            block = columns[first : first + QUERIES]
            bits = np.unpackbits(octets[:, first // 8 : (first + QUERIES) // 8], axis=1, count=len(block))
            flipped += bits.astype(np.float64) @ block
        count += np.count_nonzero(np.abs(total - 2 * flipped) >= seen, axis=0)
    return (1 + count) / (1 + permutations)
