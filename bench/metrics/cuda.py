"""The counts of `counting.count_block` on a CUDA device; they are integers, so every score stays the same."""

import importlib
import sys
from importlib.util import find_spec
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.text import one_line, say
from bench.metrics.blocks import Counter
from bench.metrics.labels import Problem, bit_planes
from bench.metrics.tie_sums import Counts

# Below this many pairs of codes the processor answers within half a second or so: two cores of 2.5 GHz count 1.5
# billion pairs in a second, sixteen 5 to 10 billion.
LARGE = 10**9
# From here on it pays to import PyTorch, which takes seconds, only to look for a device.
HUGE = 10**10
# Wider problems are counted by the processor: longer codes have more cells than on-chip memory holds, and more classes
# (neighbours without labels: one class a query) would be mostly zeros.
MOST_BITS = 1024
MOST_CLASSES = 64 * 64
# Queries and items that one program of the kernel counts.
GROUP, TILE = 8, 2048


def find_device(problem: Problem, bits: int) -> str | None:
    """The device to count on, or None for the processor. `bits` is K.

    A CUDA device is taken if there is one, with Triton, and the problem has at least 10^9 pairs of query and item (in a
    process that has not imported PyTorch, at least 10^10), at most 1,024 bits and 4,096 classes.
    """
    pairs, classes = len(problem.queries) * problem.gallery.shape[1], len(problem.labels.class_starts) - 1
    if pairs < (LARGE if "torch" in sys.modules else HUGE) or bits > MOST_BITS or classes > MOST_CLASSES:
        return None
    usable = find_spec("triton") and importlib.import_module("torch").cuda.is_available()
    return "cuda" if usable else None


class DeviceCounter:
    """Counts blocks of queries of one problem on a PyTorch device; called as a `blocks.Counter`.

    Device memory: the codes and the labels, as bits, and the counts of the blocks in work. Where the device refuses
    (memory that others use, a compiler that Triton does not find), the processor counts, which one line says.
    """

    def __init__(self, problem: Problem, bits: int, device: str, processor: Counter) -> None:
        """`bits` is K; `device` is a name that PyTorch knows; `processor` counts where the device refuses."""
        self._torch: Any = importlib.import_module("torch")
        self._problem, self._bits, self._device, self._processor = problem, bits, device, processor
        self._words: list[Any] = []  # of queries and gallery, codes and labels, moved with the first block
        self._lock = Lock()  # Triton compiles at the first call, and must not do so twice at once
        self._refused = False

    def __call__(self, start: int, stop: int) -> Counts:
        """The counts of queries `start` to `stop` - 1."""
        with self._lock:
            cells = None if self._refused else self._launch(start, stop)
        if cells is None:
            return self._processor(start, stop)
        by_relevance = cells.cpu().numpy().reshape(stop - start, self._bits + 1, 2)
        relevants = np.ascontiguousarray(by_relevance[:, :, 1])
        return Counts(by_relevance[:, :, 0] + relevants, relevants)

    def _launch(self, start: int, stop: int) -> Any:
        """The cells of the counts, (b, 2 (K + 1)), on the device, which may still be at work; None if it refuses."""
        try:
            if not self._words:
                self._words = self._move()
            queries, gallery, query_labels, gallery_labels = self._words
            rows, cells, items = stop - start, 2 * (self._bits + 1), gallery.shape[1]
            counts = self._torch.zeros((rows, cells), dtype=self._torch.int32, device=self._device)
            kernel = importlib.import_module("bench.metrics.cuda_kernel").count_tiles
            kernel[-(-rows // GROUP), -(-items // TILE)](
                queries[start:stop], gallery, query_labels[start:stop], gallery_labels, counts,
                rows, items, len(gallery), len(gallery_labels), cells,
                GROUP=GROUP, TILE=TILE, BINS=1 << cells.bit_length(),
            )  # fmt: skip
        except Exception as error:
            self._refused, self._words = True, []
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            say(f"the CUDA device does not evaluate ({one_line(reason)}); the processor does, with the same result")
            return None
        return counts

    def _move(self) -> list[Any]:
        problem = self._problem
        labels = bit_planes(problem.labels, problem.gallery.shape[1])
        words = [
            np.ascontiguousarray(_words(problem.queries.T).T),
            _words(problem.gallery),
            np.ascontiguousarray(_words(labels.queries.T).T),
            _words(labels.gallery),
        ]
        return [self._torch.from_numpy(part).to(self._device) for part in words]


def _words(planes: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Planes of eight bits (p, n) as planes of 32 bits (ceil(p / 4), n)."""
    padded = np.zeros((-(-len(planes) // 4), planes.shape[1], 4), dtype=np.uint8)
    for plane, octets in enumerate(planes):
        padded[plane // 4, :, plane % 4] = octets
    return padded.view(np.int32)[:, :, 0]
