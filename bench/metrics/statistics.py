"""Is one method better than another on the same queries, and how sure is a mean?

Everything starts from values per query, such as `Scores.average_precision[k]`. A method may come with several seeds, as
an array (seeds, queries): its values are first averaged per query, so that what is compared is what a typical seed
gives, and queries, not runs, are what chance is drawn over.

Every function is deterministic for a given seed and needs memory for the queries only, not for queries * repetitions.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.errors import InputError
from bench.text import one_line
from bench.values import read_array

# Numbers drawn at a time: bounds the scratch memory to some tens of megabytes.
CHUNK = 1 << 21
# Tosses are multiplied with the differences in blocks that fit the cache, yet give threads enough to do.
TOSSES, QUERIES = 1000, 4096


class Interval(NamedTuple):
    """A confidence interval; both ends NaN where there is none."""

    low: float
    high: float


def bootstrap_mean(values: ArrayLike, *, level: float = 0.95, resamples: int = 2_000, seed: int = 0) -> Interval:
    """Percentile bootstrap interval of the mean over queries (Efron and Tibshirani, 1993, chapter 13).

    Args:
        values: (queries,) or (seeds, queries), finite.
        level: the coverage, between 0 and 1.
        resamples: how many times the queries are drawn anew, with replacement.
        seed: of the generator.

    Returns:
        The interval; NaN at both ends for a single query, which says nothing of how queries vary: all its resamples
        are equal, and an interval without width would claim certainty.

    Raises:
        InputError: the values are empty, not finite or of another shape; or `level` or `resamples` is out of range.
    """
    _check_range("level", level)
    _check_count("resamples", resamples)
    array = _per_query(values, "values")
    if len(array) < 2:
        return Interval(math.nan, math.nan)
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    for start, stop in _chunks(resamples, len(array)):
        drawn = rng.integers(0, len(array), size=(stop - start, len(array)), dtype=np.int32)
        means[start:stop] = array[drawn].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def bootstrap_difference(
    first: ArrayLike, second: ArrayLike, *, level: float = 0.95, resamples: int = 2_000, seed: int = 0
) -> Interval:
    """Percentile bootstrap interval of mean(first) - mean(second); every draw takes the same queries of both.

    Arguments, result and errors as in `bootstrap_mean`; also an InputError where the numbers of queries differ.
    """
    return bootstrap_mean(_differences(first, second), level=level, resamples=resamples, seed=seed)


def randomisation_test(first: ArrayLike, second: ArrayLike, *, permutations: int = 10_000, seed: int = 0) -> float:
    """Two-sided p-value of the paired randomisation test over queries (Fisher; Smucker et al., CIKM 2007).

    If the methods did not differ, the sign of every query's difference would be a coin toss. The p-value is
    (1 + c) / (1 + permutations), c counting the tosses whose mean difference is at least as far from 0 as the one seen.

    Args:
        first, second: (queries,) or (seeds, queries) of two methods, finite, the same queries in the same order.
        permutations: how many tosses.
        seed: of the generator.

    Raises:
        InputError: the values are empty, not finite, of another shape or of different lengths; no permutations.
    """
    _check_count("permutations", permutations)
    return float(_randomisation(_differences(first, second)[None, :], permutations, seed)[0])


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """p-values adjusted for being many (Holm, "A simple sequentially rejective multiple test procedure", 1979).

    The i-th smallest of m becomes the largest of (m - j + 1) * p_(j) over j <= i, at most 1. Rejecting what falls below
    alpha keeps the chance of any false rejection below alpha.

    Args:
        p_values: (m,), each between 0 and 1.
    """
    values = _numbers(p_values, "p_values")
    if values.ndim != 1 or not np.all((values >= 0) & (values <= 1)):
        raise InputError("p_values must be a one-dimensional array of numbers from 0 to 1")
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)), 1)
    return adjusted


def not_worse_than_best(
    per_query: Mapping[str, ArrayLike], alpha: float = 0.05, *, permutations: int = 10_000, seed: int = 0
) -> tuple[str, list[str]]:
    """The method with the highest mean, and those that cannot be told from it.

    Every other method is compared with the best by `randomisation_test` on the same tosses; p-values are adjusted by
    `holm`. That the best was picked on the same queries is not corrected for.

    Args:
        per_query: method -> (queries,) or (seeds, queries), finite, the same queries in the same order.
        alpha: methods whose adjusted p-value is below are worse.
        permutations, seed: as in `randomisation_test`.

    Returns:
        The best (the first given, among equal means), and the others that are not significantly worse, in the order
        given.

    Raises:
        InputError: as in `randomisation_test`; no methods; `alpha` out of range.
    """
    return each_not_worse_than_best([per_query], alpha, permutations=permutations, seed=seed)[0]


def each_not_worse_than_best(
    comparisons: Sequence[Mapping[str, ArrayLike]], alpha: float = 0.05, *, permutations: int = 10_000, seed: int = 0
) -> list[tuple[str, list[str]]]:
    """`not_worse_than_best` of every comparison, such as one for each k; all in one pass over the tosses.

    The results are those of the comparisons one by one, which toss alike; all need the same number of queries.
    """
    _check_range("alpha", alpha)
    _check_count("permutations", permutations)
    found = [_against_best(per_query) for per_query in comparisons]
    rows = [differences for _, _, differences in found if len(differences)]
    if len({differences.shape[1] for differences in rows}) > 1:
        raise InputError("the comparisons are over different numbers of queries; compare on the same queries")
    p_values = _randomisation(np.concatenate(rows), permutations, seed) if rows else np.empty(0)
    outcomes = []
    for best, others, _ in found:
        mine, p_values = p_values[: len(others)], p_values[len(others) :]
        outcomes.append((best, [name for name, p in zip(others, holm(mine), strict=True) if p >= alpha]))
    return outcomes


def _against_best(per_query: Mapping[str, ArrayLike]) -> tuple[str, list[str], NDArray[np.float64]]:
    """The best, the others, and by how much it is better than each of them, (others, queries)."""
    if not per_query:
        raise InputError("per_query holds no methods; give at least one")
    values = {name: _per_query(array, name) for name, array in per_query.items()}
    best = max(values, key=lambda name: float(values[name].mean()))
    others = [name for name in values if name != best]
    for name in others:
        _check_pair(values[best], best, values[name], name)
    differences = [values[best] - values[name] for name in others]
    return best, others, np.stack(differences) if others else np.empty((0, len(values[best])))


def _randomisation(differences: NDArray[np.float64], permutations: int, seed: int) -> NDArray[np.float64]:
    """p-values of the rows of (comparisons, queries), all under the same tosses."""
    queries = differences.shape[1]
    total = differences.sum(axis=1)
    # Orders of addition differ between tosses, so sums that are equal on paper differ by rounding.
    seen = np.abs(total) - 1e-12 * np.abs(differences).sum(axis=1)
    columns = np.ascontiguousarray(differences.T)
    rng = np.random.default_rng(seed)
    count = np.zeros(len(differences), dtype=np.int64)
    for start in range(0, permutations, TOSSES):
        tosses = min(TOSSES, permutations - start)
        octets = rng.integers(0, 256, size=(tosses, -(-queries // 8)), dtype=np.uint8)
        flipped = np.zeros((tosses, len(differences)))
        for first in range(0, queries, QUERIES):
            block = columns[first : first + QUERIES]
            bits = np.unpackbits(octets[:, first // 8 : (first + QUERIES) // 8], axis=1, count=len(block))
            flipped += bits.astype(np.float64) @ block
        count += np.count_nonzero(np.abs(total - 2 * flipped) >= seen, axis=0)
    return (1 + count) / (1 + permutations)


def _chunks(repetitions: int, queries: int) -> Iterator[tuple[int, int]]:
    step = max(1, CHUNK // queries)
    for start in range(0, repetitions, step):
        yield start, min(start + step, repetitions)


def _differences(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    left, right = _per_query(first, "first"), _per_query(second, "second")
    _check_pair(left, "first", right, "second")
    return left - right


def _per_query(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = _numbers(values, name)
    if array.ndim not in (1, 2) or array.size == 0:
        raise InputError(f"{name} must be values per query, (queries,) or (seeds, queries), got shape {array.shape}")
    if not np.all(np.isfinite(array)):
        raise InputError(f"{name} hold values that are not finite; leave out or mend those queries")
    return array if array.ndim == 1 else array.mean(axis=0)


def _numbers(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = read_array(values, name)
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} must be numbers, got type {array.dtype}")
    return array.astype(np.float64)


def _check_pair(left: NDArray[np.float64], left_name: str, right: NDArray[np.float64], right_name: str) -> None:
    if len(left) != len(right):
        raise InputError(
            f"{left_name} hold {len(left)} queries but {right_name} hold {len(right)}; compare on the same queries"
        )


def _check_range(name: str, value: float) -> None:
    if not isinstance(value, (int, float)) or not 0 < value < 1:
        raise InputError(f"{name} must lie between 0 and 1, got {one_line(repr(value))}")


def _check_count(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{name} must be a positive integer, got {one_line(repr(value))}")
