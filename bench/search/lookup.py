"""The nearest codes of an index, and all within a radius: in a stable order, with what is left out of a tie."""

from dataclasses import dataclass

import numpy as np

from bench.base.errors import InputError
from bench.metrics.codes import PackedCodes, code_bytes
from bench.search.index import Index


@dataclass(frozen=True)
class Hit:
    """A code that was found: its number in the index, and its Hamming distance to the query."""

    number: int
    distance: int


@dataclass(frozen=True)
class Found:
    """What one query finds: by distance and, among equal ones, by number."""

    hits: tuple[Hit, ...]
    tied: int
    """Further codes that are as near as the last hit, and are left out."""


def look_up(
    index: Index, queries: PackedCodes, k: int | None = 10, radius: int | None = None, own: int | None = None
) -> list[Found]:
    """What every query finds: the `k` nearest codes, all within `radius`, or the `k` nearest of those within it.

    `own` is the number of the query itself, which is left out. Raises InputError if the queries have another number of
    bits than the index.
    """
    if queries.bits != index.description.bits:
        raise InputError(f"the queries have {queries.bits} bits, the index {index.description.bits}; encode both alike")
    octets = code_bytes(queries)
    if k is None:
        reach = np.full(len(octets), queries.bits if radius is None else radius)
    else:
        distances, _ = index.faiss.search(octets, min(k + (own is not None), index.description.videos))
        # Lists that are visited may hold fewer than k codes: faiss fills up with the largest number.
        reach = np.minimum(distances, queries.bits).max(axis=1)
        reach = reach if radius is None else np.minimum(reach, radius)
    found = []
    for row, within in zip(octets, reach, strict=True):
        # Everything up to the last distance: of equally near codes faiss returns any, and the same call may differ.
        _, distances, numbers = index.faiss.range_search(row[None], int(within) + 1)
        order = [place for place in np.lexsort((numbers, distances)) if numbers[place] != own]
        hits = tuple(Hit(int(numbers[place]), int(distances[place])) for place in order[:k])
        tied = sum(int(distances[place]) == hits[-1].distance for place in order[len(hits) :])
        found.append(Found(hits, tied))
    return found
