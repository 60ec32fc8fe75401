"""Sums over ranks, in closed form for groups of ties, and over Hamming radii, compiled with numba."""

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from bench.metrics.compiled import compiled

# Rules for ties, which the kernels know by their number; `order_block` sums under the last.
RULES = ("expected", "best", "worst", "index")
EXPECTED, BEST, WORST, INDEX = range(4)


class Counts(NamedTuple):
    """Number of items at every distance of b queries."""

    totals: NDArray[np.int32]  # (b, K + 1), items
    relevants: NDArray[np.int32]  # (b, K + 1), relevant items


class RankTables(NamedTuple):
    """Tables for sums over ranks in a gallery of n items, for all cut-offs."""

    reach: NDArray[np.int64]  # ascending: the last rank that counts for every k, at most the items ranked
    harmonic: NDArray[np.float64]  # harmonic_numbers(n)
    discount: NDArray[np.float64]  # (n + 1,), discount[p] = sum over ranks r <= p of 1 / log2(r + 1)


class RankSums(NamedTuple):
    """Sums over the ranking of each of b queries, under the protocol's rule for ties if no other is named."""

    precisions: NDArray[np.float64]  # (3, k's, b), sum_{r<=k} rel(r) * prec(r), also under "best" and "worst"
    hits: NDArray[np.float64]  # (k's, b), sum_{r<=k} rel(r)
    gains: NDArray[np.float64]  # (k's, b), sum_{r<=k} rel(r) / log2(r + 1)
    whole: NDArray[np.float64]  # (b,), sum_r rel(r) * prec(r)
    hits_r: NDArray[np.float64]  # (b,), sum_{r<=R} rel(r)
    relevant: NDArray[np.int64]  # (b,), R, the number of relevant items

    @classmethod
    def zeros(cls, cutoffs: int, queries: int) -> Self:
        """Sums of so many k's and queries, for `tie_sums` and `order_block` to fill."""
        by_k = (cutoffs, queries)
        return cls(
            precisions=np.zeros((3, *by_k)),
            hits=np.zeros(by_k),
            gains=np.zeros(by_k),
            whole=np.zeros(queries),
            hits_r=np.zeros(queries),
            relevant=np.zeros(queries, dtype=np.int64),
        )


def rank_tables(items: int, reach: list[int]) -> RankTables:
    """The tables for a gallery of this size; `reach` as in `RankTables`."""
    discount = np.zeros(items + 1)
    np.cumsum(1.0 / np.log2(np.arange(2, items + 2)), out=discount[1:])
    return RankTables(np.array(reach, dtype=np.int64), harmonic_numbers(items), discount)


@compiled
def harmonic_numbers(count: int) -> NDArray[np.float64]:
    """H[0..count] as (2, count + 1): the numbers, and what rounding took from them.

    Differences of neighbouring harmonic numbers far out are small and get multiplied by large counts, so the plain
    numbers would lose digits; the second row is the exact error of every addition (Knuth's two-sum), accumulated.
    """
    harmonic = np.empty((2, count + 1))
    number = rest = 0.0
    for i in range(count + 1):
        harmonic[0, i], harmonic[1, i] = number, rest
        term = 1.0 / (i + 1)
        after = number + term
        part = after - number
        rest += (number - (after - part)) + (term - part)
        number = after
    return harmonic


@compiled
def tie_sums(counts: Counts, tables: RankTables, rule: int, whole: bool, sums: RankSums) -> None:
    """Fill `sums`, whose content must be zeros; `rule` is the protocol's, a number of `RULES`.

    Groups behind the last cut-off are looked at for `whole` and `hits_r` of `sums` only, and not at all if not `whole`.
    """
    for i in range(counts.totals.shape[0]):
        found = np.int64(0)
        for d in range(counts.totals.shape[1]):
            found += counts.relevants[i, d]
        sums.relevant[i] = found
        if rule != INDEX:
            _sum_groups(rule, 0, i, counts, tables, whole, sums)
        _sum_groups(BEST, 1, i, counts, tables, False, sums)
        _sum_groups(WORST, 2, i, counts, tables, False, sums)


