"""mAP@k and its relatives, exact with ties, from binary codes or from vectors."""

import operator
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.base.errors import InputError
from bench.base.processes import threads
from bench.base.text import one_line
from bench.metrics.blocks import BlockScores, Counter, Task, radius_scores, score_block
from bench.metrics.codes import PackedCodes, read_pair
from bench.metrics.counting import COLUMNS, TILE, count_block, distance_array
from bench.metrics.cuda import DeviceCounter, find_device
from bench.metrics.labels import (
    LabelLists,
    Problem,
    byte_planes,
    label_lists,
    label_planes,
    neighbour_lists,
    read_labels,
)
from bench.metrics.ordering import order_block
from bench.metrics.protocols import NEIGHBOURS, Normalise, Protocol, Ties, choose_protocol
from bench.metrics.scores import Scores
from bench.metrics.tie_sums import Counts, RankSums, rank_tables
from bench.metrics.vectors import VectorCounter, block_size, read_vectors


def evaluate(
    query_codes: ArrayLike | PackedCodes,
    query_labels: ArrayLike,
    gallery_codes: ArrayLike | PackedCodes | None = None,
    gallery_labels: ArrayLike | None = None,
    *,
    ks: Iterable[int] = (5, 20, 40, 60, 80, 100),
    protocol: str = "paper",
    normalise: Normalise | None = None,
    exclude_self: bool | None = None,
    ties: Ties | None = None,
    whole_ranking: bool = True,
) -> Scores:
    """Rank the gallery by Hamming distance for every query, and score the rankings. Formulas: see `Scores`.

    Exact, and the same to the last bit on every run, whatever the number of threads (all cores, or
    `NUMBA_NUM_THREADS`). Time is O(queries * gallery * bits), memory O(queries + gallery).
    Large problems run on a CUDA device if there is one, with the same result; `cuda.find_device` states when.

    Args:
        query_codes: (Q, K) array of ±1 or of 0/1, or `PackedCodes`; K from 1 to 65,535.
        query_labels: a table (Q, C) of 0/1 or ±1, 1 where the query belongs to the class; or the class of every query,
            (Q,) or (Q, 1), as whole numbers from 0 on or as text. A table (C, Q) is turned, which one line on standard
            error says. Items that share a class are relevant to each other.
        gallery_codes, gallery_labels: the same for the gallery, (n, K) and (n, C) or (n,). Left out, or equal to the
            queries' in number, order, every bit and every label: the queries are the gallery, and query i is its item
            i. A gallery that differs anywhere is separate.
        ks: cut-offs, positive integers; they may exceed the gallery.
        protocol: `paper` (AP divided by k, the query itself stays in, ties by expectation) or `strict` (AP divided by
            min(k, number relevant), the query itself left out, ties by expectation).
        normalise: `k` or `relevant`, in place of the protocol's.
        exclude_self: leave out, or keep, the query itself, in place of what the protocol does; without effect where the
            gallery is separate from the queries, which the result's `protocol` then says.
        ties: `expected`, `index`, `best` or `worst`, in place of the protocol's.
        whole_ranking: False: only what the first k items decide (mAP@k, precision@k, recall@k, NDCG@k), sooner where
            codes are long and the gallery is large; the same numbers, and None for the others.

    Raises:
        InputError: the input cannot be used; the message names what is wrong and what to do.
    """
    chosen = choose_protocol(protocol, normalise, exclude_self, ties)
    cutoffs = _read_ks(ks)
    if (gallery_codes is None) != (gallery_labels is None):
        given, missing = ("labels", "codes") if gallery_codes is None else ("codes", "labels")
        raise InputError(f"gallery_{given} without gallery_{missing}; give both, or neither to search the queries")

    queries, gallery = read_pair(query_codes, gallery_codes)
    labels_of_queries, labels_of_gallery = read_labels(query_labels, gallery_labels, len(queries), len(gallery))
    # Not by identity: whoever encodes one set twice holds two equal arrays.
    is_self = _equal(queries.words, gallery.words) and _equal(labels_of_queries, labels_of_gallery)

    labels = label_lists(labels_of_queries, labels_of_queries if is_self else labels_of_gallery)
    return _score(queries, gallery, labels, is_self, chosen, cutoffs, whole_ranking)


