"""Labels as class lists and bit planes, and the evaluation problem made of codes and labels.

Two items are relevant to each other if they share at least one label. Walking from a query through its classes to their
items finds exactly its relevant items, without comparing the labels of all pairs. Where every query has many classes
and these many items, though, comparing all labels, eight classes at once, is the shorter way.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.base.errors import InputError
from bench.base.labels import Labels, as_labels, require_alike
from bench.base.text import say
from bench.base.values import read_array
from bench.metrics.codes import PackedCodes, code_bytes

# Costs of visiting one item of a list, and of each plane when the labels of one pair are compared, in units of
# counting one compared pair. Measured; a visit is between 1.6, with one label a query, and 4, with many.
VISIT = 2.0
PLANE = 0.03


class LabelLists(NamedTuple):
    """Labels of Q queries and n gallery items over C classes.

    The classes of query i are `query_classes[query_starts[i]:query_starts[i + 1]]`, ascending; the gallery items of
    class c are `class_items[class_starts[c]:class_starts[c + 1]]`, ascending.
    """

    query_starts: NDArray[np.int64]  # (Q + 1,)
    query_classes: NDArray[np.int32]
    class_starts: NDArray[np.int64]  # (C + 1,)
    class_items: NDArray[np.int32]

    def relevant_to(self, query: int) -> NDArray[np.int32]:
        """The gallery items that share a label with a query, ascending, each once."""
        classes = self.query_classes[self.query_starts[query] : self.query_starts[query + 1]]
        items = [self.class_items[self.class_starts[label] : self.class_starts[label + 1]] for label in classes]
        return items[0] if len(items) == 1 else np.unique(np.concatenate([self.class_items[:0], *items]))


class LabelPlanes(NamedTuple):
    """The same labels as bits: class c is bit c % 8 of byte c // 8."""

    queries: NDArray[np.uint8]  # (Q, ceil(C / 8))
    gallery: NDArray[np.uint8]  # (ceil(C / 8), n)


