"""The nearest codes of an index, and all within a radius: in a stable order, with what is left out of a tie."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
        reach = queries.bits if radius is None else radius
        return [_found(*_within(index, row, reach), None, own) for row in octets]
    wanted = k + (own is not None)
    asked = min(2 * wanted + 20, index.description.videos)
    found = []
    for row, distances, numbers in zip(octets, *index.faiss.search(octets, asked), strict=True):
        # Lists that are visited may hold fewer codes: faiss then fills up with the number -1.
        there = numbers >= 0
        reach = int(distances[min(wanted, there.sum()) - 1])
        if there.all() and asked < index.description.videos and distances[-1] == reach:
            # Of equally near codes faiss returns any: all of them are needed for a stable order.
            found.append(_found(*_within(index, row, reach), k, own))
        else:
            near = there & (distances <= reach)
            found.append(_found(distances[near], numbers[near], k, own))
    return found if radius is None else [_cut(one, radius) for one in found]


def _within(index: Index, row: NDArray[np.uint8], reach: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Distances and numbers of the codes up to a distance."""
    _, distances, numbers = index.faiss.range_search(row[None], reach + 1)
    return distances, numbers


def _found(distances: NDArray[Any], numbers: NDArray[Any], k: int | None, own: int | None) -> Found:
    order = [place for place in np.lexsort((numbers, distances)) if numbers[place] != own]
    hits = tuple(Hit(int(numbers[place]), int(distances[place])) for place in order[:k])
    tied = sum(int(distances[place]) == hits[-1].distance for place in order[len(hits) :])
    return Found(hits, tied)


def _cut(found: Found, radius: int) -> Found:
    """What is within the radius."""
    hits = tuple(hit for hit in found.hits if hit.distance <= radius)
    return Found(hits, found.tied if len(hits) == len(found.hits) else 0)