def evaluate_neighbours(
    query_codes: ArrayLike | PackedCodes,
    neighbours: ArrayLike,
    gallery_codes: ArrayLike | PackedCodes | None = None,
    *,
    ks: Iterable[int] = (5, 20, 40, 60, 80, 100),
    whole_ranking: bool = True,
) -> Scores:
    """Score rankings without labels: relevant to a query are its exact neighbours. `recall` is what to look at.

    Args:
        query_codes, gallery_codes: as in `evaluate`; without a gallery the queries search each other, and a query is
            left out of its own ranking.
        neighbours: (Q, m) integers: the gallery items that are relevant to each query, such as those that
            `bench.data.dataset.exact_neighbours` finds; each once, and no query its own.
        ks, whole_ranking: as in `evaluate`.

    Raises:
        InputError: the input cannot be used; the message names what is wrong and what to do.
    """
    cutoffs = _read_ks(ks)
    queries, gallery = read_pair(query_codes, gallery_codes)
    is_self = gallery_codes is None
    labels = neighbour_lists(neighbours, len(queries), len(gallery), is_self)
    return _score(queries, gallery, labels, is_self, NEIGHBOURS, cutoffs, whole_ranking)


def evaluate_vectors(
    query_vectors: ArrayLike,
    gallery_vectors: ArrayLike,
    query_labels: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    *,
    neighbours: ArrayLike | None = None,
    is_self: bool = False,
    ks: Iterable[int] = (5, 20, 40, 60, 80, 100),
    protocol: str = "paper",
) -> Scores:
    """Rank the gallery by inner products of vectors instead, the largest first, for references that have no codes.

    Exact and repeatable as `evaluate`: equal vectors tie. Time is O(queries * gallery * m); blocks bound the memory.
    What counts within a Hamming radius is None in the result, as is `bits`.

    Args:
        query_vectors, gallery_vectors: (Q, m) and (n, m) finite numbers, taken as float32. Vectors of unit length rank
            by their cosine; queries [q, 1] and items [2 v, -|v|²] by the distance of q and v.
        query_labels, gallery_labels: as in `evaluate`.
        neighbours: as in `evaluate_neighbours`, in place of labels.
        is_self: the queries are the gallery, query i its item i, though its two vectors may differ; `gallery_labels`
            are then left out.
        ks: cut-offs, as in `evaluate`.
        protocol: `paper` or `strict`; without effect where there are neighbours.

    Raises:
        InputError: the input cannot be used; the message names what is wrong and what to do.
    """
    cutoffs = _read_ks(ks)
    queries, gallery = read_vectors(query_vectors, gallery_vectors, is_self)
    if (query_labels is None) == (neighbours is None):
        raise InputError("query_labels and neighbours: give one of both")
    if neighbours is not None:
        chosen, labels = NEIGHBOURS, neighbour_lists(neighbours, len(queries), len(gallery), is_self)
    else:
        assert query_labels is not None
        if is_self != (gallery_labels is None):
            raise InputError("gallery_labels: give them unless the queries are the gallery (is_self=True)")
        chosen = choose_protocol(protocol)
        labels = label_lists(*read_labels(query_labels, gallery_labels, len(queries), len(gallery)))
    excludes_self = is_self and chosen.exclude_self
    ranked = len(gallery) - excludes_self
    task = Task(
        queries=len(queries),
        gallery=len(gallery),
        bits=None,
        protocol=replace(chosen, separate=not is_self),
        ks=cutoffs,
        tables=rank_tables(len(gallery), [min(k, ranked) for k in cutoffs]),
        count=VectorCounter(queries, gallery, labels, excludes_self),
    )
    return _gather(task, _score_blocks(task, block_size(len(queries), len(gallery))))