@compiled
def _sum_groups(rule: int, place: int, i: int, counts: Counts, tables: RankTables, whole: bool, sums: RankSums) -> None:
    """Fill the sums of query `i` under one rule: `precisions[place]`, and the others if `place` is 0."""
    totals, relevants = counts.totals[i], counts.relevants[i]
    cutoffs = len(tables.reach)
    found = sums.relevant[i]
    precisions = hits = gains = 0.0
    before = relevant_before = np.int64(0)
    position = 0
    for d in range(len(totals)):
        total, relevant = np.int64(totals[d]), np.int64(relevants[d])
        if total == 0:
            continue
        group = (before, relevant_before, total, relevant)
        while position < cutoffs and tables.reach[position] <= before + total:
            part = _group(rule, group, tables.reach[position] - before, tables)
            sums.precisions[place, position, i] = precisions + part[0]
            if place == 0:
                sums.hits[position, i] = hits + part[1]
                sums.gains[position, i] = gains + part[2]
            position += 1
        if position == cutoffs and not whole:
            break
        if place == 0 and before < found <= before + total:
            sums.hits_r[i] = hits + _group(rule, group, found - before, tables)[1]
        if relevant > 0:
            part = _group(rule, group, total, tables)
            precisions += part[0]
            hits += part[1]
            gains += part[2]
        before += total
        relevant_before += relevant
    if place == 0:
        sums.whole[i] = precisions


@compiled
def _group(
    rule: int, group: tuple[np.int64, np.int64, np.int64, np.int64], ranks: np.int64, tables: RankTables
) -> tuple[float, float, float]:
    """Sums of rel * prec, of rel and of rel / log2(rank + 1) over the first `ranks` ranks of one tie group.

    `group`: the items before it, the relevant items before it, its items, its relevant items.
    """
    before, relevant_before, total, relevant = group
    if relevant == 0 or ranks == 0:
        return 0.0, 0.0, 0.0
    discount = tables.discount
    if rule == EXPECTED and relevant < total:
        share = relevant / total
        slope = (relevant - 1) / (total - 1)
        constant = relevant_before + 1 - slope * (before + 1)
        return (
            share * (slope * ranks + constant * _gap(tables.harmonic, before, ranks)),
            relevant * ranks / total,
            share * (discount[before + ranks] - discount[before]),
        )
    # Relevant items in a row: at the start, or behind all the others. (If all are relevant there is but one order, and
    # the three rules agree to the last bit.)
    ahead = total - relevant if rule == WORST else np.int64(0)
    run = min(relevant, ranks - ahead)
    if run <= 0:
        return 0.0, 0.0, 0.0
    first = before + ahead
    # (R + j) / (N + j) for j = 1 .. run
    precisions = run - (first - relevant_before) * _gap(tables.harmonic, first, run)
    return precisions, float(run), discount[first + run] - discount[first]


@compiled
def _gap(harmonic: NDArray[np.float64], before: np.int64, count: np.int64) -> Any:
    """1 / (before + 1) + ... + 1 / (before + count)."""
    end = before + count
    return (harmonic[0, end] - harmonic[0, before]) + (harmonic[1, end] - harmonic[1, before])


class RadiusSums(NamedTuple):
    """Sums over b queries of what is found within each Hamming radius."""

    recall: NDArray[np.float64]  # (K + 1,)
    precision: NDArray[np.float64]  # (K + 1,)
    empty: NDArray[np.int64]  # (K + 1,), queries that find nothing


@compiled
def radius_sums(counts: Counts, relevant: NDArray[np.int64], sums: RadiusSums) -> None:
    """Add to `sums`; `relevant` (b,) is the number of relevant items of each query."""
    size = counts.totals.shape[1]
    within, found = np.empty(size, np.int64), np.empty(size, np.int64)
    for i in range(len(relevant)):
        items = hits = np.int64(0)
        for d in range(size):
            items += counts.totals[i, d]
            hits += counts.relevants[i, d]
            within[d], found[d] = items, hits
        all_relevant = max(relevant[i], 1)
        for d in range(size):
            # Within an empty radius nothing is found, so what it is divided by does not matter.
            sums.recall[d] += found[d] / all_relevant
            sums.precision[d] += found[d] / max(within[d], 1)
            sums.empty[d] += within[d] == 0
