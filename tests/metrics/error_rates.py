"""How often the tests err where the truth is known: `python -m tests.metrics.error_rates` prints docs' table."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bench.metrics.statistics import Pair, evidence

ALPHA = 0.05
QUERIES = 100


def simulated(
    trials: int,
    seeds: tuple[int, int],
    ratio: float,
    *,
    second: float = 1.0,
    difference: float = 0.0,
    queries: int = QUERIES,
    seed: int = 0,
) -> Iterator[Pair]:
    """Pairs of methods whose true means differ by `difference`, values per query of runs with so many `seeds`.

    A value is what its query gives every method, what it gives this method (half of the queries none, the rest
    heavy-tailed, as AP is), what the seed gives (the second method's `second` times as strongly), and what moves this
    query in this run alone. `ratio`: the variance of the first method's mean over one seed, relative to that which the
    queries give the difference; the latter's standard deviation is 1, in which `difference` is given.
    """
    rng = np.random.default_rng(seed)
    for _ in range(trials):
        common = rng.random(queries)
        pair = []
        for count, strength, shift in zip(seeds, (1.0, second), (difference, 0.0), strict=True):
            own = rng.laplace(size=queries) * rng.integers(0, 2, queries) * np.sqrt(queries / 2)
            run = strength * np.sqrt(ratio) * rng.normal(size=(count, 1))
            rest = 0.5 * np.sqrt(queries / 2) * rng.normal(size=(count, queries))
            pair.append(shift + common + own + run + rest)
        yield pair[0], pair[1]


def detected(pairs: list[Pair], repetitions: int = 2000) -> float:
    """The share of pairs that `evidence` says differ."""
    return float(np.mean([found.p < ALPHA for found in evidence(pairs, repetitions=repetitions)]))


def detected_separately(pairs: list[Pair]) -> float:
    """The share in which a test over queries and Welch's test over seeds are both significant."""
    means = [(first.mean(axis=0, keepdims=True), second.mean(axis=0, keepdims=True)) for first, second in pairs]
    over_queries = [found.p for found in evidence(means, repetitions=2000)]
    over_seeds = [_welch(*(values.mean(axis=1) for values in pair)) for pair in pairs]
    return float(np.mean(np.maximum(over_queries, over_seeds) < ALPHA))


def _welch(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    return float(stats.ttest_ind(first, second, equal_var=False).pvalue)


def main(trials: int = 2000) -> None:
    print(
        "| seeds | seed : query variance | false, equal spread | false, one method steady | false, both tests apart |"
    )
    print("|---|---|---|---|---|")
    for seeds in (2, 3, 5, 10):
        for ratio in (0.0, 0.1, 1.0, 10.0, 100.0):
            # The variance of the mean over seeds, as the heading says, not that of one seed.
            alike = list(simulated(trials, (seeds, seeds), ratio * seeds / 2))
            steady = list(simulated(trials, (seeds, seeds), ratio * seeds, second=0.0, seed=1))
            rates = [detected(alike), detected(steady), detected_separately(alike)]
            print(f"| {seeds} | {ratio:g} | {' | '.join(f'{100 * rate:.1f} %' for rate in rates)} |", flush=True)


if __name__ == "__main__":
    main()