def _score(
    queries: PackedCodes, gallery: PackedCodes, labels: LabelLists, is_self: bool, protocol: Protocol,
    ks: tuple[int, ...], whole_ranking: bool,
) -> Scores:  # fmt: skip
    planes = byte_planes(gallery)
    rows = np.ascontiguousarray((planes if is_self else byte_planes(queries)).T)
    problem = Problem(rows, planes, labels, label_planes(labels, len(gallery)))
    excludes_self = is_self and protocol.exclude_self
    ranked = len(gallery) - excludes_self
    tables = rank_tables(len(gallery), [min(k, ranked) for k in ks])
    # A query that is left out is one of the nearest.
    nearest = 0 if whole_ranking else tables.reach[-1] + 1
    processor = _processor_counter(problem, queries.bits, nearest)
    device = find_device(problem, queries.bits)
    count_all = DeviceCounter(problem, queries.bits, device, processor) if device else processor

    def count(start: int, stop: int) -> Counts:
        counts = count_all(start, stop)
        if excludes_self:
            counts.totals[:, 0] -= 1
            counts.relevants[:, 0] -= np.diff(labels.query_starts[start : stop + 1]) > 0
        return counts

    def order(start: int, stop: int, counts: Counts, sums: RankSums) -> None:
        excluded = start if excludes_self else -1
        order_block(problem.block(start, stop), distance_array(problem), counts, excluded, tables, sums)

    task = Task(
        queries=len(queries),
        gallery=len(gallery),
        bits=queries.bits,
        protocol=replace(protocol, separate=not is_self),
        ks=ks,
        tables=tables,
        count=count,
        order=order if protocol.ties == "index" else None,
        whole=whole_ranking,
    )
    # The size of a block decides how sums are rounded, so it must depend on nothing but the number of queries.
    return _gather(task, _score_blocks(task, min(256, max(16, -(-len(queries) // 32)))))


def _processor_counter(problem: Problem, bits: int, nearest: int) -> Counter:
    # With fewer columns than these, most of them would be looked through.
    columns = problem.gallery.shape[1] * COLUMNS // TILE
    needed = nearest if 2 * nearest <= columns else 0

    def count(start: int, stop: int) -> Counts:
        shape = (stop - start, bits + 1)
        counts = Counts(np.empty(shape, dtype=np.int32), np.empty(shape, dtype=np.int32))
        count_block(problem.block(start, stop), distance_array(problem), needed, counts)
        return counts

    return count


def _score_blocks(task: Task, size: int) -> list[BlockScores]:
    with threads(numba.config.NUMBA_NUM_THREADS) as pool:  # type: ignore[attr-defined]
        starts = range(0, task.queries, size)
        return list(pool.map(lambda start: score_block(task, start, min(start + size, task.queries)), starts))


def _gather(task: Task, blocks: list[BlockScores]) -> Scores:
    queries = task.queries
    average_precision = np.concatenate([block.average_precision for block in blocks], axis=1)
    best = np.concatenate([block.best for block in blocks], axis=1)
    worst = np.concatenate([block.worst for block in blocks], axis=1)

    def mean(sums: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.asarray(sum(sums) / queries)

    def by_k(values: Iterable[np.float64]) -> dict[int, float]:
        return {k: float(value) for k, value in zip(task.ks, values, strict=True)}

    def as_declared(values: NDArray[np.float64]) -> Any:
        return by_k(values) if values.ndim else float(values)

    sums = {name: mean(block.sums[name] for block in blocks) for name in blocks[0].sums}
    map_best, map_worst = by_k(row.mean() for row in best), by_k(row.mean() for row in worst)
    return Scores(
        protocol=task.protocol,
        bits=task.bits,
        ks=task.ks,
        queries=queries,
        gallery=task.gallery,
        map=by_k(row.mean() for row in average_precision),
        map_best=map_best,
        map_worst=map_worst,
        tie_spread={k: map_best[k] - map_worst[k] for k in task.ks},
        average_precision=dict(zip(task.ks, average_precision, strict=True)),
        recall=by_k(mean(block.recall.sum(axis=1) for block in blocks)),
        recall_per_query=dict(zip(task.ks, np.concatenate([block.recall for block in blocks], axis=1), strict=True)),
        queries_without_relevant=sum(block.without_relevant for block in blocks),
        **{"map_full": None, **{name: as_declared(values) for name, values in sums.items()}},
        **radius_scores(blocks, queries),
    )


def _equal(first: NDArray[np.generic], second: NDArray[np.generic]) -> bool:
    return first is second or np.array_equal(first, second)


def _read_ks(ks: Iterable[int]) -> tuple[int, ...]:
    example = "give positive integers, for example ks=(5, 20, 100)"
    try:
        values = list(ks)
    except TypeError:
        raise InputError(f"ks is {one_line(repr(ks))}, not a sequence; {example}") from None
    if not values:
        raise InputError(f"ks is empty; {example}")
    for k in values:
        if isinstance(k, (bool, np.bool_)) or not isinstance(k, (int, np.integer)) or k <= 0:
            raise InputError(f"ks holds {one_line(repr(k))}; {example}")
    return tuple(sorted({operator.index(k) for k in values}))
