"""The counts of `counting.count_block` on a CUDA device; they are integers, so every score stays the same.

Distances come from a product of ±1 matrices: two codes of B bits that differ in d have the product B - 2 d. Sums of up
to 2,048 units are exact in half precision, whatever the order of addition. Pairs are counted by 2 d, plus 1 where they
are relevant, for so many queries at a time as PyTorch keeps the counts of in the multiprocessors' own memory.
"""

import importlib
import sys
from threading import Lock
from typing import Any

import numba
import numpy as np

from bench.metrics.blocks import Counter
from bench.metrics.labels import Problem
from bench.metrics.tie_sums import Counts

# Below this many pairs of codes the processor answers within half a second or so.
LARGE = 10**9
# From here on it pays to import PyTorch, which takes seconds, only to look for a device.
HUGE = 10**10
# Beside more cores than these a device is of no use: an H100 took 0.81 s for 45,600 queries among themselves, one core
# of the machine 2.17 s, two 1.03 s, four 0.59 s.
MOST_CORES = 2
# Elements of the largest array on the device at a time: at most, and at least to be worth the device.
ELEMENTS = 1 << 25
FEWEST_ELEMENTS = 1 << 16
# Device memory that one element takes, all scratch arrays together.
ELEMENT_BYTES = 32
# Of counts of eight bytes that PyTorch's `bincount` keeps in shared memory; more are added up in global memory, slowly.
SHARED_COUNTS = 48 * 1024 // 8 - 1


def find_device(pairs: int) -> str | None:
    """The device to count on, or None for the processor.

    A CUDA device is taken if there is one, the processor may use two cores at most, and the problem has at least 10^9
    pairs of query and item; in a process that has not imported PyTorch, at least 10^10.
    """
    if numba.config.NUMBA_NUM_THREADS > MOST_CORES:  # type: ignore[attr-defined]
        return None
    if pairs < LARGE or (pairs < HUGE and "torch" not in sys.modules):
        return None
    return "cuda" if importlib.import_module("torch").cuda.is_available() else None


class DeviceCounter:
    """Counts blocks of queries of one problem on a PyTorch device; called as a `blocks.Counter`.

    Device memory: the codes and labels of the gallery, and at most a gigabyte, or half of what is free, for scratch.
    Where that is refused after all (others use the device too), the scratch is halved; where even little is refused,
    the processor counts instead.
    """

    def __init__(self, problem: Problem, bits: int, device: str, processor: Counter) -> None:
        """`bits` is K; `device` is a name that PyTorch knows; `processor` counts where the device has no memory."""
        self._torch: Any = importlib.import_module("torch")
        self._device = device
        self._problem = problem
        self._bits = bits
        self._processor = processor
        half = device != "cpu" and problem.queries.shape[1] * 8 <= 2048
        self._number = self._torch.float16 if half else self._torch.float32
        self._gallery: Any = None  # moved with the first block, and so are these
        self._items: Any = None
        self._item_classes: Any = None
        self._elements = ELEMENTS
        self._lock = Lock()  # the device serves one block at a time, which bounds its memory

    def __call__(self, start: int, stop: int) -> Counts:
        """The counts of queries `start` to `stop` - 1."""
        with self._lock:
            while self._elements >= FEWEST_ELEMENTS:
                try:
                    if self._gallery is not None:
                        return self._count(start, stop)
                    self._move_gallery()
                except self._torch.cuda.OutOfMemoryError:
                    self._elements //= 2
                    self._torch.cuda.empty_cache()
            self._gallery = self._items = self._item_classes = None
        return self._processor(start, stop)

    def _move_gallery(self) -> None:
        problem = self._problem
        # The labels of the gallery once more, the classes of every item instead of the items of every class.
        labels = problem.labels
        classes = np.repeat(np.arange(len(labels.class_starts) - 1), np.diff(labels.class_starts))
        order = np.argsort(labels.class_items, kind="stable")
        counts = np.bincount(labels.class_items, minlength=problem.gallery.shape[1])
        self._item_starts = np.concatenate([[0], np.cumsum(counts)])
        self._item_classes = self._move(classes[order])
        self._items = self._move(labels.class_items[order].astype(np.int64))
        self._gallery = self._move(problem.gallery.T)
        if self._device != "cpu":
            free, _ = self._torch.cuda.mem_get_info(self._device)
            self._elements = min(self._elements, free // (2 * ELEMENT_BYTES))

    def _count(self, start: int, stop: int) -> Counts:
        torch = self._torch
        size, rows, items = self._bits + 1, stop - start, self._problem.gallery.shape[1]
        queries = self._signs(self._move(self._problem.queries[start:stop]))
        columns, query_members = self._query_labels(start, stop)
        cells = 2 * size
        group = max(1, min(rows, SHARED_COUNTS // cells))
        # Also of bits that fill up the last byte, which all codes share.
        origin = torch.arange(rows, device=self._device, dtype=torch.int32)[:, None] % group * cells + queries.shape[1]
        counts = torch.zeros(rows * cells, dtype=torch.int64, device=self._device)
        tile = max(1, self._elements // max(rows, queries.shape[1], query_members.shape[1]))
        for first in range(0, items, tile):
            last = min(first + tile, items)
            product = queries @ self._signs(self._gallery[first:last]).T
            shared = query_members @ self._gallery_members(first, last, columns, query_members.shape[1]).T
            places = origin - product.to(torch.int32) + (shared > 0)
            for low in range(0, rows, group):
                part = places[low : low + group]
                counts[low * cells : (low + group) * cells] += torch.bincount(
                    part.reshape(-1), minlength=len(part) * cells
                )
        by_relevance = counts.to(torch.int32).cpu().numpy().reshape(rows, size, 2)
        return Counts(by_relevance.sum(axis=2, dtype=np.int32), np.ascontiguousarray(by_relevance[:, :, 1]))

    def _query_labels(self, start: int, stop: int) -> tuple[Any, Any]:
        """The column that each class has for this block (or -1), and the queries' labels in these columns."""
        torch = self._torch
        labels = self._problem.labels
        starts = labels.query_starts[start : stop + 1]
        present, column = np.unique(labels.query_classes[starts[0] : starts[-1]], return_inverse=True)
        columns = np.full(len(labels.class_starts) - 1, -1, dtype=np.int64)
        columns[present] = np.arange(len(present))
        members = torch.zeros((stop - start, len(present)), dtype=self._number, device=self._device)
        members[self._move(np.repeat(np.arange(stop - start), np.diff(starts))), self._move(column)] = 1
        return self._move(columns), members

    def _gallery_members(self, first: int, last: int, columns: Any, width: int) -> Any:
        pairs = slice(int(self._item_starts[first]), int(self._item_starts[last]))
        column = columns[self._item_classes[pairs]]
        known = column >= 0
        members = self._torch.zeros((last - first, width), dtype=self._number, device=self._device)
        members[self._items[pairs][known] - first, column[known]] = 1
        return members

    def _signs(self, octets: Any) -> Any:
        """(n, bytes) to (n, 8 * bytes) of ±1; bits beyond K are equal in all codes and so add nothing to a distance."""
        shifts = self._torch.arange(8, device=self._device, dtype=self._torch.uint8)
        flags = (octets[:, :, None] >> shifts) & 1
        return flags.reshape(len(octets), -1).to(self._number) * 2 - 1

    def _move(self, array: Any) -> Any:
        return self._torch.from_numpy(np.array(array, order="C")).to(self._device)