def label_planes(labels: LabelLists, items: int) -> LabelPlanes:
    """The labels as planes where comparing all pairs takes less work than walking the lists; else no planes.

    Counts come out the same either way. `items` is n.
    """
    queries, classes = len(labels.query_starts) - 1, len(labels.class_starts) - 1
    visits = int(np.diff(labels.class_starts)[labels.query_classes].sum())
    if VISIT * visits <= queries * items * (1 + PLANE * -(-classes // 8)):
        return LabelPlanes(np.zeros((queries, 0), dtype=np.uint8), np.zeros((0, items), dtype=np.uint8))
    return bit_planes(labels, items)


def bit_planes(labels: LabelLists, items: int) -> LabelPlanes:
    """The labels as planes, whatever their number. `items` is n."""
    queries, classes = len(labels.query_starts) - 1, len(labels.class_starts) - 1
    planes = LabelPlanes(
        np.zeros((queries, -(-classes // 8)), dtype=np.uint8), np.zeros((-(-classes // 8), items), dtype=np.uint8)
    )
    owners = np.repeat(np.arange(queries), np.diff(labels.query_starts))
    _set_bits(planes.queries, (owners, labels.query_classes // 8), labels.query_classes)
    owned = np.repeat(np.arange(classes), np.diff(labels.class_starts))
    _set_bits(planes.gallery, (owned // 8, labels.class_items), owned)
    return planes


def _set_bits(
    planes: NDArray[np.uint8], places: tuple[NDArray[Any], NDArray[Any]], classes: NDArray[np.integer[Any]]
) -> None:
    # One number a place, which numpy is fast with.
    flat = np.ravel_multi_index(places, planes.shape)
    np.bitwise_or.at(planes.reshape(-1), flat, np.left_shift(1, classes % 8).astype(np.uint8))


def read_labels(
    query_labels: ArrayLike, gallery_labels: ArrayLike | None, queries: int, gallery: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Labels of queries and gallery as the user gave them: both a table (n, C) of 0 and 1, or both classes (n,).

    Args:
        query_labels: any form that `bench.base.labels.as_labels` reads; sparse matrices of SciPy too.
        gallery_labels: the same kind for the gallery; None if the queries are the gallery.
        queries, gallery: how many codes there are of each.

    Raises:
        InputError: labels cannot be read, or those of queries and gallery differ in kind or in width.
    """
    first = _read(query_labels, "query_labels", queries)
    if gallery_labels is None:
        return first.values, first.values
    second = _read(gallery_labels, "gallery_labels", gallery)
    require_alike({"query_labels": first, "gallery_labels": second})
    return first.values, second.values


def label_lists(query_labels: NDArray[Any], gallery_labels: NDArray[Any]) -> LabelLists:
    """The result of `read_labels` as lists; faster if both are one array."""
    turn = _multi_hot_lists if query_labels.ndim == 2 else _class_index_lists
    return turn(query_labels, gallery_labels)


def neighbour_lists(neighbours: ArrayLike, queries: int, gallery: int, is_self: bool) -> LabelLists:
    """Relevant items as lists: every query is a class of its own, whose items are its neighbours.

    Where the queries are the gallery, an item also belongs to its own class, as it shares its own labels elsewhere.

    Raises InputError unless `neighbours` are (queries, m) gallery items, m >= 1, each once and no query its own.
    """
    items = read_array(neighbours, "neighbours")
    if items.ndim != 2 or len(items) != queries or items.shape[1] < 1 or items.dtype.kind not in "iu":
        raise InputError(
            f"neighbours must be integers of shape ({queries}, m), one row for every query, got {items.dtype} "
            f"{items.shape}"
        )
    if items.min() < 0 or items.max() >= gallery:
        raise InputError(f"neighbours must be gallery items, from 0 to {gallery - 1}; got {items.min()}…{items.max()}")
    itself = np.arange(queries)
    if is_self:
        items = np.column_stack([items, itself])
    items = np.sort(items.astype(np.int32), axis=1)
    if (items[:, 1:] == items[:, :-1]).any():
        raise InputError("neighbours hold a gallery item twice for one query, or the query itself; give others once")
    starts = items.shape[1] * np.arange(queries + 1, dtype=np.int64)
    return LabelLists(np.arange(queries + 1, dtype=np.int64), itself.astype(np.int32), starts, items.reshape(-1))


def _read(labels: Any, name: str, codes: int) -> Labels:
    array = read_array(labels.toarray() if hasattr(labels, "toarray") else labels, name)
    found = as_labels(array, codes, name)
    if found.turned:
        say(f"{name} of shape {array.shape} are read as (classes, videos), since there are {codes} videos")
    return found


def _multi_hot_lists(query_labels: NDArray[np.generic], gallery_labels: NDArray[np.generic]) -> LabelLists:
    rows, classes = _marked(query_labels)
    query_starts = _starts(rows, len(query_labels))
    query_classes = classes.astype(np.int32)
    if gallery_labels is not query_labels:
        rows, classes = _marked(gallery_labels)
    return LabelLists(query_starts, query_classes, *_by_class(rows, classes, gallery_labels.shape[1]))


def _marked(table: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """`np.nonzero` of a table of zeros and ones, mostly zeros, in a fraction of its time."""
    return np.divmod(np.flatnonzero(table.view(bool)), table.shape[1])


def _class_index_lists(query_labels: NDArray[np.generic], gallery_labels: NDArray[np.generic]) -> LabelLists:
    # Indices may be large and sparse (a hash, a date); classes are numbered by those that the gallery knows, and one
    # more, empty class stands for all that it does not know.
    known, gallery_classes = np.unique(gallery_labels, return_inverse=True)
    place = np.searchsorted(known, query_labels)
    found = known[np.minimum(place, len(known) - 1)] == query_labels
    query_classes = np.where(found, place, len(known)).astype(np.int32)
    query_starts = np.arange(len(query_labels) + 1, dtype=np.int64)
    items = np.arange(len(gallery_labels), dtype=np.int64)
    return LabelLists(query_starts, query_classes, *_by_class(items, gallery_classes.reshape(-1), len(known) + 1))


def _by_class(
    items: NDArray[np.int64], classes: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Group (item, class) pairs, given with ascending items, by class."""
    # Numbers of 16 bits are sorted by their digits, ten times as fast.
    order = np.argsort(classes.astype(np.uint16 if count <= 2**16 else np.int32), kind="stable")
    return _starts(classes, count), items[order].astype(np.int32)


def _starts(groups: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    starts = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(np.bincount(groups, minlength=count), out=starts[1:])
    return starts


class Problem(NamedTuple):
    """Some queries and the whole gallery, as the kernels read them."""

    queries: NDArray[np.uint8]  # (b, ceil(K / 8)), bytes of the codes, one query a row
    gallery: NDArray[np.uint8]  # (ceil(K / 8), n), one item a column
    labels: LabelLists  # of these queries and the gallery
    label_planes: LabelPlanes  # the same labels; no planes where the lists are to be walked

    def block(self, start: int, stop: int) -> "Problem":
        """The same for queries `start` to `stop` - 1 only."""
        return Problem(
            self.queries[start:stop],
            self.gallery,
            self.labels._replace(query_starts=self.labels.query_starts[start : stop + 1]),
            self.label_planes._replace(queries=self.label_planes.queries[start:stop]),
        )


def byte_planes(codes: PackedCodes) -> NDArray[np.uint8]:
    """The codes as (ceil(K / 8), n) bytes, one row for every eight bits."""
    return code_bytes(codes).T.copy()
